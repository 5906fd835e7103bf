//! What was written to the cells of an import, and what of it would stand without that import.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use automerge::{legacy, legacy::OpType};

use super::{Kept, Taking, texts::Letters};
use crate::{
    conflict::{Means, Provenance},
    document::{Document, RowKey, read::from_scalar},
    ids::{ActorId, ChangeHash},
    row::Address,
    value::Value,
};

/// An operation: its number and its actor, in the order in which the higher one wins.
pub(super) type OpId = (u64, Vec<u8>);

pub(super) fn op_id(id: &legacy::OpId) -> OpId {
    (id.counter(), id.actor().to_bytes().to_vec())
}

/// A change, as far as undoing looks at it.
struct Change {
    hash: ChangeHash,
    deps: Vec<ChangeHash>,
    actor: Vec<u8>,
    /// Written by the import that is taken back now.
    is_own: bool,
    /// Shall be as if it had never been: an import that was taken back, or the taking back of one.
    is_dropped: bool,
    is_undo: bool,
    first_op: u64,
    ops: Vec<legacy::Op>,
}

/// A write to a cell.
struct Write {
    id: OpId,
    change: usize,
    /// None takes values away.
    value: Option<Written>,
    replaces: Vec<OpId>,
}

enum Written {
    Scalar(Value),
    /// A long text, by the operation that made it.
    Text(OpId),
}

/// What has to happen to a cell.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// Values that have to stand beside what stays, the winner first.
    pub(super) missing: Vec<Value>,
    /// The changes of which the value in this cell goes away.
    pub(super) gone: Vec<ChangeHash>,
    /// Why something was kept.
    pub(super) kept: Option<Kept>,
}

/// All that was written to the cells that an import has written to.
pub(super) struct History {
    pub(super) cells: BTreeMap<Address, Cell>,
    /// Long texts that were written in without the import's letters: what they say then.
    pub(super) texts: BTreeMap<String, (OpId, String)>,
    /// Changes whose writers have seen what the import wrote.
    aware: HashSet<ChangeHash>,
}

impl History {
    pub(super) fn read(document: &Document, taking: &Taking<'_>) -> Self {
        let changes = changes(document, taking);
        let mut keys: BTreeSet<String> = taking.affirms.iter().map(Address::key).collect();
        let mut touched_texts: BTreeSet<OpId> = BTreeSet::new();
        for op in changes.iter().filter(|change| change.is_own).flat_map(|change| &change.ops) {
            match (&op.obj, &op.key) {
                (legacy::ObjectId::Root, legacy::Key::Map(key)) => {
                    keys.insert(key.to_string());
                }
                (legacy::ObjectId::Id(text), _) => {
                    touched_texts.insert(op_id(text));
                }
                _ => {}
            }
        }
        let mut writes: BTreeMap<&str, Vec<Write>> = BTreeMap::new();
        let mut made: BTreeMap<OpId, String> = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            for (number, op) in (change.first_op..).zip(&change.ops) {
                let (legacy::ObjectId::Root, legacy::Key::Map(key)) = (&op.obj, &op.key) else { continue };
                let id = (number, change.actor.clone());
                if touched_texts.contains(&id) {
                    made.insert(id.clone(), key.to_string());
                }
                if !keys.contains(key.as_str()) {
                    continue;
                }
                let value = match &op.action {
                    OpType::Put(value) => Some(Written::Scalar(from_scalar(value))),
                    OpType::Make(_) => Some(Written::Text(id.clone())),
                    _ => None,
                };
                let replaces = op.pred.iter().map(op_id).collect();
                writes.entry(key.as_str()).or_default().push(Write { id, change: index, value, replaces });
            }
        }
        let aware = aware(&changes);
        let letters = |text: &OpId| {
            let mut letters = Letters::default();
            for change in &changes {
                letters.read(text, change.first_op, &change.actor, &change.ops, change.is_dropped);
            }
            letters
        };
        let mut history = Self { cells: BTreeMap::new(), texts: BTreeMap::new(), aware };
        for key in &keys {
            let Some(address) = Address::parse(key) else { continue };
            let writes = writes.remove(key.as_str()).unwrap_or_default();
            let said = |written: &Written| match written {
                Written::Scalar(value) => value.clone(),
                Written::Text(text) => Value::Text(letters(text).without()),
            };
            let replay = Replay { changes: &changes, writes: &writes, taking };
            if let Some(cell) = replay.run(&address, &said) {
                history.cells.insert(address, cell);
            }
        }
        // Letters that the import has written into a text of somebody else.
        for (text, key) in made {
            let Some(address) = Address::parse(&key) else { continue };
            let wrote_on = |change: &Change| {
                let writes = |op: &legacy::Op| matches!(&op.obj, legacy::ObjectId::Id(id) if op_id(id) == text);
                !change.is_dropped && history.aware.contains(&change.hash) && change.ops.iter().any(writes)
            };
            let kept = changes.iter().any(wrote_on).then_some(Kept::Edited);
            let cell = history.cells.entry(address).or_default();
            cell.kept = cell.kept.or(kept);
            let without = letters(&text).without();
            history.texts.insert(key, (text, without));
        }
        history
    }

    /// What others have written, knowing of it, into rows of which nothing else is left.
    pub(super) fn stranded(&self, document: &Document) -> Vec<(Address, Kept)> {
        let emptied = self.cells.keys().filter(|address| document.get(address).is_none());
        let rows: BTreeSet<RowKey> = emptied.map(RowKey::from).collect();
        let mut stranded = Vec::new();
        for row in &rows {
            let mut cells = Vec::new();
            let mut is_all = true;
            document.each(&format!("{}/{}/", row.ledger, row.row), |address, _, _| {
                let change = document.written_in(&address);
                is_all &= change.is_some_and(|change| self.aware.contains(&change));
                cells.push((address, Kept::Edited));
            });
            if is_all {
                stranded.extend(cells);
            }
        }
        stranded
    }
}

fn changes(document: &Document, taking: &Taking<'_>) -> Vec<Change> {
    let read = |change: automerge::Change| {
        let provenance = change.message().and_then(|message| serde_json::from_str::<Provenance>(message).ok());
        let is_undo = provenance.is_some_and(|provenance| provenance.how == Means::Undo);
        let actor = change.actor_id().to_bytes().to_vec();
        let is_own = actor == taking.actor.0;
        Change {
            hash: ChangeHash(change.hash().0),
            deps: change.deps().iter().map(|hash| ChangeHash(hash.0)).collect(),
            is_own,
            is_dropped: is_own || is_undo || taking.before.iter().any(|before| before.0[..] == actor[..]),
            is_undo,
            first_op: change.start_op().get(),
            ops: change.decode().operations,
            actor,
        }
    };
    document.doc.get_changes(&[]).into_iter().map(read).collect()
}

/// Changes of others that came after the import's, knowing of them.
fn aware(changes: &[Change]) -> HashSet<ChangeHash> {
    let own: HashSet<ChangeHash> = changes.iter().filter(|change| change.is_own).map(|change| change.hash).collect();
    let mut aware: HashSet<ChangeHash> = HashSet::new();
    // They come in an order in which each stands behind those that it builds upon.
    for change in changes.iter().filter(|change| !change.is_own) {
        if change.deps.iter().any(|dep| own.contains(dep) || aware.contains(dep)) {
            aware.insert(change.hash);
        }
    }
    aware
}

/// The writes of one cell, run through without those that shall never have been.
struct Replay<'a> {
    changes: &'a [Change],
    writes: &'a [Write],
    taking: &'a Taking<'a>,
}

impl Replay<'_> {
    fn run(&self, address: &Address, said: &dyn Fn(&Written) -> Value) -> Option<Cell> {
        let at: HashMap<&OpId, usize> = self.writes.iter().enumerate().map(|(at, write)| (&write.id, at)).collect();
        let replaced: HashSet<usize> =
            self.writes.iter().flat_map(|w| &w.replaces).filter_map(|id| at.get(id).copied()).collect();
        let is_live = |write: usize| self.writes[write].value.is_some() && !replaced.contains(&write);
        // What an undo has taken away stood for nobody else then.
        let undoing = self.writes.iter().filter(|write| self.changes[write.change].is_undo);
        let taken_away: HashSet<&OpId> = undoing.flat_map(|write| &write.replaces).collect();
        let mut kept = None;
        let mut dropped: Vec<bool> = Vec::with_capacity(self.writes.len());
        for write in self.writes {
            let change = &self.changes[write.change];
            // Of what is taken back, some is somebody else's word, too.
            let affirmed = change.is_dropped
                && !change.is_undo
                && !taken_away.contains(&write.id)
                && actor(change).is_some_and(|actor| (self.taking.is_affirmed)(address, actor));
            dropped.push(change.is_dropped && !affirmed);
        }
        // Whatever has become of it since, it is said that another file says so.
        if self.writes.iter().zip(&dropped).any(|(write, dropped)| {
            self.changes[write.change].is_own && !dropped && write.value.is_some() && !taken_away.contains(&write.id)
        }) {
            kept = Some(Kept::Affirmed);
        }
        for write in self.decided_for(&at, &dropped) {
            dropped[write] = false;
            kept = Some(Kept::Edited);
        }
        // What stands without them: what none that stays has replaced, directly or across what is dropped.
        let mut superseded = vec![false; self.writes.len()];
        for write in (0..self.writes.len()).filter(|write| !dropped[*write]) {
            let mut across: Vec<&OpId> = self.writes[write].replaces.iter().collect();
            let mut seen = HashSet::new();
            while let Some(write) = across.pop().and_then(|id| at.get(id).copied()) {
                if !seen.insert(write) {
                    continue;
                }
                if dropped[write] {
                    if self.changes[self.writes[write].change].is_own {
                        kept = kept.or(Some(Kept::Edited));
                    }
                    across.extend(&self.writes[write].replaces);
                } else {
                    superseded[write] = true;
                }
            }
        }
        self.difference(said, (&dropped, &superseded, &is_live), kept)
    }

    fn difference(
        &self,
        said: &dyn Fn(&Written) -> Value,
        (dropped, superseded, is_live): (&[bool], &[bool], &dyn Fn(usize) -> bool),
        kept: Option<Kept>,
    ) -> Option<Cell> {
        let mut standing: Vec<(&OpId, Value)> = Vec::new();
        let mut wanted: Vec<(&OpId, Value)> = Vec::new();
        for (at, write) in self.writes.iter().enumerate().filter(|(at, _)| !dropped[*at] && !superseded[*at]) {
            let Some(value) = write.value.as_ref().map(said) else { continue };
            if is_live(at) { standing.push((&write.id, value)) } else { wanted.push((&write.id, value)) }
        }
        let stands = |value: &Value, standing: &[(&OpId, Value)]| standing.iter().any(|(_, known)| known == value);
        wanted.sort_by(|a, b| b.0.cmp(a.0));
        let mut cell = Cell { kept, ..Cell::default() };
        let live_dropped = (0..self.writes.len()).filter(|at| dropped[*at] && is_live(*at));
        for at in live_dropped {
            let (write, change) = (&self.writes[at], &self.changes[self.writes[at].change]);
            let value = write.value.as_ref().map_or(Value::Null, said);
            // What an earlier undo has put there is still right.
            let is_right = change.is_undo && !stands(&value, &standing) && wanted.iter().any(|(_, w)| *w == value);
            if is_right { standing.push((&write.id, value)) } else { cell.gone.push(change.hash) }
        }
        for (_, value) in wanted {
            if !stands(&value, &standing) && !cell.missing.contains(&value) {
                cell.missing.push(value);
            }
        }
        let is_own = self.writes.iter().any(|write| self.changes[write.change].is_own);
        (is_own || kept.is_some() || !cell.gone.is_empty() || !cell.missing.is_empty()).then_some(cell)
    }

    /// Writes that were left standing by somebody who has taken the others away: official clients settle a conflict so.
    fn decided_for(&self, at: &HashMap<&OpId, usize>, dropped: &[bool]) -> Vec<usize> {
        let mut decided = Vec::new();
        for (index, write) in self.writes.iter().enumerate() {
            if write.value.is_some() || dropped[index] {
                continue;
            }
            let known = self.known_to(write.change);
            let replaced: HashSet<usize> = self
                .writes
                .iter()
                .filter(|other| known.contains(&other.change))
                .flat_map(|other| &other.replaces)
                .chain(&write.replaces)
                .filter_map(|id| at.get(id).copied())
                .collect();
            let left = (0..self.writes.len()).filter(|other| {
                let other_write = &self.writes[*other];
                dropped[*other]
                    && other_write.value.is_some()
                    && known.contains(&other_write.change)
                    && !replaced.contains(other)
            });
            decided.extend(left);
        }
        decided
    }

    /// What a change builds upon.
    fn known_to(&self, change: usize) -> HashSet<usize> {
        let at: HashMap<ChangeHash, usize> = self.changes.iter().enumerate().map(|(at, c)| (c.hash, at)).collect();
        let (mut known, mut next) = (HashSet::new(), vec![change]);
        while let Some(change) = next.pop() {
            let deps = self.changes[change].deps.iter().filter_map(|dep| at.get(dep).copied());
            next.extend(deps.filter(|dep| known.insert(*dep)));
        }
        known
    }
}

fn actor(change: &Change) -> Option<ActorId> {
    Some(ActorId(change.actor.as_slice().try_into().ok()?))
}
