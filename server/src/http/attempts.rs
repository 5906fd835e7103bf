//! How often one address may try to get in: nobody guesses passwords and codes, or makes the server hash all day.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, http::Request, response::IntoResponse};
use tower_governor::{GovernorError, GovernorLayer, governor::GovernorConfigBuilder, key_extractor::KeyExtractor};

use super::{ApiError, origin::Source};
use crate::{Server, origin};

/// Attempts from one address: so many at once …
const AT_ONCE: u32 = 30;
/// … and then one in this time.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often addresses that have been quiet are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_mins(5);

/// Whose attempt it is: by the address that it comes from.
#[derive(Debug, Clone, Copy)]
struct ByAddress;

impl KeyExtractor for ByAddress {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        let source = request.extensions().get::<Source>().ok_or(GovernorError::UnableToExtractKey)?;
        Ok(origin::network(source.0))
    }
}

/// These routes, asked no oftener than that.
pub(super) fn limited(router: Router<Arc<Server>>) -> Router<Arc<Server>> {
    let mut builder = GovernorConfigBuilder::default().key_extractor(ByAddress);
    let config = builder.period(INTERVAL).burst_size(AT_ONCE).finish().expect("neither number is zero");
    let limiter = Arc::downgrade(config.limiter());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(FORGET_INTERVAL);
        loop {
            ticks.tick().await;
            match limiter.upgrade() {
                Some(limiter) => limiter.retain_recent(),
                None => break,
            }
        }
    });
    router.layer(GovernorLayer::new(config).error_handler(|error| match error {
        GovernorError::TooManyRequests { wait_time, .. } => ApiError::TooMany(wait_time.max(1)).into_response(),
        GovernorError::UnableToExtractKey | GovernorError::Other { .. } => {
            tracing::error!("whose attempt it is cannot be told: the peer's address is missing");
            ApiError::Internal.into_response()
        }
    }))
}
