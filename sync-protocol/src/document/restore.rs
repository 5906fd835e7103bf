//! Giving cells back what they said: what somebody has written who was not to decide it stays in the history, and nowhere else.

use std::collections::BTreeMap;

use automerge::{
    ActorId as AutomergeActor, ROOT, ReadDoc,
    transaction::{CommitOptions, Transactable},
};

use super::{Document, DocumentError, LocalChange, write::scalar};
use crate::{
    conflict::{ConflictValue, Provenance},
    ids::{ActorId, ChangeHash},
    row::Address,
    value::Value,
};

/// A cell, and what it shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where.
    pub address: Address,
    /// Its values, the winner first: several where people differ who may decide. None, and it is empty.
    pub values: Vec<ConflictValue>,
}

/// Values of one cell that are kept beside one another: more than anybody decides between.
const VALUES_MAX: usize = 16;

/// A value for a cell, so many times, and each time another one before it: both of the kind that the cell holds.
struct Put<'a> {
    address: &'a Address,
    value: &'a Value,
    other: Value,
    rounds: usize,
}

impl Document {
    /// Makes cells say what they shall, whatever they say now and however many values they have. Each change names whoever
    /// wrote the value that it keeps. `actors` gives actors that nobody has used yet.
    pub fn restore(
        &mut self,
        cells: &[Restored],
        time_s: i64,
        actors: &mut dyn FnMut() -> ActorId,
    ) -> Result<Vec<LocalChange>, DocumentError> {
        let before = self.heads();
        let failed = |e: automerge::AutomergeError| DocumentError::Apply(e.to_string());
        let mut single: BTreeMap<(String, Option<String>), (Provenance, Vec<Put<'_>>)> = BTreeMap::new();
        for Restored { address, values } in cells.iter().filter(|cell| cell.values.len() < 2) {
            let now = self.values(address);
            let value = values.first().map_or(&Value::Null, |value| &value.value);
            let is_said = now.first().map_or(&Value::Null, |now| &now.value) == value;
            if is_said && now.len() < 2 {
                continue;
            }
            let other = now.into_iter().map(|now| now.value).find(|now| now != value).unwrap_or(Value::Null);
            let kept = Provenance::keeping(values.first());
            let of = (kept.who.clone(), kept.source.clone());
            single.entry(of).or_insert_with(|| (kept, Vec::new())).1.push(Put { address, value, other, rounds: 1 });
        }
        if !single.is_empty() {
            let actor = actors();
            for (provenance, puts) in single.into_values() {
                self.put_over(&puts, actor, options(&provenance, time_s)).map_err(failed)?;
            }
        }
        for Restored { address, values } in cells.iter().filter(|cell| cell.values.len() > 1) {
            // Written beside one another, behind everything that is there: none of them has seen the others, and whoever
            // has written more often wins.
            let values = values.get(..VALUES_MAX).unwrap_or(values);
            let mut sides = Vec::with_capacity(values.len());
            for (index, value) in values.iter().enumerate() {
                let other = values.iter().map(|other| &other.value).find(|other| **other != value.value);
                let (other, rounds) = (other.cloned().unwrap_or(Value::Null), values.len() - index);
                let put = Put { address, value: &value.value, other, rounds };
                let kept = Provenance::keeping(Some(value));
                let mut side = self.clone();
                side.put_over(&[put], actors(), options(&kept, time_s)).map_err(failed)?;
                sides.push(side);
            }
            for side in &sides {
                self.merge(side)?;
            }
        }
        let new = self.changes_since(&before).into_iter();
        Ok(new.map(|(hash, bytes)| LocalChange { hash, bytes }).collect())
    }

    /// The document as the writer of a change saw it.
    pub fn seen_by(&self, change: ChangeHash) -> Result<Option<Document>, DocumentError> {
        let Some(change) = self.doc.get_change_by_hash(&automerge::ChangeHash(change.0)) else { return Ok(None) };
        let deps: Vec<ChangeHash> = change.deps().iter().map(|hash| ChangeHash(hash.0)).collect();
        self.fork_at(&deps)
    }

    /// Writes values in the place of all that is there, texts of many hands too.
    fn put_over(
        &mut self,
        puts: &[Put<'_>],
        actor: ActorId,
        options: CommitOptions,
    ) -> Result<Option<ChangeHash>, automerge::AutomergeError> {
        self.doc.set_actor(AutomergeActor::from(actor.0));
        let mut tx = self.doc.transaction();
        for Put { address, value, other, rounds } in puts {
            let key = address.key();
            for _ in 0..*rounds {
                // The winner's value once more would be no write: it would only take the others away.
                tx.put(ROOT, &key, scalar(other))?;
                tx.put(ROOT, &key, scalar(value))?;
            }
        }
        Ok(tx.commit_with(options).0.map(|hash| ChangeHash(hash.0)))
    }
}

fn options(provenance: &Provenance, time_s: i64) -> CommitOptions {
    let message = serde_json::to_string(provenance).expect("provenance has only text fields");
    CommitOptions::default().with_message(message).with_time(time_s)
}
