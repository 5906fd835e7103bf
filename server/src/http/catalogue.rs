//! `GET /api/catalogue`: ledgers, code lists and rules, as field apps need them.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sync_protocol::catalogue::{FieldCatalogue, Variables};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, caller::Asker};
use crate::{
    Server,
    auth::Permission,
    periods::{self, PeriodLine},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(catalogue))
}

/// The catalogue, and the years that there are.
#[derive(Serialize)]
struct Told<'c> {
    #[serde(flatten)]
    catalogue: FieldCatalogue<'c>,
    years: Vec<Year>,
}

/// A year, and what the parameters of the county are in it.
#[derive(Serialize)]
struct Year {
    period: String,
    is_default: bool,
    is_sealed: bool,
    variables: Variables,
}

/// Ledgers with their columns, code lists, workflows, the years that there are, and rules about single rows, as syntax trees. `If-None-Match` is answered
/// with 304 while nothing is new.
#[utoipa::path(get, path = "/api/catalogue", tag = "units",
    responses((status = 200, body = Object), (status = 304, description = "it is what the asker has")))]
async fn catalogue(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.may(Permission::SeeUnits)?;
    let year = |line: PeriodLine| {
        let year = periods::year(&line.period).unwrap_or(server.campaign_year);
        let variables = server.catalogue.variables(year, None);
        let is_sealed = line.sealed_seq.is_some();
        Year { period: line.period, is_default: line.is_default, is_sealed, variables }
    };
    let years = periods::list(&server).await?.into_iter().map(year).collect();
    let told = Told { catalogue: server.catalogue.field(server.campaign_year), years };
    let json = serde_json::to_vec(&told).map_err(|error| {
        tracing::error!(%error, "the catalogue was not written");
        ApiError::Internal
    })?;
    let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&json)[..16]));
    // A proxy or our own compression may have made it a weak one.
    let has = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if has.is_some_and(|has| has.trim_start_matches("W/") == tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag), (header::CONTENT_TYPE, "application/json".to_owned())], json).into_response())
}
