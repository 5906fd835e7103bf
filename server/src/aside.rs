//! Work that takes longer than others may wait, on threads of its own.

use std::{panic::resume_unwind, sync::LazyLock};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::{origin::Carried, store::StoreError};

/// Threads that have what others leave of the processor: some work takes a core for seconds, and whoever waits for a receipt with
/// a phone in their hand comes first.
static BEHIND: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("behind")
        .on_thread_start(importer::isolate::give_way)
        .enable_all()
        .build()
});

/// Does it there. It only fails when the server stops or the work panics.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Database(format!("the work was interrupted: {e}")))
}

/// Does it behind everything else, with whatever it puts aside. It ends when nobody waits for it any more.
pub(crate) async fn behind<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let Ok(runtime) = BEHIND.as_ref() else { return work.await };
    let mut task = JoinSet::new();
    task.spawn_on(Carried::here().on(work), runtime.handle());
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
        // It is only cancelled with the process, and nobody waits then.
        Some(Err(_)) | None => std::future::pending().await,
    }
}
