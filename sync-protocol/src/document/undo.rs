//! Taking back what an import wrote: each cell says what it would say had that import never been.
//!
//! Every write of a cell names the writes that it has replaced. Without the writes of the import, each cell has those values
//! that nobody else has replaced: what the import itself had replaced stands again, what others have written meanwhile, beside
//! it or on top of it, stays. [`replay`] finds those values; what differs is written where only the import's own writes are in
//! sight, so that nothing else is replaced, not even what is still on its way.

mod replay;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use automerge::{ActorId as AutomergeActor, ROOT, ReadDoc, transaction::Transactable};
use sha2::{Digest, Sha256};

use self::replay::{Cell, History};
use super::{
    Author, Document, DocumentError, LocalChange, RowKey,
    write::{options, scalar},
};
use crate::{
    ids::{ActorId, ChangeHash},
    row::Address,
    value::Value,
};

/// What shall be as if it had never been.
pub struct Taking<'a> {
    /// The import.
    pub actor: ActorId,
    /// Other imports that were taken back before.
    pub before: &'a [ActorId],
    /// Whether an import that stands has found the cell saying, in that import's words, what its own file says.
    pub is_affirmed: &'a (dyn Fn(&Address, ActorId) -> bool + Sync),
    /// Cells that the import has found saying what its file says.
    pub affirms: &'a BTreeSet<Address>,
}

impl std::fmt::Debug for Taking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taking").field("actor", &self.actor).field("before", &self.before).finish_non_exhaustive()
    }
}

/// Why a cell stays as it is, or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Somebody has seen what the import wrote, and has written on top of it or has decided for it.
    Edited,
    /// Another import, which stands, says the same.
    Affirmed,
}

/// What became of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenCell {
    /// Where.
    pub address: Address,
    /// What it said, the winner first; nothing, if nobody had written to it.
    pub before: Vec<Value>,
    /// What it says now.
    pub after: Vec<Value>,
    /// Why something of it was kept.
    pub kept: Option<Kept>,
}

/// What taking back did.
#[derive(Debug)]
pub struct TakenBack {
    /// The changes that do it; none where there was nothing to take back.
    pub changes: Vec<LocalChange>,
    /// Rows that they touch.
    pub touched: BTreeSet<RowKey>,
    /// The cells that the import had written to, and those that stay because somebody has worked on them.
    pub cells: Vec<TakenCell>,
}

impl TakenBack {
    /// Cells that stay, and why.
    pub fn kept(&self) -> impl Iterator<Item = (&Address, Kept)> {
        self.cells.iter().filter_map(|cell| Some((&cell.address, cell.kept?)))
    }
}

/// What is written where one change of an import, and nothing that came after it, is in sight.
#[derive(Default)]
struct Part {
    /// The first value of each cell; none takes the import's away.
    first: BTreeMap<String, Option<Value>>,
    /// Others beside it, the loser last.
    beside: Vec<BTreeMap<String, Value>>,
}

impl Document {
    /// Gives each cell that an import wrote the values that it would have without it.
    pub fn take_back(&mut self, taking: &Taking<'_>, author: &Author) -> Result<TakenBack, DocumentError> {
        let history = History::read(self, taking);
        let base = self.heads();
        let mut cells: BTreeMap<Address, TakenCell> = BTreeMap::new();
        let mut parts: BTreeMap<ChangeHash, Part> = BTreeMap::new();
        let mut alone: Vec<(String, Value)> = Vec::new();
        for (address, cell) in &history.cells {
            let entry =
                TakenCell { address: address.clone(), before: self.said(address), after: Vec::new(), kept: cell.kept };
            cells.insert(address.clone(), entry);
            part(&address.key(), cell, &mut parts, &mut alone);
        }
        let mut number = 0;
        let mut actor = || {
            number += 1;
            derived(author.actor, number)
        };
        let failed = |e: automerge::AutomergeError| DocumentError::Apply(e.to_string());
        for (at, part) in parts {
            for edits in part.into_changes() {
                let Some(mut fork) = self.fork_at(&[at])? else { continue };
                fork.over(&edits, actor(), author).map_err(failed)?;
                self.merge(&fork)?;
            }
        }
        for (key, value) in alone {
            let mut fork = Document::new();
            fork.over(&[(key, Some(value))], actor(), author).map_err(failed)?;
            self.merge(&fork)?;
        }
        self.rewrite_texts(&history, actor(), author).map_err(failed)?;
        for (address, kept) in history.stranded(self) {
            let values = self.said(&address);
            let cell = TakenCell { address: address.clone(), before: values, after: Vec::new(), kept: Some(kept) };
            cells.entry(address).or_insert(cell).kept.get_or_insert(kept);
        }
        let mut cells: Vec<TakenCell> = cells.into_values().collect();
        for cell in &mut cells {
            cell.after = self.said(&cell.address);
        }
        let changes: Vec<LocalChange> =
            self.changes_since(&base).into_iter().map(|(hash, bytes)| LocalChange { hash, bytes }).collect();
        Ok(TakenBack { changes, touched: self.rows_since(&base), cells })
    }

    /// The values of a cell, the winner first.
    fn said(&self, address: &Address) -> Vec<Value> {
        let winner = self.get(address);
        winner.into_iter().chain(self.losers(address)).collect()
    }

    /// Writes over what is here: a value, or nothing where a value was.
    fn over(
        &mut self,
        edits: &[(String, Option<Value>)],
        actor: ActorId,
        author: &Author,
    ) -> Result<(), automerge::AutomergeError> {
        self.doc.set_actor(AutomergeActor::from(actor.0));
        let mut tx = self.doc.transaction();
        for (key, value) in edits {
            let known = tx.get(ROOT, key.as_str())?;
            let value = value.as_ref().map(scalar);
            // Putting what is there already would write nothing.
            let is_there = matches!((&known, &value), (Some((automerge::Value::Scalar(known), _)), Some(value)) if **known == *value);
            if known.is_some() && (is_there || value.is_none()) {
                tx.delete(ROOT, key.as_str())?;
            }
            if let Some(value) = value {
                tx.put(ROOT, key, value)?;
            }
        }
        tx.commit_with(options(author));
        Ok(())
    }
}

/// Where the values of a cell have to be written.
fn part(key: &str, cell: &Cell, parts: &mut BTreeMap<ChangeHash, Part>, alone: &mut Vec<(String, Value)>) {
    let mut missing = cell.missing.iter();
    for at in &cell.gone {
        parts.entry(*at).or_default().first.insert(key.to_owned(), missing.next().cloned());
    }
    let Some(at) = cell.gone.first() else {
        alone.extend(missing.map(|value| (key.to_owned(), value.clone())));
        return;
    };
    for (slot, value) in missing.enumerate() {
        let beside = &mut parts.entry(*at).or_default().beside;
        beside.resize_with(beside.len().max(slot + 1), BTreeMap::new);
        beside[slot].insert(key.to_owned(), value.clone());
    }
}

impl Part {
    /// Writes for each fork. Cells with several values come first, and later in the fork of the winner than in the others:
    /// a higher number wins.
    fn into_changes(mut self) -> Vec<Vec<(String, Option<Value>)>> {
        let mut changes = vec![Vec::new()];
        if let Some(beside) = self.beside.first() {
            for (key, value) in beside {
                let first = self.first.remove(key).flatten();
                if changes[0].is_empty() {
                    changes[0].push((key.clone(), Some(value.clone())));
                }
                changes[0].push((key.clone(), first));
            }
        }
        changes[0].extend(self.first);
        let others = self.beside.into_iter();
        changes.extend(others.map(|edits| edits.into_iter().map(|(key, value)| (key, Some(value))).collect()));
        changes
    }
}

/// One of the actors of an undo: writes beside each other must not be of one.
fn derived(actor: ActorId, number: u32) -> ActorId {
    let digest = Sha256::new_with_prefix(b"undo").chain_update(actor.0).chain_update(number.to_be_bytes()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    ActorId(bytes)
}
