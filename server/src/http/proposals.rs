//! `/api/proposals`: what somebody has written who was not to decide it, for whoever decides.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Body, Path, Query, Raw},
};
use crate::{
    Server,
    audit::By,
    auth::{Caller, Denied, Permission},
    proposals::{self, Decider, ProposalError, ProposalLine},
    store::{Proposal, ProposalQuery, ProposalState},
};

/// Proposals in one answer, where nothing is said.
const PAGE: i64 = 200;
/// Proposals in one answer at most.
const PAGE_MAX: i64 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(accept)).routes(routes!(reject))
}

/// Which of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `waiting`, `accepted` or `rejected`; those that wait where it is left out.
    state: Option<ProposalState>,
    /// Of this year, such as `2012`; of all where it is left out.
    period: Option<String>,
    /// Behind this number: `next` of the page before.
    #[serde(default)]
    after: i64,
    /// So many at most; 200 where it is left out, never more than 1,000.
    limit: Option<i64>,
}

/// A page of proposals.
#[derive(Serialize, ToSchema)]
struct Page {
    /// How many there are in this state, on all pages.
    count: i64,
    /// The oldest first.
    proposals: Vec<ProposalLine>,
    /// Where the next page begins, if there is one.
    next: Option<i64>,
}

/// Proposals at and below one's unit, in books that one sees, the oldest first.
#[utoipa::path(get, path = "/api/proposals", tag = "proposals", params(Which),
    responses((status = 200, body = Page)))]
async fn list(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(which): Query<Which>,
) -> Result<Json<Page>, ApiError> {
    caller.may(Permission::ReadRecords)?;
    let limit = which.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let query = ProposalQuery {
        top: caller.grant.unit,
        books: caller.books.reads.clone(),
        state: Some(which.state.unwrap_or(ProposalState::Waiting)),
        period: which.period,
        after: which.after,
        limit,
    };
    let found = server.store.proposals().list(&query).await?;
    let is_full = i64::try_from(found.len()).is_ok_and(|found| found == limit);
    let next = found.last().map(|last| last.number).filter(|_| is_full);
    let count = server.store.proposals().count(&ProposalQuery { after: 0, ..query }).await?;
    Ok(Json(Page { count, proposals: proposals::lines(&server, &found, caller.clearance()).await?, next }))
}

/// How to accept.
#[derive(Default, Deserialize, ToSchema)]
struct Accept {
    /// Even if the cell says something else by now than when it was proposed.
    #[serde(default)]
    anyway: bool,
}

/// Write what was proposed, in one's own name.
#[utoipa::path(post, path = "/api/proposals/{id}/accept", tag = "proposals", params(("id" = i64, Path)),
    request_body = Accept, responses((status = 200, body = ProposalLine)))]
async fn accept(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<i64>,
    Raw(body): Raw,
) -> Result<Json<ProposalLine>, ApiError> {
    // Nothing has to be said.
    let accept = if body.is_empty() { Ok(Accept::default()) } else { serde_json::from_slice::<Accept>(&body) };
    let accept = accept.map_err(|error| ApiError::BadRequest(format!("请求内容有误 | not understood: {error}")))?;
    let decider = decider(&server, &caller, id).await?;
    let accepted = proposals::accept(&server, id, &decider, accept.anyway).await?;
    line(&server, &caller, accepted).await
}

/// Why not.
#[derive(Deserialize, ToSchema)]
struct Reject {
    /// The reason: whoever proposed it will ask.
    reason: String,
}

/// Leave the cell as it is.
#[utoipa::path(post, path = "/api/proposals/{id}/reject", tag = "proposals", params(("id" = i64, Path)),
    request_body = Reject, responses((status = 200, body = ProposalLine)))]
async fn reject(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<i64>,
    Body(reject): Body<Reject>,
) -> Result<Json<ProposalLine>, ApiError> {
    let decider = decider(&server, &caller, id).await?;
    let rejected = proposals::reject(&server, id, &decider, &reject.reason).await?;
    line(&server, &caller, rejected).await
}

/// The caller as somebody who decides on this proposal, of their units and of a book that they write to.
async fn decider(server: &Server, caller: &Caller, id: i64) -> Result<Decider, ApiError> {
    caller.may(Permission::DecideProposals)?;
    let proposal = proposals::one(server, id).await?;
    caller.may_at(server.store.as_ref(), Permission::DecideProposals, proposal.identity.unit).await?;
    if !caller.books.reads.contains(&proposal.identity.book) {
        return Err(Denied::Outside.into());
    }
    let unit = server.store.unit(caller.grant.unit).await?.ok_or(ApiError::NotFound)?;
    let actor = caller.grant.acts_for(unit.level);
    if !caller.books.writes.contains(&proposal.identity.book) {
        return Err(Denied::Role(caller.grant.role, Permission::DecideProposals).into());
    }
    Ok(Decider { by: By::from(caller), actor, clearance: caller.clearance() })
}

async fn line(server: &Server, caller: &Caller, proposal: Proposal) -> Result<Json<ProposalLine>, ApiError> {
    let line = proposals::lines(server, &[proposal], caller.clearance()).await?.pop();
    Ok(Json(line.ok_or(ApiError::NotFound)?))
}

impl From<ProposalError> for ApiError {
    fn from(error: ProposalError) -> Self {
        match error {
            ProposalError::Unknown(_) => ApiError::NotFound,
            ProposalError::NotYours(_) => ApiError::Forbidden(error.to_string()),
            ProposalError::Decided(_) | ProposalError::Changed(_) => ApiError::Conflict(error.to_string()),
            ProposalError::NoReason => ApiError::BadRequest(error.to_string()),
            ProposalError::Store(error) => error.into(),
            ProposalError::Document(error) => {
                tracing::error!(%error, "a proposal was not decided on");
                ApiError::Internal
            }
        }
    }
}
