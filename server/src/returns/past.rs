//! The county as it was: a replica of the past in a store of its own, from which everything can be drawn that can be drawn
//! from the present.

use std::{collections::BTreeSet, sync::Arc};

use sync_protocol::{
    ChangeHash, Document,
    document::{RowKey, change_actor, change_dependencies},
};
use tempfile::TempDir;

use super::ReturnError;
use crate::{
    Server, projection,
    store::{DocumentWrite, NewChange, Store, StoreError, sqlite::SqliteStore},
    tallies::Tallies,
};

/// Documents in one commit.
const DOCUMENTS_PER_COMMIT: usize = 64;

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Everything that had come in by then, in milliseconds since 1970.
    Time(i64),
    /// Everything up to this number of the feed, which a sealed return names.
    Seq(i64),
}

/// A server on a store of the past.
#[derive(Debug)]
pub struct Past {
    /// It knows what was known then, in the units of today.
    pub server: Server,
    folder: TempDir,
}

impl Past {
    /// Makes the replica.
    pub async fn open(present: &Server, seq: i64) -> Result<Self, ReturnError> {
        let folder = tempfile::tempdir()?;
        let tally = Tallies::new(&present.catalogue, present.campaign_year);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("past.sqlite"), tally).await?);
        store.put_units(&present.store.units().await?).await?;
        let mut writes = Vec::new();
        for (identity, _) in present.store.all_identities().await? {
            let id = identity.document(&present.tenant);
            let known: BTreeSet<ChangeHash> = present.store.changes_until(id, seq).await?.into_iter().collect();
            let Some(stored) = present.store.document(id).await?.filter(|_| !known.is_empty()) else { continue };
            let then = tokio::task::spawn_blocking(move || {
                let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
                then(&document, &known)
            });
            let document = then.await.map_err(|e| StoreError::Database(e.to_string()))?;
            let Some(document) = document.map_err(|e| StoreError::Damaged(e.to_string()))? else { continue };
            let rows: BTreeSet<RowKey> = document.row_states().into_keys().collect();
            let change = |(hash, bytes): (ChangeHash, Vec<u8>)| {
                let actor = change_actor(&bytes).map_err(|e| StoreError::Damaged(e.to_string()))?;
                Ok(NewChange { hash, actor, bytes: None })
            };
            writes.push(DocumentWrite {
                document: id,
                identity,
                expected_heads: Vec::new(),
                heads: document.heads(),
                changes: document.changes_since(&[]).into_iter().map(change).collect::<Result<_, StoreError>>()?,
                snapshot: Some(document.save()),
                rows: projection::project(&document, &rows),
                wrong_steps: Vec::new(),
                device: None,
                received_at_ms: 0,
                binds: false,
            });
            if writes.len() == DOCUMENTS_PER_COMMIT {
                store.commit(std::mem::take(&mut writes)).await?;
            }
        }
        store.commit(writes).await?;
        Ok(Self { server: Server { store, ..present.clone() }, folder })
    }

    /// Closes the store and removes it.
    pub async fn close(self) {
        self.server.store.close().await;
        // The system removes what cannot be removed now.
        drop(self.folder.close());
    }
}

/// The document with these changes alone; none, if it had none of them. What was erased since is not there any more.
fn then(
    document: &Document,
    known: &BTreeSet<ChangeHash>,
) -> Result<Option<Document>, sync_protocol::document::DocumentError> {
    let (mut heads, mut inner) = (BTreeSet::new(), BTreeSet::new());
    for (hash, bytes) in document.changes_since(&[]) {
        if known.contains(&hash) {
            heads.insert(hash);
            inner.extend(change_dependencies(&bytes)?);
        }
    }
    let heads: Vec<ChangeHash> = heads.difference(&inner).copied().collect();
    if heads.is_empty() { Ok(None) } else { document.fork_at(&heads) }
}
