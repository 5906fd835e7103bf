//! Reading rows, cells and conflicts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use automerge::{ROOT, ReadDoc, ScalarValueRef, ValueRef};

use super::{Document, DocumentError, RowKey, text::text_of};
use crate::{
    conflict::{Conflict, ConflictValue, Means, Provenance},
    ids::{ChangeHash, RowId},
    row::{Address, Row},
    value::Value,
};

/// A row and what is in dispute about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowState {
    /// The winning values.
    pub row: Row,
    /// The cells that have other values as well.
    pub conflicts: Vec<Conflict>,
}

/// A cell that was written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellEdit {
    /// Where.
    pub address: Address,
    /// What it said before; none, if nobody had written to it.
    pub before: Option<Value>,
    /// What was written, by whom, and in which change.
    pub written: ConflictValue,
}

impl Document {
    /// The winning value of a cell; `None` when nobody wrote it.
    pub fn get(&self, address: &Address) -> Option<Value> {
        let (value, object) = self.doc.get(ROOT, address.key()).ok()??;
        Some(match value {
            automerge::Value::Object(_) => self.text(&object),
            automerge::Value::Scalar(scalar) => from_scalar(&scalar),
        })
    }

    /// All rows of a ledger, removed ones too, by row id.
    pub fn rows(&self, ledger: &str) -> BTreeMap<RowId, Row> {
        let mut rows = BTreeMap::new();
        self.each(&format!("{ledger}/"), |address, value, _| {
            rows.entry(address.row).or_insert_with(|| Row::new(address.row)).put(&address, value);
        });
        rows
    }

    /// Every row of every ledger with its conflicts.
    pub fn row_states(&self) -> BTreeMap<RowKey, RowState> {
        let mut states = BTreeMap::new();
        self.collect("", &mut states);
        states
    }

    /// One row with its conflicts; an empty row when nobody wrote to it.
    pub fn row_state(&self, key: &RowKey) -> RowState {
        let mut states = BTreeMap::new();
        self.collect(&format!("{}/{}/", key.ledger, key.row), &mut states);
        states.remove(key).unwrap_or_else(|| RowState { row: Row::new(key.row), conflicts: Vec::new() })
    }

    /// All conflicts of the document.
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.row_states().into_values().flat_map(|state| state.conflicts).collect()
    }

    /// The values of a cell that have not won.
    pub(super) fn losers(&self, address: &Address) -> Vec<Value> {
        let values = self.conflict(address.clone()).map(|conflict| conflict.values).unwrap_or_default();
        values.into_iter().skip(1).map(|value| value.value).collect()
    }

    /// The change that wrote the winning value of a cell.
    pub(super) fn written_in(&self, address: &Address) -> Option<ChangeHash> {
        let (_, id) = self.doc.get(ROOT, address.key()).ok()??;
        self.doc.hash_for_opid(&id).map(|hash| ChangeHash(hash.0))
    }

    /// The cells as they were when these changes were the newest.
    pub(super) fn cells_at(&self, heads: &[automerge::ChangeHash]) -> Result<BTreeMap<Address, Value>, DocumentError> {
        let mut cells = BTreeMap::new();
        if !heads.is_empty() {
            let doc = self.doc.fork_at(heads).map_err(|e| DocumentError::Apply(e.to_string()))?;
            Self { doc }.each("", |address, value, _| {
                cells.insert(address, value);
            });
        }
        Ok(cells)
    }

    /// Whether these operations were written by imports, or by the taking back of one.
    pub(super) fn are_of_imports(&self, ops: &[automerge::ObjId]) -> bool {
        ops.iter().all(|op| {
            let how = self.written_by(op).provenance.map(|provenance| provenance.how);
            matches!(how, Some(Means::Import | Means::Return | Means::Undo))
        })
    }

    /// Who wrote the winning value of a cell, and how.
    pub fn provenance(&self, address: &Address) -> Option<Provenance> {
        let (_, id) = self.doc.get(ROOT, address.key()).ok()??;
        self.written_by(&id).provenance
    }

    /// Everything that was ever written to a cell, oldest first. It looks through the whole document.
    pub fn history(&self, address: &Address) -> Vec<ConflictValue> {
        let key = address.key();
        let mut history = Vec::new();
        for change in self.doc.get_changes(&[]) {
            let mut last = None;
            self.each_write(&change, |written, value| {
                // What a change has written over itself nobody has ever seen.
                if written == key {
                    last = Some(value);
                }
            });
            history.extend(last.map(|value| ConflictValue { value, ..of_change(&change) }));
        }
        history
    }

    /// What was written since these changes, oldest first, with what the cell said before: each cell that a person has
    /// typed, and each that an import has overwritten.
    pub fn edits_beyond(&self, known: &BTreeSet<ChangeHash>) -> Vec<CellEdit> {
        let changes = self.doc.get_changes(&[]);
        let is_new = |change: &automerge::Change| !known.contains(&ChangeHash(change.hash().0));
        // Most documents are imported once, and hardly edited: cells of which nothing has to be said are not kept.
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for change in changes.iter().filter(|change| is_new(change) && !change.deps().is_empty()) {
            self.each_write(change, |key, _| {
                wanted.insert(key.to_owned());
            });
        }
        let mut edits = Vec::new();
        let mut said: BTreeMap<String, Value> = BTreeMap::new();
        for change in &changes {
            let (is_new, of) = (is_new(change), of_change(change));
            let is_import = of.provenance.as_ref().is_none_or(|by| matches!(by.how, Means::Import | Means::Carry));
            if wanted.is_empty() && (is_import || !is_new) {
                continue;
            }
            let mut written = BTreeMap::new();
            self.each_write(change, |key, value| {
                written.insert(key.to_owned(), value);
            });
            for (key, value) in written {
                let before = if wanted.contains(&key) { said.insert(key.clone(), value.clone()) } else { None };
                if is_new
                    && (!is_import || before.is_some())
                    && before.as_ref() != Some(&value)
                    && let Some(address) = Address::parse(&key)
                {
                    edits.push(CellEdit { address, before, written: ConflictValue { value, ..of.clone() } });
                }
            }
        }
        edits
    }

    /// Every cell that a change has written to.
    fn each_write(&self, change: &automerge::Change, mut visit: impl FnMut(&str, Value)) {
        use automerge::{legacy, legacy::OpType};
        let is_undo = of_change(change).provenance.is_some_and(|provenance| provenance.how == Means::Undo);
        let mut texts = BTreeSet::new();
        for op in change.decode().operations {
            texts.extend(text_of(&op));
            match (&op.obj, &op.key, &op.action) {
                (legacy::ObjectId::Root, legacy::Key::Map(key), OpType::Put(scalar)) => visit(key, from_scalar(scalar)),
                (legacy::ObjectId::Root, legacy::Key::Map(key), OpType::Make(_)) => {
                    visit(key, Value::Text(String::new()));
                }
                // Who settles a conflict may take the other values away: the cell says what it said. An undo empties it.
                (legacy::ObjectId::Root, legacy::Key::Map(key), OpType::Delete) if is_undo => visit(key, Value::Null),
                _ => {}
            }
        }
        for text in texts {
            let Some(key) = self.key_of_text(&text) else { continue };
            // As its writer left it.
            visit(&key, Value::Text(self.doc.text_at(&text, &[change.hash()]).unwrap_or_default()));
        }
    }

    fn collect(&self, prefix: &str, states: &mut BTreeMap<RowKey, RowState>) {
        let mut disputed = Vec::new();
        self.each(prefix, |address, value, conflict| {
            let key = RowKey::from(&address);
            let state = states
                .entry(key.clone())
                .or_insert_with(|| RowState { row: Row::new(address.row), conflicts: Vec::new() });
            state.row.put(&address, value);
            if conflict {
                disputed.push((key, address));
            }
        });
        for (key, address) in disputed {
            if let (Some(conflict), Some(state)) = (self.conflict(address), states.get_mut(&key)) {
                state.conflicts.push(conflict);
            }
        }
    }

    /// The conflict at a cell, unless all of its values are the same after normalisation.
    fn conflict(&self, address: Address) -> Option<Conflict> {
        let values = self.values(&address);
        (values.len() > 1).then_some(Conflict { address, values })
    }

    /// The values of a cell that are not the same after normalisation, the winner first; none when nobody wrote it.
    pub fn values(&self, address: &Address) -> Vec<ConflictValue> {
        let (mut values, mut known) = (Vec::new(), HashSet::new());
        // automerge lists the winner last.
        for (value, id) in self.doc.get_all(ROOT, address.key()).unwrap_or_default().into_iter().rev() {
            let value = match value {
                automerge::Value::Object(_) => self.text(&id),
                automerge::Value::Scalar(scalar) => from_scalar(&scalar),
            };
            if known.insert(value.compared()) {
                values.push(ConflictValue { value, ..self.written_by(&id) });
            }
        }
        values
    }

    pub(super) fn written_by(&self, id: &automerge::ObjId) -> ConflictValue {
        let hash = self.doc.hash_for_opid(id);
        let change = hash.and_then(|hash| self.doc.get_change_meta_by_hash(&hash));
        ConflictValue {
            value: Value::Null,
            change: ChangeHash(hash.map(|h| h.0).unwrap_or_default()),
            provenance: change.as_ref().and_then(|c| serde_json::from_str(c.message.as_deref()?).ok()),
            written_at_s: change.map(|c| c.timestamp).unwrap_or_default(),
        }
    }

    pub(super) fn each(&self, prefix: &str, mut visit: impl FnMut(Address, Value, bool)) {
        self.each_of(prefix, |address, value, conflict, _| visit(address, value, conflict));
    }

    /// The same, with the operation that wrote the winning value.
    pub(super) fn each_of(&self, prefix: &str, mut visit: impl FnMut(Address, Value, bool, &automerge::ObjId)) {
        // '0' follows '/' in ASCII: all keys below a prefix that ends in a slash.
        let end = prefix.strip_suffix('/').map(|stem| format!("{stem}0"));
        let range = (
            std::ops::Bound::Included(prefix.to_owned()),
            end.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded),
        );
        for item in self.doc.map_range(ROOT, range) {
            let Some(address) = Address::parse(&item.key) else { continue };
            let id = item.id();
            let value = match &item.value {
                ValueRef::Object(_) => self.text(&id),
                ValueRef::Scalar(scalar) => from_scalar_ref(scalar),
            };
            visit(address, value, item.conflict, &id);
        }
    }

    /// JavaScript clients write `Text` where we write scalar strings: both read the same.
    fn text(&self, object: &automerge::ObjId) -> Value {
        Value::Text(self.doc.text(object).unwrap_or_default())
    }
}

fn of_change(change: &automerge::Change) -> ConflictValue {
    ConflictValue {
        value: Value::Null,
        change: ChangeHash(change.hash().0),
        provenance: change.message().and_then(|message| serde_json::from_str(message).ok()),
        written_at_s: change.timestamp(),
    }
}

pub(super) fn from_scalar(scalar: &automerge::ScalarValue) -> Value {
    use automerge::ScalarValue as S;
    match scalar {
        S::Null => Value::Null,
        S::Boolean(flag) => Value::Bool(*flag),
        S::Int(number) | S::Timestamp(number) => Value::Int(*number),
        S::Str(text) => Value::Text(text.to_string()),
        // Numbers of foreign clients; the gate lets no other kind in.
        other => Value::Text(other.to_string()),
    }
}

fn from_scalar_ref(scalar: &ScalarValueRef<'_>) -> Value {
    match scalar {
        ScalarValueRef::Null => Value::Null,
        ScalarValueRef::Boolean(flag) => Value::Bool(*flag),
        ScalarValueRef::Int(number) | ScalarValueRef::Timestamp(number) => Value::Int(*number),
        ScalarValueRef::Str(text) => Value::Text(text.to_string()),
        other => Value::Text(other.to_string()),
    }
}
