//! `/api/quarantine`: changes that were held back, for somebody to decide on.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use sync_protocol::ChangeHash;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Path, Query},
    periods::PeriodQuery,
};
use crate::{
    Server,
    auth::{Caller, Permission},
    clock,
    store::{QuarantineState, Quarantined},
    sync::AdmitError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(admit)).routes(routes!(reject))
}

/// A change that was held back.
#[derive(Serialize, ToSchema)]
struct HeldChange {
    /// Its hash.
    hash: String,
    /// Id of the unit that it was written for.
    unit: String,
    /// The book.
    book: &'static str,
    /// The year.
    period: String,
    /// Who sent it.
    who: String,
    /// Why it was held back.
    code: &'static str,
    /// The same in words.
    sentence: String,
    /// When it came in, in milliseconds since 1970.
    received_at_ms: i64,
    /// `waiting`, `admitted` or `rejected`.
    state: &'static str,
}

/// Changes that were held back at and below one's unit, the oldest first.
#[utoipa::path(get, path = "/api/quarantine", tag = "quarantine", params(PeriodQuery), responses((status = 200, body = Vec<HeldChange>)))]
async fn list(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(of): Query<PeriodQuery>,
) -> Result<Json<Vec<HeldChange>>, ApiError> {
    caller.may(Permission::SettleQuarantine)?;
    let mut held = Vec::new();
    for change in server.store.quarantined().await? {
        let is_of = of.period.as_ref().is_none_or(|period| *period == change.identity.period);
        if !is_of || !server.store.is_below(change.identity.unit, caller.grant.unit).await? {
            continue;
        }
        let device = server.store.device(change.device).await?;
        held.push(HeldChange {
            hash: change.hash.to_string(),
            unit: change.identity.unit.to_string(),
            book: change.identity.book.as_str(),
            period: change.identity.period,
            who: device.map_or_else(|| change.device.to_string(), |device| device.owner),
            code: change.code.as_str(),
            sentence: change.sentence,
            received_at_ms: change.received_at_ms,
            state: change.state.as_str(),
        });
    }
    Ok(Json(held))
}

/// Take a change, and what it builds upon, into its document.
#[utoipa::path(post, path = "/api/quarantine/{hash}/admit", tag = "quarantine", params(("hash" = String, Path)),
    responses((status = 204)))]
async fn admit(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(hash): Path<String>,
) -> Result<StatusCode, ApiError> {
    let held = one(&server, &caller, &hash).await?;
    if held.state == QuarantineState::Admitted {
        return Err(server.sync.decided(held.hash).await?.into());
    }
    server.sync.admit_quarantined(held.hash, &caller, clock::now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave a change out for good; it is kept where it is.
#[utoipa::path(post, path = "/api/quarantine/{hash}/reject", tag = "quarantine", params(("hash" = String, Path)),
    responses((status = 204)))]
async fn reject(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(hash): Path<String>,
) -> Result<StatusCode, ApiError> {
    let held = one(&server, &caller, &hash).await?;
    server.sync.reject_quarantined(held.hash, &caller, clock::now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn one(server: &Server, caller: &Caller, hash: &str) -> Result<Quarantined, ApiError> {
    caller.may(Permission::SettleQuarantine)?;
    let hash: ChangeHash = hash.parse().map_err(|_| ApiError::NotFound)?;
    let held = server.store.quarantined_change(hash).await?.ok_or(ApiError::NotFound)?;
    caller.may_at(server.store.as_ref(), Permission::SettleQuarantine, held.identity.unit).await?;
    Ok(held)
}

impl From<AdmitError> for ApiError {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Unknown => ApiError::NotFound,
            AdmitError::Refused(_) | AdmitError::Decided(_) => ApiError::Conflict(error.to_string()),
            AdmitError::Store(error) => error.into(),
        }
    }
}
