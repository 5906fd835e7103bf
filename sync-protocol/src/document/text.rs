//! Long texts that several people write together: automerge's `Text` at a cell. JavaScript clients make one of every string.

use std::collections::BTreeSet;

use automerge::{ObjId, Prop, ReadDoc, legacy};

use super::{Document, RowKey};
use crate::{ids::ChangeHash, row::Address};

/// The long text of which an operation writes letters: such an operation does not say at which cell it stands.
pub(super) fn text_of(op: &legacy::Op) -> Option<ObjId> {
    match &op.obj {
        legacy::ObjectId::Root => None,
        legacy::ObjectId::Id(id) => Some(ObjId::Id(id.counter(), id.actor().clone(), 0)),
    }
}

impl Document {
    /// The key of the cell at which a long text stands.
    pub(super) fn key_of_text(&self, text: &ObjId) -> Option<String> {
        match self.doc.parents(text).ok()?.next()?.prop {
            Prop::Map(key) => Some(key),
            Prop::Seq(_) => None,
        }
    }

    /// The rows in which long texts stand.
    pub(super) fn rows_of_texts<'a>(&'a self, texts: &'a BTreeSet<ObjId>) -> impl Iterator<Item = RowKey> + 'a {
        texts.iter().filter_map(|text| Some(RowKey::from(&Address::parse(&self.key_of_text(text)?)?)))
    }

    /// The rows to which those changes write that `known` does not have.
    pub fn rows_since(&self, known: &[ChangeHash]) -> BTreeSet<RowKey> {
        let known: Vec<_> = known.iter().map(|hash| automerge::ChangeHash(hash.0)).collect();
        let mut keys: BTreeSet<String> = BTreeSet::new();
        let mut texts: BTreeSet<ObjId> = BTreeSet::new();
        for op in self.doc.get_changes(&known).iter().flat_map(|change| change.decode().operations) {
            texts.extend(text_of(&op));
            if let (legacy::ObjectId::Root, legacy::Key::Map(key)) = (op.obj, op.key) {
                keys.insert(key.to_string());
            }
        }
        let rows = keys.iter().filter_map(|key| Some(RowKey::from(&Address::parse(key)?)));
        rows.chain(self.rows_of_texts(&texts)).collect()
    }
}
