//! How often one address may try to get in: nobody guesses passwords and codes, or makes the server hash all day.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, http::Request, response::IntoResponse};
use tower_governor::{
    GovernorError, GovernorLayer,
    governor::GovernorConfigBuilder,
    key_extractor::{KeyExtractor, PeerIpKeyExtractor, SmartIpKeyExtractor},
};

use super::ApiError;
use crate::Server;

/// Attempts from one address: so many at once …
const AT_ONCE: u32 = 30;
/// … and then one in this time.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often addresses that have been quiet are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_mins(5);

/// Whose attempt it is.
#[derive(Debug, Clone, Copy)]
enum Address {
    /// The peer's.
    Peer,
    /// The one that a proxy names.
    Named,
}

impl KeyExtractor for Address {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        match self {
            Address::Peer => PeerIpKeyExtractor.extract(request),
            Address::Named => SmartIpKeyExtractor.extract(request),
        }
    }
}

/// The address that a request comes from.
pub(super) fn address<T>(request: &Request<T>, is_behind_proxy: bool) -> Option<IpAddr> {
    let address = if is_behind_proxy { Address::Named } else { Address::Peer };
    address.extract(request).ok()
}

/// These routes, asked no oftener than that.
pub(super) fn limited(router: Router<Arc<Server>>, is_behind_proxy: bool) -> Router<Arc<Server>> {
    let address = if is_behind_proxy { Address::Named } else { Address::Peer };
    let mut builder = GovernorConfigBuilder::default().key_extractor(address);
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
