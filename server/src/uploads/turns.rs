//! Whose file is worked on next: each sender has one turn at a time, and some senders have theirs at once.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Queue, MutexGuard, OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::auth::Caller;

/// Turns.
#[derive(Debug)]
pub(super) struct Turns {
    all: Semaphore,
    /// Files are written one after the other.
    writing: Queue<()>,
    senders: Mutex<Vec<(Caller, Weak<Queue<()>>)>>,
}

/// A turn: it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    _writing: Option<MutexGuard<'t, ()>>,
    _all: Option<SemaphorePermit<'t>>,
    _own: OwnedMutexGuard<()>,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self { all: Semaphore::new(at_once), writing: Queue::default(), senders: Mutex::default() }
    }

    /// Waits for a sender's turn.
    pub(super) async fn of(&self, sender: &Caller) -> Turn<'_> {
        let own = self.queue(sender).lock_owned().await;
        // It is never closed.
        Turn { _own: own, _all: self.all.acquire().await.ok(), _writing: None }
    }

    /// Waits for a sender's turn to write.
    pub(super) async fn to_write(&self, sender: &Caller) -> Turn<'_> {
        let own = self.queue(sender).lock_owned().await;
        let writing = self.writing.lock().await;
        Turn { _own: own, _all: self.all.acquire().await.ok(), _writing: Some(writing) }
    }

    fn queue(&self, sender: &Caller) -> Arc<Queue<()>> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|(_, queue)| queue.strong_count() > 0);
        let known = senders.iter().find(|(known, _)| known.is_same(sender));
        known.and_then(|(_, queue)| queue.upgrade()).unwrap_or_else(|| {
            let queue = Arc::new(Queue::default());
            senders.push((sender.clone(), Arc::downgrade(&queue)));
            queue
        })
    }
}
