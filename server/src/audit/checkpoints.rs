//! Checkpoints of the audit log, for whoever is to be a witness of it.

use std::sync::{Arc, Mutex, PoisonError};

use sync_protocol::{bundle::Keys, checkpoint::Checkpoint};

use super::tree::{self, Hash, Node};
use crate::{
    clock, installation,
    store::{Store, StoreError},
};

/// Makes checkpoints of one log.
#[derive(Debug)]
pub struct Checkpoints {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    county: String,
    /// The last one, and of how many lines it is: while the log stays as it is, it is given again.
    last: Mutex<Option<(u64, String)>>,
}

impl Checkpoints {
    /// Of the log of this store, signed with these keys.
    pub fn new(store: Arc<dyn Store>, keys: Arc<Keys>, county: String) -> Self {
        Self { store, keys, county, last: Mutex::new(None) }
    }

    /// Whose log it is: the county, and which of all databases.
    pub async fn origin(&self) -> Result<String, StoreError> {
        let installation = self.store.get_secret(installation::INSTALLATION).await?.unwrap_or_default();
        Ok(format!("taizhang/{}/{}", self.county, String::from_utf8_lossy(&installation)))
    }

    /// A checkpoint of the log as it is now; none, while it has no line.
    pub async fn now(&self) -> Result<Option<String>, StoreError> {
        let size = self.store.people().audit_lines().await?;
        if size == 0 {
            return Ok(None);
        }
        if let Some((of, text)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && *of == size
        {
            return Ok(Some(text.clone()));
        }
        let root = self.root(&tree::peaks(size)).await?;
        let checkpoint = Checkpoint { origin: self.origin().await?, size, root, at_ms: clock::now_ms() };
        let text = checkpoint.sign(&self.keys);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((size, text.clone()));
        Ok(Some(text))
    }

    /// The same for what goes on without one: a receipt is worth something without a checkpoint, too.
    pub async fn latest(&self) -> Option<String> {
        self.now().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "no checkpoint of the audit log can be made");
            None
        })
    }

    /// The proof that a log of so many lines is the beginning of this one of so many, as in RFC 6962.
    pub async fn proof(&self, from: u64, lines: u64) -> Result<Vec<Hash>, StoreError> {
        let mut proof = Vec::new();
        for part in tree::proof(from, lines) {
            proof.push(self.root(&part).await?);
        }
        Ok(proof)
    }

    async fn root(&self, nodes: &[Node]) -> Result<Hash, StoreError> {
        Ok(tree::root(&self.store.people().audit_nodes(nodes).await?))
    }
}
