//! `/api/erasures`: erasing what is kept of a record.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use sync_protocol::{UnitId, document::RowKey};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Body, Query},
};
use crate::{
    Server,
    audit::By,
    auth::{Caller, Permission},
    erasure::{self, ErasableRecord, Erased, ErasureError, Extent, Order},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(list, erase))
}

/// Whose.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Id of the unit.
    unit: String,
    /// The name of the record, or a part of it.
    #[serde(default)]
    name: String,
    /// Whole records, and not only what restricted books hold of them.
    #[serde(default)]
    whole: bool,
}

/// The records of a unit of which something can be erased: which columns are filled, not with what.
#[utoipa::path(get, path = "/api/erasures", tag = "erasures", params(Whose),
    responses((status = 200, body = Vec<ErasableRecord>)))]
async fn list(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(whose): Query<Whose>,
) -> Result<Json<Vec<ErasableRecord>>, ApiError> {
    let unit = at(&server, &caller, &whose.unit).await?;
    Ok(Json(erasure::records(&server, unit, &whose.name, Extent::of(whose.whole)).await?))
}

/// What to erase, and why.
#[derive(Deserialize, ToSchema)]
struct Erasure {
    /// Id of the unit.
    unit: String,
    /// Catalogue id of the ledger.
    ledger: String,
    /// Id of the row.
    row: String,
    /// Why: it stands in the audit log.
    reason: String,
    /// The whole record, with its open columns: it is counted no longer.
    #[serde(default)]
    whole: bool,
}

/// Erase for good what restricted books hold of a record, or the whole record, here and on every replica. It cannot be undone.
#[utoipa::path(post, path = "/api/erasures", tag = "erasures", request_body = Erasure,
    responses((status = 200, body = Erased)))]
async fn erase(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Body(wanted): Body<Erasure>,
) -> Result<Json<Erased>, ApiError> {
    let unit = at(&server, &caller, &wanted.unit).await?;
    if wanted.reason.trim().is_empty() {
        return Err(ApiError::BadRequest("请写明清除的理由 | say why".into()));
    }
    let ledger = server.catalogue.ledger(&wanted.ledger).ok_or(ApiError::NotFound)?.id.clone();
    let key = RowKey { ledger, row: wanted.row.parse().map_err(|_| ApiError::NotFound)? };
    let order = Order { by: By::from(&caller), reason: wanted.reason.trim(), extent: Extent::of(wanted.whole) };
    let erased = Box::pin(erasure::erase(&server, unit, &key, order)).await?;
    Ok(Json(erased))
}

async fn at(server: &Server, caller: &Caller, unit: &str) -> Result<UnitId, ApiError> {
    caller.may(Permission::Erase)?;
    let unit = unit.parse().map_err(|_| ApiError::NotFound)?;
    caller.may_at(server.store.as_ref(), Permission::Erase, unit).await?;
    Ok(unit)
}

impl From<ErasureError> for ApiError {
    fn from(error: ErasureError) -> Self {
        match error {
            ErasureError::Unknown | ErasureError::Before => ApiError::NotFound,
            ErasureError::Quarantine(_) | ErasureError::Doubts(_) | ErasureError::Uploads | ErasureError::Busy => {
                ApiError::Conflict(error.to_string())
            }
            ErasureError::Unswept(_) => ApiError::Unavailable(error.to_string()),
            ErasureError::Store(error) => error.into(),
            ErasureError::Document(_) | ErasureError::Traces(_) => {
                tracing::error!(%error, "an erasure failed");
                ApiError::Internal
            }
        }
    }
}
