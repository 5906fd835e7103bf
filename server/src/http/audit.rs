//! `GET /api/audit`: who did what; `GET /api/audit/checkpoint`: what a witness keeps of it.

use std::sync::Arc;

use axum::{Json, extract::State};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use sync_protocol::checkpoint::parse;
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
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(checkpoint))
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
        let AuditLine { number, entry, hash, .. } = line;
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

/// From where a proof is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Earlier {
    /// Lines of an earlier checkpoint.
    from: Option<u64>,
}

/// How far the log has come.
#[derive(Serialize, ToSchema)]
struct CheckpointNow {
    /// The signed text (C2SP tlog-checkpoint), for `taizhang audit verify --witness`; none, while the log is empty.
    checkpoint: Option<String>,
    /// That the log of so many lines as were asked for is the beginning of this one: the hashes of RFC 6962, in base64. Empty,
    /// where nothing has to be proved.
    proof: Option<Vec<String>>,
}

/// A checkpoint of the audit log, to be kept where its owner cannot change it, and the proof that it goes on from an earlier one.
#[utoipa::path(get, path = "/api/audit/checkpoint", tag = "audit", params(Earlier),
    responses((status = 200, body = CheckpointNow), (status = 400, description = "The log has fewer lines than that")))]
async fn checkpoint(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(Earlier { from }): Query<Earlier>,
) -> Result<Json<CheckpointNow>, ApiError> {
    caller.may(Permission::ReadAudit)?;
    let checkpoint = server.checkpoints.now().await?;
    let lines = checkpoint.as_deref().and_then(|text| Some(parse(text).first()?.checkpoint.size)).unwrap_or_default();
    let proof = match from {
        Some(from) if from > lines => {
            return Err(ApiError::BadRequest(format!("日志只有 {lines} 行 | the log has {lines} lines only")));
        }
        Some(from) => {
            let proof = server.checkpoints.proof(from, lines).await?;
            Some(proof.iter().map(|hash| BASE64.encode(hash)).collect())
        }
        None => None,
    };
    Ok(Json(CheckpointNow { checkpoint, proof }))
}
