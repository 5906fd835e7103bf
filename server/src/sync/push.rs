//! Changes from a device into documents: permission, gate, apply, commit, and only then a receipt.

use std::sync::{Arc, atomic::Ordering};

use sync_protocol::{
    ChangeHash, DeviceId, Document, DocumentId, Identity,
    catalogue::{Actor, Catalogue, Variables},
    document::{AdmittedChange, Applied, DocumentError, Refusal, RefusalCode, admit},
    message::{DocumentPush, PushedChange},
    session::{Scope, StoreOutcome},
};

use super::{Sync, steps};
use crate::{
    projection,
    store::{Committed, DeviceRecord, DocumentWrite, NewChange, StoreError, StoredDocument, wants_snapshot},
};

/// Attempts when other writers keep coming first.
const ATTEMPTS_MAX: usize = 16;

impl Sync {
    /// Takes one document's changes: an outcome for each of them.
    pub(super) async fn push(
        &self,
        device: &DeviceRecord,
        scope: &Scope,
        push: DocumentPush,
        now_ms: i64,
    ) -> Result<Vec<StoreOutcome>, StoreError> {
        let DocumentPush { identity, changes } = push;
        if let Some(refusal) = self.forbidden(scope, &identity).await? {
            return Ok(changes.into_iter().map(|change| (change.hash, Err(refusal.clone()))).collect());
        }
        // A device repeats itself until it has the receipt: what is known is acknowledged without loading anything.
        let hashes: Vec<ChangeHash> = changes.iter().map(|change| change.hash).collect();
        let known = self.store.known_changes(&hashes).await?;
        let (known, new): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| known.contains(&change.hash));
        let mut outcomes: Vec<StoreOutcome> = known.into_iter().map(|change| (change.hash, Ok(()))).collect();
        let mut admitted = Vec::new();
        for change in new {
            match self.admit(&change, &identity) {
                Ok(change) => admitted.push(change),
                Err(refusal) => outcomes.push((change.hash, Err(refusal))),
            }
        }
        if !admitted.is_empty() {
            outcomes.extend(self.store_changes(device, &identity, admitted, now_ms).await?);
        }
        Ok(outcomes)
    }

    async fn forbidden(&self, scope: &Scope, identity: &Identity) -> Result<Option<Refusal>, StoreError> {
        let allowed = scope.books.contains(&identity.book) && self.store.is_below(identity.unit, scope.unit).await?;
        Ok((!allowed).then(|| {
            Refusal::new(
                RefusalCode::Forbidden,
                "本设备无权填写该单位的这本台账 | this device may not write to that unit's book",
            )
        }))
    }

    /// Whom the device acts for: the level of the unit at the top of its scope.
    async fn actor(&self, device: &DeviceRecord) -> Result<Actor, StoreError> {
        let unit = self.store.unit(device.unit).await?;
        Ok(unit.map_or(Actor::Branch, |unit| unit.level.into()))
    }

    fn admit(&self, change: &PushedChange, identity: &Identity) -> Result<AdmittedChange, Refusal> {
        let admitted = admit(&change.bytes, identity.book, &self.catalogue, &self.limits)?;
        if admitted.hash() == change.hash {
            Ok(admitted)
        } else {
            Err(Refusal::new(RefusalCode::Malformed, "the change does not have the hash it was sent under"))
        }
    }

    /// Applies and commits; starts anew when somebody else wrote to the document meanwhile.
    async fn store_changes(
        &self,
        device: &DeviceRecord,
        identity: &Identity,
        changes: Vec<AdmittedChange>,
        now_ms: i64,
    ) -> Result<Vec<StoreOutcome>, StoreError> {
        let id = identity.document(&self.tenant);
        let actor = self.actor(device).await?;
        // Held until the write is durable, on purpose: what follows would be stale otherwise.
        let _turn = self.turn(id).lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.store.document(id).await?;
            self.counters.documents_loaded.fetch_add(u64::from(stored.is_some()), Ordering::Relaxed);
            let arrival = Arrival {
                document: id,
                identity: identity.clone(),
                device: device.id,
                actor,
                received_at_ms: now_ms,
                catalogue: self.catalogue.clone(),
                variables: self.variables.clone(),
            };
            let changes = changes.clone();
            let applied = tokio::task::spawn_blocking(move || apply(arrival, stored, changes))
                .await
                .map_err(|e| StoreError::Database(format!("applying changes was interrupted: {e}")))??;
            let Some(write) = applied.write else { return Ok(applied.outcomes) };
            if self.store.commit(vec![write]).await? == [Committed::Durable] {
                return Ok(applied.outcomes);
            }
        }
        Err(StoreError::Database(format!("document {id} is written to by too many at once")))
    }
}

/// What is known of a delivery before its changes are looked at.
struct Arrival {
    document: DocumentId,
    identity: Identity,
    device: DeviceId,
    actor: Actor,
    received_at_ms: i64,
    catalogue: Arc<Catalogue>,
    variables: Arc<Variables>,
}

struct Delivered {
    outcomes: Vec<StoreOutcome>,
    /// None when nothing could be applied.
    write: Option<DocumentWrite>,
}

/// Pure: a stored document and changes in, a write and outcomes out.
fn apply(
    arrival: Arrival,
    stored: Option<StoredDocument>,
    changes: Vec<AdmittedChange>,
) -> Result<Delivered, StoreError> {
    let loose = stored.as_ref().map_or(0, |stored| stored.changes.len());
    let (mut document, expected_heads) = match stored {
        Some(stored) => {
            let document = Document::load(stored.snapshot.as_deref(), &stored.changes)
                .map_err(|e| StoreError::Damaged(e.to_string()))?;
            (document, stored.heads)
        }
        None => (Document::new(), Vec::new()),
    };
    let mut outcomes = Vec::new();
    let mut taken = Vec::new();
    let mut touched = std::collections::BTreeSet::new();
    let mut wrong_steps = Vec::new();
    let mut take = |document: &mut Document, batch: Vec<AdmittedChange>| match document.apply(batch.clone()) {
        Ok(Applied { touched: rows, before }) => {
            let (catalogue, variables) = (&arrival.catalogue, &arrival.variables);
            wrong_steps.extend(steps::wrong_steps(&before, document, &rows, arrival.actor, catalogue, variables));
            touched.extend(rows);
            taken.extend(batch);
            Ok(())
        }
        Err(error) => Err(error),
    };
    // All at once, which is the rule; one by one to find the bad one, which is the exception.
    if take(&mut document, changes.clone()).is_err() {
        for change in changes {
            let hash = change.hash();
            if let Err(error) = take(&mut document, vec![change]) {
                let code = match error {
                    DocumentError::MissingDependencies(_) => RefusalCode::MissingDependencies,
                    _ => RefusalCode::Malformed,
                };
                outcomes.push((hash, Err(Refusal::new(code, error.to_string()))));
            }
        }
    }
    outcomes.extend(taken.iter().map(|change| (change.hash(), Ok(()))));
    let snapshot = wants_snapshot(loose, taken.len()).then(|| document.save());
    let write = (!taken.is_empty()).then(|| DocumentWrite {
        document: arrival.document,
        identity: arrival.identity,
        expected_heads,
        heads: document.heads(),
        changes: taken
            .iter()
            .map(|change| NewChange {
                hash: change.hash(),
                actor: change.actor(),
                bytes: Some(change.bytes().to_vec()),
            })
            .collect(),
        snapshot,
        rows: projection::project(&document, &touched),
        wrong_steps,
        device: Some(arrival.device),
        received_at_ms: arrival.received_at_ms,
    });
    Ok(Delivered { outcomes, write })
}
