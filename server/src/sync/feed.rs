//! News for whoever is connected: which documents have changed, whoever has written to them. A command beside the server
//! writes to the same store, so the store is what is listened to; a delivery here only makes it listen at once.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::{Mutex, Notify, broadcast};

use crate::store::{Moved, Store, StoreError};

/// How long news of another process may take.
const INTERVAL: Duration = Duration::from_secs(1);
/// News that a slow listener may leave unread before it has to look at everything anew.
const UNREAD_MAX: usize = 256;

/// The listener on the store.
#[derive(Debug)]
pub(super) struct Feed {
    hurry: Notify,
    news: broadcast::Sender<Arc<Moved>>,
    /// The number of the newest change that was told of; none before anybody listens.
    told: Mutex<Option<i64>>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { hurry: Notify::new(), news: broadcast::channel(UNREAD_MAX).0, told: Mutex::default() }
    }

    /// Something was written.
    pub(super) fn hurry(&self) {
        if self.news.receiver_count() > 0 {
            self.hurry.notify_one();
        }
    }

    /// Everything that is written from now on.
    pub(super) async fn listen(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
    ) -> Result<broadcast::Receiver<Arc<Moved>>, StoreError> {
        let mut told = self.told.lock().await;
        if told.is_none() {
            *told = Some(store.newest().await?);
            tokio::spawn(watch(Arc::downgrade(self), Arc::downgrade(store)));
        } else if self.news.receiver_count() == 0 {
            *told = Some(store.newest().await?);
        }
        Ok(self.news.subscribe())
    }

    async fn look(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut told = self.told.lock().await;
        let after = told.unwrap_or(0);
        if self.news.receiver_count() == 0 || store.newest().await? == after {
            return Ok(());
        }
        let moved = store.moved(after).await?;
        *told = Some(moved.seq);
        // Nobody listens any more: nothing is lost.
        let _ = self.news.send(Arc::new(moved));
        Ok(())
    }
}

/// Ends with the server.
async fn watch(feed: Weak<Feed>, store: Weak<dyn Store>) {
    loop {
        {
            let Some(feed) = feed.upgrade() else { return };
            let _ = tokio::time::timeout(INTERVAL, feed.hurry.notified()).await;
        }
        let (Some(feed), Some(store)) = (feed.upgrade(), store.upgrade()) else { return };
        if let Err(error) = feed.look(store.as_ref()).await {
            tracing::warn!(%error, "news could not be read");
        }
    }
}
