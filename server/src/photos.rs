//! Photos of records that nobody waits for any more: those that have never become whole, and those that no record names.

use std::time::Duration;

use serde_json::json;

use crate::{
    Server,
    audit::{By, Event},
    clock,
    store::{Act, Deed, Performed, StoreError},
};

/// For so long a photo may wait for its rest, or for the change that names it: a phone may be without a network for weeks.
pub const KEPT_MS: i64 = 30 * 24 * 3600 * 1000;
/// How often they are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_hours(24);

/// Removes those that have waited for too long by now; how many there were.
pub async fn sweep(server: &Server, now_ms: i64) -> Result<i64, StoreError> {
    let note = By::from("taizhang").notes(Event::PhotosExpired, None, &json!({}));
    let act = Act::ExpirePhotos { before_ms: now_ms - KEPT_MS };
    match server.store.perform(&Deed::new(act, note)).await? {
        Performed::Done(count) => Ok(count.unwrap_or_default()),
        Performed::Stale | Performed::NotNow => Ok(0),
    }
}

/// Removes them now and every day.
pub async fn keep_swept(server: Server) {
    loop {
        match sweep(&server, clock::now_ms()).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::info!(count, "photos that no record names, or that have never become whole, were removed");
            }
            Err(error) => tracing::error!(%error, "old photos were not looked for"),
        }
        tokio::time::sleep(SWEEP_INTERVAL).await;
    }
}
