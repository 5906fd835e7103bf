//! The threads that work on documents.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::store::StoreError;

/// As many threads as there are processors, always the same: more would not be faster, and each of them keeps what it has
/// once needed of memory.
#[derive(Debug)]
pub(super) struct Workers(rayon::ThreadPool);

impl Workers {
    pub(super) fn new() -> Self {
        let threads = rayon::ThreadPoolBuilder::new().thread_name(|number| format!("documents-{number}"));
        Self(threads.build().expect("a process may start threads"))
    }

    /// Does some work there. It only fails when the work panics.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.spawn(move || {
            // Whoever waits hears of a panic by the end of the channel, and may have stopped waiting.
            if let Ok(done) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = reply.send(done);
            }
        });
        answer.await.map_err(|_| StoreError::Database("work on a document was interrupted".into()))
    }
}
