//! Taking back what one actor wrote, cell by cell: what somebody has edited since stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{Author, Document, DocumentError, Edit, LocalChange, RowKey};
use crate::{
    ids::{ActorId, ChangeHash, Identity},
    row::{Address, REMOVED},
    value::Value,
};

/// What taking back did.
#[derive(Debug)]
pub struct TakenBack {
    /// The change that does it, unless there was nothing to take back.
    pub change: Option<LocalChange>,
    /// Rows that it touches.
    pub touched: BTreeSet<RowKey>,
    /// Cells that somebody has edited since: they stay.
    pub kept: Vec<Address>,
}

impl Document {
    /// Gives the cells that an actor wrote, and that still say so, what they said before. A row that the actor made, and
    /// that nobody has touched since, is marked as removed.
    pub fn take_back(
        &mut self,
        identity: &Identity,
        actor: ActorId,
        author: &Author,
    ) -> Result<TakenBack, DocumentError> {
        let actor = automerge::ActorId::from(actor.0);
        let mut edits = Vec::new();
        let mut kept = Vec::new();
        for change in self.doc.get_changes(&[]).into_iter().filter(|change| *change.actor_id() == actor) {
            let (before, after) = (self.cells_at(change.deps())?, self.cells_at(&[change.hash()])?);
            let known: BTreeSet<RowKey> = before.keys().map(RowKey::from).collect();
            // Rows that are new, and whether every one of their cells is still as it was written.
            let mut new: BTreeMap<RowKey, (bool, Vec<Edit>)> = BTreeMap::new();
            for (address, _) in after.iter().filter(|(address, value)| before.get(*address) != Some(*value)) {
                let row = RowKey::from(address);
                let is_new = !known.contains(&row);
                if self.written_in(address) != Some(ChangeHash(change.hash().0)) {
                    kept.push(address.clone());
                    if is_new {
                        new.entry(row).or_default().0 = true;
                    }
                    continue;
                }
                let value = before.get(address).cloned().unwrap_or(Value::Null);
                let edit = Edit { address: address.clone(), value };
                if is_new { new.entry(row).or_default().1.push(edit) } else { edits.push(edit) }
            }
            for (row, (edited, own)) in new {
                let others = self.row_state(&row).row.cells.len() > own.len();
                // Whether a row as a whole is still as it was, its open book says: a twin has only some of its cells.
                if edited || others || identity.book.is_restricted() {
                    edits.extend(own);
                } else {
                    edits.push(Edit { address: Address::new(row.ledger, row.row, REMOVED), value: Value::Bool(true) });
                }
            }
        }
        let touched = edits.iter().map(|edit| RowKey::from(&edit.address)).collect();
        let change = self.write(identity, &edits, author)?;
        Ok(TakenBack { change, touched, kept })
    }
}
