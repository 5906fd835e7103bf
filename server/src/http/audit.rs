//! `GET /api/audit`: who did what.

use std::sync::Arc;

use axum::{Json, extract::State};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Query},
};
use crate::{Server, auth::Permission, store::AuditLine};

/// Lines in one answer.
const LINES_MAX: i64 = 500;

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Where to begin.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct After {
    /// Number of the last line that is known.
    #[serde(default)]
    #[param(required = false)]
    after: i64,
}

/// A line of the log.
#[derive(Serialize, ToSchema)]
struct LogLine {
    /// Counted from 1, without gaps.
    number: i64,
    /// When, in milliseconds since 1970.
    at_ms: i64,
    /// Who.
    who: String,
    /// What.
    event: String,
    /// Id of the unit that it was about.
    unit: Option<String>,
    /// More of it; no value of a restricted column.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
    /// The address that it was done from; none on the server's own command line.
    address: Option<String>,
    /// SHA-256 over the line before it and this one.
    hash: String,
}

impl From<AuditLine> for LogLine {
    fn from(line: AuditLine) -> Self {
        let AuditLine { number, entry, hash } = line;
        Self {
            number,
            at_ms: entry.at_ms,
            who: entry.who,
            event: entry.event,
            unit: entry.unit.map(|unit| unit.to_string()),
            detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
            address: entry.address,
            hash: HEXLOWER.encode(&hash),
        }
    }
}

/// The audit log, oldest first, 500 lines at a time.
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(After), responses((status = 200, body = Vec<LogLine>)))]
async fn list(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(After { after }): Query<After>,
) -> Result<Json<Vec<LogLine>>, ApiError> {
    caller.may(Permission::ReadAudit)?;
    Ok(Json(server.store.people().audit(after, LINES_MAX).await?.into_iter().map(LogLine::from).collect()))
}
