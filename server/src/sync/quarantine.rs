//! A supervisor lets a quarantined change in: past the permission that it lacked, never past the gate.

use std::collections::BTreeSet;

use sync_protocol::{
    ChangeHash,
    catalogue::Actor,
    document::{Refusal, admit, change_dependencies},
};

use super::{Sync, push::Writer};
use crate::store::{QuarantineState, Quarantined, StoreError};

/// Why a quarantined change was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// No change of this hash waits.
    #[error("没有这项待处理的修改 no such change waits")]
    Unknown,
    /// It still does not fit the catalogue, or its document.
    #[error("仍不能接收 still cannot be taken: {0}")]
    Refused(#[from] Refusal),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sync {
    /// Admits a change with everything waiting that it builds upon; returns them all, oldest first.
    pub async fn admit_quarantined(
        &self,
        hash: ChangeHash,
        who: &str,
        now_ms: i64,
    ) -> Result<Vec<Quarantined>, AdmitError> {
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
        let (_, refused) = self.store_changes(writer, &identity, changes, now_ms).await?;
        if let Some((_, refusal, _)) = refused.into_iter().next() {
            return Err(refusal.into());
        }
        let hashes: Vec<ChangeHash> = chosen.iter().map(|held| held.hash).collect();
        self.store.decide_quarantined(&hashes, QuarantineState::Admitted, who, now_ms).await?;
        Ok(chosen)
    }
}
