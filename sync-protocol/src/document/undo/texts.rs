//! Long texts without the letters of an import, and with those that only it has deleted.

use std::collections::BTreeMap;

use automerge::{ActorId as AutomergeActor, ObjId, legacy, legacy::OpType, transaction::Transactable};

use super::replay::{History, OpId, op_id};
use crate::{
    document::{Author, Document, write::options},
    ids::ActorId,
};

/// The letters of one long text in the order of their places, deleted ones too.
#[derive(Default)]
pub(super) struct Letters {
    /// By the place behind which they were put, none for the beginning; of several, the newest stands first.
    behind: BTreeMap<Option<OpId>, Vec<OpId>>,
    letters: BTreeMap<OpId, Letter>,
}

#[derive(Default)]
struct Letter {
    /// What stands at the place, by the operation that wrote it.
    written: BTreeMap<OpId, (String, bool)>,
    /// Operations that those that stay have taken away.
    gone: Vec<OpId>,
}

impl Letters {
    /// Takes in what one change has written to this text.
    pub(super) fn read(&mut self, text: &OpId, first_op: u64, actor: &[u8], ops: &[legacy::Op], is_dropped: bool) {
        for (number, op) in (first_op..).zip(ops) {
            let legacy::ObjectId::Id(object) = &op.obj else { continue };
            let legacy::Key::Seq(place) = &op.key else { continue };
            if op_id(object) != *text {
                continue;
            }
            let id: OpId = (number, actor.to_vec());
            let behind = match place {
                legacy::ElementId::Head => None,
                legacy::ElementId::Id(id) => Some(op_id(id)),
            };
            let Some(place) = (if op.insert { Some(id.clone()) } else { behind.clone() }) else { continue };
            if op.insert {
                self.behind.entry(behind).or_default().push(id.clone());
            }
            let letter = self.letters.entry(place).or_default();
            if let OpType::Put(value) = &op.action {
                letter.written.insert(id, (value.as_str().unwrap_or_default().to_owned(), is_dropped));
            }
            if !is_dropped {
                letter.gone.extend(op.pred.iter().map(op_id));
            }
        }
    }

    /// The text as it would be.
    pub(super) fn without(&self) -> String {
        let mut text = String::new();
        let mut next: Vec<&OpId> = self.sorted(None);
        while let Some(place) = next.pop() {
            if let Some(letter) = self.letters.get(place) {
                let stands =
                    letter.written.iter().rev().find(|(id, (_, is_dropped))| !is_dropped && !letter.gone.contains(id));
                text.extend(stands.map(|(_, (letter, _))| letter.as_str()));
            }
            next.extend(self.sorted(Some(place)));
        }
        text
    }

    /// What was put behind a place, so that the newest is taken from the end.
    fn sorted(&self, place: Option<&OpId>) -> Vec<&OpId> {
        let mut behind: Vec<&OpId> = self.behind.get(&place.cloned()).into_iter().flatten().collect();
        behind.sort();
        behind
    }
}

impl Document {
    /// Gives the texts into which an import has written the letters that they have without it.
    pub(super) fn rewrite_texts(
        &mut self,
        history: &History,
        actor: ActorId,
        author: &Author,
    ) -> Result<(), automerge::AutomergeError> {
        let mut wanted = Vec::new();
        for ((number, of), text) in history.texts.values() {
            let object = ObjId::Id(*number, AutomergeActor::from(of.as_slice()), 0);
            if automerge::ReadDoc::text(&self.doc, &object).is_ok_and(|now| now != *text) {
                wanted.push((object, text));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.doc.set_actor(AutomergeActor::from(actor.0));
        let mut tx = self.doc.transaction();
        for (object, text) in wanted {
            tx.update_text(&object, text)?;
        }
        tx.commit_with(options(author));
        Ok(())
    }
}
