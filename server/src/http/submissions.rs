//! `/api/submissions`: returns that reporting units have submitted, and what became of them.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sync_protocol::UnitId;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Body, Path},
    returns::{date, workbook},
};
use crate::{
    Server,
    audit::{self, Event},
    auth::{Caller, Permission},
    store::Submission,
    submissions::{self, Difference, SubmissionError, Wanted},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(list, submit))
        .routes(routes!(step))
        .routes(routes!(differences))
        .routes(routes!(copy))
}

/// A submitted return.
#[derive(Serialize, ToSchema)]
struct SubmissionLine {
    /// Its number.
    number: i64,
    /// Id of the unit that submitted it.
    unit: String,
    /// `R03`.
    return_no: String,
    /// 报送期.
    period: String,
    /// What was chosen.
    choices: std::collections::BTreeMap<String, String>,
    /// Statistics date.
    date: String,
    /// The last change that it knows, by its number in the feed.
    seq: i64,
    /// The code that is printed on it.
    code: String,
    /// Who submitted it.
    submitted_by: String,
    /// When, in milliseconds since 1970.
    submitted_at_ms: i64,
    /// `submitted`, `returned`, `approved`, `merged`, `published` or `archived`.
    state: String,
    /// Why it was returned last.
    reason: Option<String>,
    /// Who took the last step.
    decided_by: Option<String>,
    /// When, in milliseconds since 1970.
    decided_at_ms: Option<i64>,
}

impl From<Submission> for SubmissionLine {
    fn from(submission: Submission) -> Self {
        Self {
            number: submission.number,
            unit: submission.unit.to_string(),
            return_no: submission.return_no,
            period: submission.period,
            choices: submission.choices.into_iter().collect(),
            date: submission.date.to_string(),
            seq: submission.seq,
            code: submission.code,
            submitted_by: submission.submitted_by,
            submitted_at_ms: submission.submitted_at_ms,
            state: submission.state,
            reason: submission.reason,
            decided_by: submission.decided_by,
            decided_at_ms: submission.decided_at_ms,
        }
    }
}

/// Submitted returns at and below one's unit, the oldest first.
#[utoipa::path(get, path = "/api/submissions", tag = "submissions", responses((status = 200, body = Vec<SubmissionLine>)))]
async fn list(State(server): State<Arc<Server>>, Asker(caller): Asker) -> Result<Json<Vec<SubmissionLine>>, ApiError> {
    caller.may(Permission::DrawReturns)?;
    let mut listed = Vec::new();
    for submission in server.store.submissions().await? {
        if server.store.is_below(submission.unit, caller.grant.unit).await? {
            listed.push(submission.into());
        }
    }
    Ok(Json(listed))
}

/// A return to be submitted.
#[derive(Deserialize, ToSchema)]
struct ReturnToSubmit {
    /// Number of the return (`R03`).
    name: String,
    /// Choices such as `{"round": "final"}`.
    #[serde(default)]
    choices: std::collections::BTreeMap<String, String>,
    /// Id of the reporting unit; one's own where it is left out.
    unit: Option<String>,
    /// 报送期: `2012`, `2012-04` or `2012-Q2`; the month of the statistics date where it is left out.
    period: Option<String>,
    /// Statistics date, `2012-04-30`; today where it is left out.
    date: Option<String>,
    /// 应报日期, where the register does not say it yet.
    due_on: Option<String>,
    /// Why it is submitted although records that it counts have errors.
    explanation: Option<String>,
}

/// Submit a return: what it says now is frozen. Where records that it counts have errors, it needs an explanation.
#[utoipa::path(post, path = "/api/submissions", tag = "submissions", request_body = ReturnToSubmit,
    responses((status = 201, body = SubmissionLine)))]
async fn submit(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Body(wanted): Body<ReturnToSubmit>,
) -> Result<(StatusCode, Json<SubmissionLine>), ApiError> {
    caller.may(Permission::SubmitReturns)?;
    let unit: UnitId = match &wanted.unit {
        Some(id) => id.parse().map_err(|_| ApiError::NotFound)?,
        None => caller.grant.unit,
    };
    caller.may_at(server.store.as_ref(), Permission::SubmitReturns, unit).await?;
    let wanted = Wanted {
        unit: server.store.unit(unit).await?.ok_or(ApiError::NotFound)?,
        return_no: wanted.name,
        period: wanted.period,
        choices: wanted.choices.into_iter().collect(),
        date: date(&server, wanted.date.as_deref())?,
        explanation: wanted.explanation,
        due_on: wanted.due_on.as_deref().map(|due_on| date(&server, Some(due_on))).transpose()?,
    };
    // It looks all records of the unit over, and draws.
    let (drawer, by) = (server.clone(), caller.clone());
    let work = async move { submissions::submit(&drawer, &wanted, &by).await };
    let submission = server.heavy.run(&caller, work).await??;
    Ok((StatusCode::CREATED, Json(submission.into())))
}

/// A step to be taken.
#[derive(Deserialize, ToSchema)]
struct StepToTake {
    /// `returned`, `approved`, `merged`, `published` or `archived`.
    to: String,
    /// Why; a return needs it.
    reason: Option<String>,
}

/// Approve a submitted return, send it back with a reason, or note that it was merged, published or archived. Nobody does so
/// for their own unit.
#[utoipa::path(post, path = "/api/submissions/{number}/steps", tag = "submissions", params(("number" = i64, Path)),
    request_body = StepToTake, responses((status = 200, body = SubmissionLine)))]
async fn step(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(number): Path<i64>,
    Body(wanted): Body<StepToTake>,
) -> Result<Json<SubmissionLine>, ApiError> {
    caller.may(Permission::ReviewReturns)?;
    let submission = submissions::submission(&server, number).await?;
    caller.may_review(server.store.as_ref(), submission.unit).await?;
    let level = server.store.unit(caller.grant.unit).await?.ok_or(ApiError::NotFound)?.level;
    let step = (wanted.to.as_str(), wanted.reason.as_deref());
    let stepped = submissions::step(&server, &submission, step, (&caller, level)).await?;
    Ok(Json(stepped.into()))
}

/// The cells of a submitted copy that would say something else today.
#[utoipa::path(get, path = "/api/submissions/{number}/differences", tag = "submissions",
    params(("number" = i64, Path)), responses((status = 200, body = Vec<Difference>)))]
async fn differences(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(number): Path<i64>,
) -> Result<Json<Vec<Difference>>, ApiError> {
    let submission = one(&server, &caller, number).await?;
    let (unit, drawer) = (submission.unit, server.clone());
    let work = async move { submissions::differences(&drawer, &submission).await };
    let differences = server.heavy.run(&caller, work).await??;
    let detail = json!({ "number": number, "differences": differences.len() });
    audit::note(&server, &caller, Event::SubmissionRead, Some(unit), detail).await?;
    Ok(Json(differences))
}

/// The copy as it was submitted.
#[utoipa::path(get, path = "/api/submissions/{number}/workbook", tag = "submissions", params(("number" = i64, Path)),
    responses((status = 200, content_type = super::XLSX, body = Vec<u8>)))]
async fn copy(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(number): Path<i64>,
) -> Result<Response, ApiError> {
    let submission = one(&server, &caller, number).await?;
    let bytes = server.store.submitted_workbook(number).await?.ok_or(ApiError::NotFound)?;
    audit::note(&server, &caller, Event::SubmissionRead, Some(submission.unit), json!({ "number": number })).await?;
    Ok(workbook(&submission.file, bytes))
}

async fn one(server: &Server, caller: &Caller, number: i64) -> Result<Submission, ApiError> {
    caller.may(Permission::DrawReturns)?;
    let submission = submissions::submission(server, number).await?;
    caller.may_at(server.store.as_ref(), Permission::DrawReturns, submission.unit).await?;
    Ok(submission)
}

impl From<SubmissionError> for ApiError {
    fn from(error: SubmissionError) -> Self {
        use SubmissionError as E;
        match error {
            E::Unknown(_) => ApiError::NotFound,
            E::NotReporting(_) | E::Period(_) => ApiError::BadRequest(error.to_string()),
            E::Checks(_) | E::Quality(_) | E::Stands { .. } | E::Busy | E::Step { .. } => {
                ApiError::Conflict(error.to_string())
            }
            E::Return(error) => error.into(),
            E::Store(error) => error.into(),
            E::Read(_) | E::Document(_) => {
                tracing::error!(%error, "a submitted return was not handled");
                ApiError::Internal
            }
        }
    }
}
