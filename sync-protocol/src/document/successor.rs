//! Forgetting rows for good. A document cannot forget: what was ever written stays in its history. So it gets a successor,
//! which begins anew without those rows and without the history; every replica puts it in place of what it holds.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{legacy, transaction::CommitOptions};

use super::{Document, DocumentError, Edit, LocalChange, RowKey};
use crate::{
    ids::{ActorId, ChangeHash, Identity},
    row::Address,
    value::Value,
};

/// A cell that was edited in a change that the successor does not stand for.
struct Carried {
    /// What it said before, as its writer saw it.
    seen: Option<Value>,
    /// What it was made to say, last.
    value: Value,
    /// The change that did.
    change: ChangeHash,
}

impl Document {
    /// The document without these rows and without its history. Every other value stays, losers of a merge too, and each
    /// still says who wrote it and when. `actors` gives actors that nobody has used yet. Comes with its first change: a
    /// replica that holds this change has put the successor in place.
    pub fn successor(
        &self,
        identity: &Identity,
        erased: &BTreeSet<RowKey>,
        actors: &mut dyn FnMut() -> ActorId,
    ) -> Result<(Document, ChangeHash), DocumentError> {
        let mut winners: BTreeMap<ChangeHash, Vec<Edit>> = BTreeMap::new();
        let mut losers: Vec<(ChangeHash, Edit)> = Vec::new();
        for (row, state) in self.row_states().into_iter().filter(|(row, _)| !erased.contains(row)) {
            for conflict in state.conflicts {
                for value in conflict.values.into_iter().skip(1) {
                    losers.push((value.change, Edit { address: conflict.address.clone(), value: value.value }));
                }
            }
            self.each(&format!("{}/{}/", row.ledger, row.row), |address, value, _| {
                let change = self.written_in(&address).unwrap_or(ChangeHash([0; 32]));
                winners.entry(change).or_default().push(Edit { address, value });
            });
        }
        let mut successor = Document::new();
        let mut parts = Vec::new();
        let actor = actors();
        let root = successor.begin(identity, actor).map_err(|e| DocumentError::Apply(e.to_string()))?;
        let root = root.ok_or_else(|| DocumentError::Apply("a successor without a first change".into()))?;
        for (hash, _) in self.changes_since(&[]) {
            let Some(edits) = winners.remove(&hash) else { continue };
            successor
                .put(&edits.iter().collect::<Vec<_>>(), actor, self.signed(hash))
                .map_err(|e| DocumentError::Apply(e.to_string()))?;
        }
        for (hash, edit) in losers {
            // Alone in a document of its own, its number is lower than the winner's, which stands behind the marks.
            let mut part = Document::new();
            part.put(&[&edit], actors(), self.signed(hash)).map_err(|e| DocumentError::Apply(e.to_string()))?;
            parts.push(part);
        }
        for part in &parts {
            successor.merge(part)?;
        }
        Ok((successor, root))
    }

    /// Writes what stands in changes of `old` that this successor does not stand for into it. What their writer saw is
    /// replaced; where somebody else has written meanwhile, both values stay. Rows that were erased stay so.
    pub fn carry_over(
        &mut self,
        old: &Document,
        covers: &BTreeSet<ChangeHash>,
        erased: &BTreeSet<RowKey>,
        actors: &mut dyn FnMut() -> ActorId,
    ) -> Result<Vec<LocalChange>, DocumentError> {
        let mut carried: BTreeMap<Address, Carried> = BTreeMap::new();
        for change in old.doc.get_changes(&[]) {
            let hash = ChangeHash(change.hash().0);
            if covers.contains(&hash) || self.contains(hash) {
                continue;
            }
            let (before, after) = (old.cells_at(change.deps())?, old.cells_at(&[change.hash()])?);
            for address in addresses(&change) {
                let Some(value) = after.get(&address).cloned() else { continue };
                let seen = before.get(&address).cloned();
                let cell = carried.entry(address).or_insert(Carried { seen, value: Value::Null, change: hash });
                (cell.value, cell.change) = (value, hash);
            }
        }
        carried.retain(|address, _| !erased.contains(&RowKey::from(address)));
        let mut above: BTreeMap<ChangeHash, Vec<Edit>> = BTreeMap::new();
        let mut beside = Vec::new();
        for (address, Carried { seen, value, change }) in carried {
            let now = self.get(&address);
            if now.as_ref() == Some(&value) {
                continue;
            }
            let edit = Edit { address, value };
            if now == seen { above.entry(change).or_default().push(edit) } else { beside.push((change, edit)) }
        }
        let base = self.heads();
        let actor = actors();
        for (hash, _) in old.changes_since(&[]) {
            let Some(edits) = above.remove(&hash) else { continue };
            self.put(&edits.iter().collect::<Vec<_>>(), actor, old.signed(hash))
                .map_err(|e| DocumentError::Apply(e.to_string()))?;
        }
        for (hash, edit) in beside {
            let mut part = Document::new();
            part.put(&[&edit], actors(), old.signed(hash)).map_err(|e| DocumentError::Apply(e.to_string()))?;
            self.merge(&part)?;
        }
        let new = self.changes_since(&base).into_iter();
        Ok(new.map(|(hash, bytes)| LocalChange { hash, bytes }).collect())
    }

    /// Whether anything was ever written to a row.
    pub fn mentions(&self, row: &RowKey) -> bool {
        self.doc
            .get_changes(&[])
            .iter()
            .any(|change| addresses(change).iter().any(|address| RowKey::from(address) == *row))
    }

    /// Who and when of a change, for one that repeats it.
    fn signed(&self, hash: ChangeHash) -> CommitOptions {
        let meta = self.doc.get_change_meta_by_hash(&automerge::ChangeHash(hash.0));
        let Some(meta) = meta else { return CommitOptions::default() };
        let options = CommitOptions::default().with_time(meta.timestamp);
        match meta.message {
            Some(message) => options.with_message(message.to_string()),
            None => options,
        }
    }
}

/// The rows that a change chunk writes to.
pub fn change_rows(bytes: &[u8]) -> Result<BTreeSet<RowKey>, DocumentError> {
    let change = automerge::Change::from_bytes(bytes.to_vec()).map_err(|e| DocumentError::Load(e.to_string()))?;
    Ok(addresses(&change).iter().map(RowKey::from).collect())
}

fn addresses(change: &automerge::Change) -> BTreeSet<Address> {
    let keys = change.decode().operations.into_iter().filter(|op| op.obj == legacy::ObjectId::Root);
    keys.filter_map(|op| match op.key {
        legacy::Key::Map(key) => Address::parse(key.as_str()),
        legacy::Key::Seq(_) => None,
    })
    .collect()
}
