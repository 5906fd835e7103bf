//! `GET /api/units`: the units that somebody sees.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, caller::Asker};
use crate::{Server, auth::Permission, returns::at_and_below};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A unit of the register.
#[derive(Serialize, ToSchema)]
struct KnownUnit {
    /// Its id.
    id: String,
    /// The unit above it.
    parent: Option<String>,
    /// `county`, `reporting_unit` or `organisation`.
    level: &'static str,
    /// The official code, where it has one.
    code: Option<String>,
    /// Full name.
    name: String,
    /// Short name, where it has one.
    short_name: Option<String>,
}

/// One's own unit and everything below it, parents first.
#[utoipa::path(get, path = "/api/units", tag = "units", responses((status = 200, body = Vec<KnownUnit>)))]
async fn list(State(server): State<Arc<Server>>, Asker(caller): Asker) -> Result<Json<Vec<KnownUnit>>, ApiError> {
    caller.may(Permission::SeeUnits)?;
    let units = at_and_below(server.store.units().await?, caller.grant.unit);
    let known = units.into_iter().map(|unit| KnownUnit {
        id: unit.id.to_string(),
        parent: unit.parent.map(|parent| parent.to_string()),
        level: unit.level.as_str(),
        code: unit.code,
        name: unit.name,
        short_name: unit.short_name,
    });
    Ok(Json(known.collect()))
}
