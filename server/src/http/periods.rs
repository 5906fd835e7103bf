//! `/api/periods`: years, opened and sealed.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Body, Path},
};
use crate::{
    Server,
    audit::By,
    auth::Permission,
    periods::{self, Opened, PeriodError, PeriodLine},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(list, open)).routes(routes!(seal)).routes(routes!(unseal))
}

/// Which year.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PeriodQuery {
    /// Of this year, such as `2012`; of all where it is left out.
    #[serde(default)]
    pub(super) period: Option<String>,
}

/// The server, asked about this year.
pub(super) async fn in_period(server: &Arc<Server>, period: Option<&str>) -> Result<Arc<Server>, ApiError> {
    match period {
        Some(period) => Ok(Arc::new(periods::at(server, period).await?)),
        None => Ok(server.clone()),
    }
}

/// All years: opened from which, and sealed or not.
#[utoipa::path(get, path = "/api/periods", tag = "periods", responses((status = 200, body = Vec<PeriodLine>)))]
async fn list(State(server): State<Arc<Server>>, Asker(caller): Asker) -> Result<Json<Vec<PeriodLine>>, ApiError> {
    caller.may(Permission::SeeUnits)?;
    Ok(Json(periods::list(&server).await?))
}

#[derive(Deserialize, ToSchema)]
struct NewPeriod {
    /// The new year, such as `2013`.
    period: String,
    /// The year that it begins from.
    from: String,
}

/// Open a year with what stands in another one and what is still open there. Opened once more, it gets what has come late there;
/// what somebody has written in it stays.
#[utoipa::path(post, path = "/api/periods", tag = "periods", request_body = NewPeriod,
    responses((status = 200, body = Opened)))]
async fn open(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Body(NewPeriod { period, from }): Body<NewPeriod>,
) -> Result<Json<Opened>, ApiError> {
    caller.may(Permission::ManagePeriods)?;
    let (opener, by) = (server.clone(), By::from(&caller));
    // It reads every document.
    let work = async move { periods::open(&opener, &period, &from, &by, &|_, _| {}).await };
    Ok(Json(server.heavy.run(&caller, work).await??))
}

/// Seal a year: nothing is written to it any more, what comes late waits in quarantine, and its returns stay as they are.
#[utoipa::path(post, path = "/api/periods/{period}/seal", tag = "periods", params(("period" = String, Path)),
    responses((status = 200, body = PeriodLine)))]
async fn seal(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(period): Path<String>,
) -> Result<Json<PeriodLine>, ApiError> {
    caller.may(Permission::ManagePeriods)?;
    let (sealer, by) = (server.clone(), By::from(&caller));
    // Years that were opened from it get what has come in since, first.
    let work = async move { periods::seal(&sealer, &period, &by).await };
    Ok(Json(server.heavy.run(&caller, work).await??))
}

#[derive(Deserialize, ToSchema)]
struct Unsealing {
    /// Why; it stands in the audit log.
    reason: String,
}

/// Take the seal off a year, so that what has come late can be decided on.
#[utoipa::path(post, path = "/api/periods/{period}/unseal", tag = "periods", params(("period" = String, Path)),
    request_body = Unsealing, responses((status = 200, body = PeriodLine)))]
async fn unseal(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(period): Path<String>,
    Body(Unsealing { reason }): Body<Unsealing>,
) -> Result<Json<PeriodLine>, ApiError> {
    caller.may(Permission::ManagePeriods)?;
    Ok(Json(periods::unseal(&server, &period, &reason, &By::from(&caller)).await?))
}

impl From<PeriodError> for ApiError {
    fn from(error: PeriodError) -> Self {
        match error {
            PeriodError::NotAYear(_)
            | PeriodError::Unknown(_)
            | PeriodError::Empty(_)
            | PeriodError::Backward { .. }
            | PeriodError::NoReason => ApiError::BadRequest(error.to_string()),
            PeriodError::OfAnother { .. }
            | PeriodError::NotSealed(_)
            | PeriodError::SealFirst(_)
            | PeriodError::UnsealFirst(_)
            | PeriodError::Busy => ApiError::Conflict(error.to_string()),
            PeriodError::Store(error) => error.into(),
            PeriodError::Document(error) => {
                tracing::error!(%error, "a year was not opened");
                ApiError::Internal
            }
        }
    }
}
