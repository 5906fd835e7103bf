//! Work that takes longer than others may wait, on threads of its own.

use crate::store::StoreError;

/// Does it there. It only fails when the server stops or the work panics.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Database(format!("the work was interrupted: {e}")))
}
