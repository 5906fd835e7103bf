//! A supervisor lets a quarantined change in: past the permission that it lacked, never past the gate.

use std::collections::BTreeSet;

use serde_json::json;
use sync_protocol::{
    ChangeHash,
    catalogue::Actor,
    document::{Refusal, admit, change_dependencies},
};

use super::{Sync, push::Writer};
use crate::{
    audit::{By, Event},
    store::{Act, AuditEntry, Deed, Performed, QuarantineState, Quarantined, StoreError},
};

/// Why a quarantined change was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// No change of this hash waits.
    #[error("没有这项待处理的修改 no such change waits")]
    Unknown,
    /// It still does not fit the catalogue, or its document.
    #[error("仍不能接收 still cannot be taken: {0}")]
    Refused(#[from] Refusal),
    /// Somebody has decided on it.
    #[error("{0} | somebody else has decided on this change already")]
    Decided(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the audit log says of a change in quarantine.
pub fn note(held: &Quarantined, by: &By, event: Event) -> AuditEntry {
    let detail = json!({ "hash": held.hash.to_string(), "device": held.device.to_string() });
    by.notes(event, Some(held.identity.unit), &detail)
}

impl Sync {
    /// Admits a change with everything waiting that it builds upon; returns them all, oldest first. They are in their document,
    /// decided on and noted, or nothing is.
    pub async fn admit_quarantined(
        &self,
        hash: ChangeHash,
        by: impl Into<By>,
        now_ms: i64,
    ) -> Result<Vec<Quarantined>, AdmitError> {
        let by = by.into();
        let mut chosen: Vec<Quarantined> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![hash];
        while let Some(hash) = open.pop() {
            if !seen.insert(hash) {
                continue;
            }
            let held = self.store.quarantined_change(hash).await?;
            let is_of_it = |held: &Quarantined| chosen.first().is_none_or(|first| first.identity == held.identity);
            let held = held.filter(|held| held.state != QuarantineState::Admitted && is_of_it(held));
            let Some(held) = held else { continue };
            open.extend(change_dependencies(&held.bytes).unwrap_or_default());
            chosen.push(held);
        }
        chosen.reverse();
        let Some(last) = chosen.last() else { return Err(AdmitError::Unknown) };
        let (identity, device) = (last.identity.clone(), last.device);
        let mut changes = Vec::new();
        for held in &chosen {
            changes.push(admit(&held.bytes, identity.book, &self.catalogue, &self.limits)?);
        }
        // Whoever admits it decides that it is taken, not what its sender may decide: that it still proposes. Nor do they
        // decide whose an actor is.
        let record = self.store.device(device).await?;
        let (owner, actor) = match &record {
            Some(record) => (record.owner.clone(), self.actor(record).await?),
            None => (String::new(), Actor::Branch),
        };
        let writer = Writer { device, who: owner, actor, binds: false, trusted: BTreeSet::new() };
        let deed = Deed {
            act: Act::Settle {
                held: chosen.iter().map(|held| (held.hash, held.state)).collect(),
                state: QuarantineState::Admitted,
                who: by.name.clone(),
                at_ms: now_ms,
            },
            documents: Vec::new(),
            notes: chosen.iter().map(|held| note(held, &by, Event::QuarantineAdmitted)).collect(),
        };
        let Some((_, refused)) = self.store_changes(writer, &identity, changes, now_ms, Some(&deed)).await? else {
            return Err(self.decided(hash).await?);
        };
        match refused.into_iter().next() {
            Some((_, refusal, _)) => Err(refusal.into()),
            None => Ok(chosen),
        }
    }

    /// Leaves a change out for good; it is kept where it is. Noted, or not done. One that was left out is left out.
    pub async fn reject_quarantined(
        &self,
        hash: ChangeHash,
        by: impl Into<By>,
        now_ms: i64,
    ) -> Result<Quarantined, AdmitError> {
        let by = by.into();
        let held = self.store.quarantined_change(hash).await?.ok_or(AdmitError::Unknown)?;
        if held.state == QuarantineState::Rejected {
            return Ok(held);
        }
        let act = Act::Settle {
            held: vec![(hash, QuarantineState::Waiting)],
            state: QuarantineState::Rejected,
            who: by.name.clone(),
            at_ms: now_ms,
        };
        match self.store.perform(&Deed::new(act, note(&held, &by, Event::QuarantineRejected))).await? {
            Performed::Done(_) => Ok(held),
            Performed::Stale | Performed::NotNow => Err(self.decided(hash).await?),
        }
    }

    /// What somebody else has made of it.
    pub async fn decided(&self, hash: ChangeHash) -> Result<AdmitError, StoreError> {
        let Some(now) = self.store.quarantined_change(hash).await? else { return Ok(AdmitError::Unknown) };
        let who = now.decided_by.unwrap_or_default();
        Ok(AdmitError::Decided(match now.state {
            QuarantineState::Admitted => format!("已由 {who} 接收"),
            QuarantineState::Rejected => format!("已由 {who} 退回"),
            QuarantineState::Waiting => "刚被他人处理，请重新查看".into(),
        }))
    }
}
