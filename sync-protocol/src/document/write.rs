//! Writing cells: one saved form, or one import, is one change.

use automerge::{
    ActorId as AutomergeActor, ROOT, ReadDoc, ScalarValue,
    hydrate::{Map, MapValue, Value as Hydrated},
    transaction::{CommitOptions, Transactable},
};

use super::{Document, DocumentError, FORMAT};
use crate::{
    conflict::Provenance,
    ids::{ActorId, ChangeHash, Identity},
    row::Address,
    value::Value,
};

/// Who writes, as which actor, at what device time.
#[derive(Debug, Clone)]
pub struct Author {
    /// Random per installation and session.
    pub actor: ActorId,
    /// Who and how.
    pub provenance: Provenance,
    /// Seconds since 1970 by the writer's clock.
    pub time_s: i64,
}

/// A new value for a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub address: Address,
    /// What it shall say.
    pub value: Value,
}

/// A change made here, not yet anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChange {
    /// Its hash: the name in receipts.
    pub hash: ChangeHash,
    /// Its uncompressed chunk.
    pub bytes: Vec<u8>,
}

impl Document {
    /// Writes the cells that differ from what is there, as one change; `None` when nothing differs.
    /// A cell in conflict whose winner equals the new value stays in conflict: see [`Self::settle`].
    pub fn write(
        &mut self,
        identity: &Identity,
        edits: &[Edit],
        author: &Author,
    ) -> Result<Option<LocalChange>, DocumentError> {
        let written = if self.is_empty() {
            self.write_first(identity, edits, author)
        } else {
            let different: Vec<_> =
                edits.iter().filter(|edit| self.get(&edit.address).as_ref() != Some(&edit.value)).collect();
            self.put(&different, author.actor, options(author))
        };
        written.map(|hash| hash.map(|hash| self.local_change(hash))).map_err(|e| DocumentError::Apply(e.to_string()))
    }

    /// Like [`Self::write`] for a document that is only kept as a snapshot: the change's own bytes
    /// are not asked for, which halves the cost of an import.
    pub fn write_hash(
        &mut self,
        identity: &Identity,
        edits: &[Edit],
        author: &Author,
    ) -> Result<Option<ChangeHash>, DocumentError> {
        debug_assert!(self.is_empty(), "only a first write may skip its bytes");
        self.write_first(identity, edits, author).map_err(|e| DocumentError::Apply(e.to_string()))
    }

    /// A person decides what a cell says: written even if it is the winner already, since writing it is
    /// what ends the conflict on every replica.
    pub fn settle(
        &mut self,
        address: &Address,
        value: &Value,
        author: &Author,
    ) -> Result<Option<LocalChange>, DocumentError> {
        let edit = Edit { address: address.clone(), value: value.clone() };
        let mut edits = vec![&edit];
        // Putting the winner's value once more would only delete the others: no change for a gate to take, and none that
        // says who has decided. One of the others is put first.
        let is_winner = self.get(address).as_ref() == Some(value);
        let other = if is_winner { self.losers(address).into_iter().next() } else { None };
        let other = other.map(|value| Edit { address: address.clone(), value });
        if let Some(other) = &other {
            edits.insert(0, other);
        }
        let written =
            self.put(&edits, author.actor, options(author)).map_err(|e| DocumentError::Apply(e.to_string()))?;
        Ok(written.map(|hash| self.local_change(hash)))
    }

    pub(super) fn put(
        &mut self,
        edits: &[&Edit],
        actor: ActorId,
        options: CommitOptions,
    ) -> Result<Option<ChangeHash>, automerge::AutomergeError> {
        if edits.is_empty() {
            return Ok(None);
        }
        self.doc.set_actor(AutomergeActor::from(actor.0));
        let mut tx = self.doc.transaction();
        for edit in edits {
            let key = edit.address.key();
            match (tx.get(ROOT, &key)?, &edit.value) {
                // A long text that people write together keeps being merged letter by letter.
                (Some((automerge::Value::Object(automerge::ObjType::Text), object)), Value::Text(text)) => {
                    tx.update_text(&object, text)?;
                }
                (_, value) => tx.put(ROOT, key, scalar(value))?,
            }
        }
        Ok(tx.commit_with(options).0.map(|h| ChangeHash(h.0)))
    }

    /// Writes nothing but what the document is of.
    pub(super) fn begin(
        &mut self,
        identity: &Identity,
        actor: ActorId,
    ) -> Result<Option<ChangeHash>, automerge::AutomergeError> {
        self.write_root(identity, &[], actor, CommitOptions::default())
    }

    /// The fast path for a document nobody wrote to: all cells at once, a tenth of the cost of `put`.
    fn write_first(
        &mut self,
        identity: &Identity,
        edits: &[Edit],
        author: &Author,
    ) -> Result<Option<ChangeHash>, automerge::AutomergeError> {
        if edits.is_empty() {
            return Ok(None);
        }
        self.write_root(identity, edits, author.actor, options(author))
    }

    fn write_root(
        &mut self,
        identity: &Identity,
        edits: &[Edit],
        actor: ActorId,
        options: CommitOptions,
    ) -> Result<Option<ChangeHash>, automerge::AutomergeError> {
        let mut cells = Map::default();
        cells.reserve(edits.len() + 4);
        let mut put = |key: String, value: ScalarValue| {
            cells.insert(key, MapValue { value: Hydrated::Scalar(value), conflict: false });
        };
        put("@format".to_owned(), ScalarValue::Int(FORMAT));
        put("@unit".to_owned(), ScalarValue::Str(identity.unit.to_string().into()));
        put("@book".to_owned(), ScalarValue::Str(identity.book.as_str().into()));
        put("@period".to_owned(), ScalarValue::Str(identity.period.as_str().into()));
        for edit in edits {
            put(edit.address.key(), scalar(&edit.value));
        }
        self.doc.set_actor(AutomergeActor::from(actor.0));
        let mut tx = self.doc.transaction();
        tx.init_root_from_hydrate(&cells)?;
        Ok(tx.commit_with(options).0.map(|h| ChangeHash(h.0)))
    }

    fn local_change(&self, hash: ChangeHash) -> LocalChange {
        let change = self
            .doc
            .get_change_by_hash(&automerge::ChangeHash(hash.0))
            .expect("a change that was just committed is in the document");
        LocalChange { hash, bytes: change.raw_bytes().to_vec() }
    }
}

pub(super) fn options(author: &Author) -> CommitOptions {
    let message = serde_json::to_string(&author.provenance).expect("provenance has only text fields");
    CommitOptions::default().with_message(message).with_time(author.time_s)
}

pub(super) fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(flag) => ScalarValue::Boolean(*flag),
        Value::Int(number) => ScalarValue::Int(*number),
        Value::Text(text) => ScalarValue::Str(text.as_str().into()),
    }
}
