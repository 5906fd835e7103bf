//! `POST /api/returns`: a return or merged ledger of one's units, as a workbook.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use sync_protocol::UnitId;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, XLSX,
    caller::{Asker, Body},
    periods::in_period,
};
use crate::{
    Server,
    audit::{self, Event},
    auth::{Caller, Permission},
    clock,
    returns::{
        self, AsOf, ReturnError, ReturnRequest,
        behind::{self, Behind, CellName},
    },
};

/// Why a state of the past is not drawn.
const NO_PAST: &str = "这张表含有只涉及一两人的数字，过去与现在的两张表相减即可推出，您的角色不能生成其过去时点的表；请查看已报送的报表 | this return has figures about very few people, which two states would tell: for your role it is not drawn as of the past; look at what was submitted";

/// Why the rows behind a cell are not listed.
const NO_SMALL: &str = "这一格只涉及少数人，您的角色不能查看其明细 | this cell is about very few people: for your role its rows are not listed";

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(draw)).routes(routes!(rows))
}

#[derive(Deserialize, ToSchema)]
struct WantedReturn {
    /// Number of a return (`R03`) or id of a ledger (`members`).
    name: String,
    /// Choices such as `{"round": "final"}`.
    #[serde(default)]
    choices: std::collections::BTreeMap<String, String>,
    /// Id of the unit at the top; one's own where it is left out.
    unit: Option<String>,
    /// The year, such as `2012`; the configured one where it is left out.
    period: Option<String>,
    /// Statistics date, `2012-04-30`; today where it is left out, or the last day of a year that is over.
    date: Option<String>,
    /// As of what had come in by this time, in milliseconds since 1970.
    as_of_ms: Option<i64>,
    /// As of this number of the feed, which a sealed return prints as 回执号.
    as_of_seq: Option<i64>,
    /// Merged from the copies that reporting units have submitted for this period, such as `2012-04`.
    copies: Option<String>,
}

/// Draw a return or a merged ledger. Columns above the caller's class are masked.
#[utoipa::path(post, path = "/api/returns", tag = "returns", request_body = WantedReturn,
    responses((status = 200, content_type = XLSX, body = Vec<u8>)))]
async fn draw(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Body(wanted): Body<WantedReturn>,
) -> Result<Response, ApiError> {
    let server = in_period(&server, wanted.period.as_deref()).await?;
    let folder = tempfile::tempdir().map_err(ReturnError::from)?;
    let request = requested(&server, &caller, wanted, folder.path()).await?;
    let (unit, clearance, date) = (request.top.id, request.clearance, request.date);
    let name = request.name.clone();
    let drawn = if returns::is_heavy(&server, &request) {
        let drawer = server.clone();
        server.heavy.run(&caller, async move { Box::pin(returns::draw(&drawer, &request)).await }).await??
    } else {
        Box::pin(returns::draw(&server, &request)).await?
    };
    let detail = json!({
        "return": name, "rows": drawn.rows, "class": format!("{clearance:?}"), "date": date.to_string(),
    });
    audit::note(&server, &caller, Event::ReturnDrawn, Some(unit), detail).await?;
    let bytes = tokio::fs::read(&drawn.path).await.map_err(ReturnError::from)?;
    Ok(workbook(&drawn.path.file_name().unwrap_or_default().to_string_lossy(), bytes))
}

/// A cell of a return.
#[derive(Deserialize, ToSchema)]
struct WantedRows {
    /// Number of a return (`R03`).
    name: String,
    /// Choices such as `{"round": "final"}`.
    #[serde(default)]
    choices: std::collections::BTreeMap<String, String>,
    /// Id of the unit at the top; one's own where it is left out.
    unit: Option<String>,
    /// Statistics date, `2012-04-30`; today where it is left out.
    date: Option<String>,
    /// The year, `2012`; the one that is in use where it is left out.
    period: Option<String>,
    /// As of this number of the feed, which a sealed return prints as 回执号.
    as_of_seq: Option<i64>,
    /// The cell as the workbook names it: `F17` of the first sheet, `按领域!F17`.
    cell: String,
}

/// Rows that are listed of each measure; of more it is only said how many.
const ROWS_MAX: usize = 2_000;

/// The rows behind a cell of a return: they add up to it. Names are masked by role; of rows that other units keep it is only
/// said that there are some.
#[utoipa::path(post, path = "/api/returns/rows", tag = "returns", request_body = WantedRows,
    responses((status = 200, body = Behind)))]
async fn rows(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Body(wanted): Body<WantedRows>,
) -> Result<Json<Behind>, ApiError> {
    caller.may(Permission::ReadRecords)?;
    let server = in_period(&server, wanted.period.as_deref()).await?;
    let cell: CellName = wanted.cell.parse().map_err(ApiError::BadRequest)?;
    let WantedRows { name, choices, unit, date, period, as_of_seq, .. } = wanted;
    let of = WantedReturn { name, choices, unit, date, period, as_of_seq, as_of_ms: None, copies: None };
    let request = requested(&server, &caller, of, Path::new("")).await?;
    if !caller.sees_small_cells() && behind::may_be_small(&server, &request.name, &cell) {
        return Err(ApiError::Forbidden(NO_SMALL.into()));
    }
    let (name, date, top) = (request.name.clone(), request.date, request.top.id);
    let mut found = if request.as_of.is_some() {
        let reader = server.clone();
        server.heavy.run(&caller, async move { Box::pin(behind::behind(&reader, &request, &cell)).await }).await??
    } else {
        Box::pin(behind::behind(&server, &request, &cell)).await?
    };
    let own: BTreeSet<UnitId> =
        returns::at_and_below(server.store.units().await?, caller.grant.unit).into_iter().map(|unit| unit.id).collect();
    let mut count = 0;
    for part in found.parts() {
        count += part.rows.len();
        part.rows.truncate(ROWS_MAX);
        for row in &mut part.rows {
            let book = server.catalogue.ledger(&row.ledger).map(|ledger| ledger.book);
            if !own.contains(&row.unit) || book.is_none_or(|book| !caller.books.reads.contains(&book)) {
                row.hide(caller.grant.unit);
            }
        }
    }
    let detail = json!({
        "return": name, "sheet": found.sheet, "cell": found.cell, "date": date.to_string(), "rows": count,
    });
    audit::note(&server, &caller, Event::ReturnRowsRead, Some(top), detail).await?;
    Ok(Json(found))
}

/// What somebody wants to have drawn, if they may.
async fn requested(
    server: &Server,
    caller: &Caller,
    wanted: WantedReturn,
    folder: &Path,
) -> Result<ReturnRequest, ApiError> {
    caller.may(Permission::DrawReturns)?;
    let top: UnitId = match &wanted.unit {
        Some(id) => id.parse().map_err(|_| ApiError::NotFound)?,
        None => caller.grant.unit,
    };
    caller.may_at(server.store.as_ref(), Permission::DrawReturns, top).await?;
    let top = server.store.unit(top).await?.ok_or(ApiError::NotFound)?;
    let date = date(server, wanted.date.as_deref())?;
    let as_of = wanted.as_of_ms.map(AsOf::Time).or(wanted.as_of_seq.map(AsOf::Seq));
    if as_of.is_some() && !caller.sees_small_cells() && returns::has_small_cells(server, &wanted.name) {
        return Err(ApiError::Forbidden(NO_PAST.into()));
    }
    let time = clock::local(clock::now_ms()).strftime("%Y-%m-%d %H:%M");
    Ok(ReturnRequest {
        variables: wanted.choices.into_iter().collect(),
        clearance: caller.clearance(),
        as_of: as_of.or(wanted.copies.map(AsOf::Copies)),
        reader: Some(format!("下载：{} {time}", caller.name)),
        ..ReturnRequest::new(wanted.name, top, date, folder)
    })
}

/// A date as requests write it; where it is left out, today, or the last day of a year that is over.
pub(super) fn date(server: &Server, text: Option<&str>) -> Result<jiff::civil::Date, ApiError> {
    let Some(text) = text else { return Ok(server.statistics_date()) };
    let sentence = "日期应为 2012-04-30 的形式 | a date is written as 2012-04-30";
    text.parse().map_err(|_| ApiError::BadRequest(sentence.into()))
}

/// A workbook to be saved under this name.
pub(super) fn workbook(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename*=UTF-8''{}", super::percent_encoded(name));
    let headers = [
        (header::CONTENT_TYPE, XLSX.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, bytes).into_response()
}

impl From<ReturnError> for ApiError {
    fn from(error: ReturnError) -> Self {
        match error {
            ReturnError::Unknown(..)
            | ReturnError::Variable { .. }
            | ReturnError::NoReportingUnit(_)
            | ReturnError::NoSheet(_)
            | ReturnError::NoFigure(_)
            | ReturnError::NotThen(..) => ApiError::BadRequest(error.to_string()),
            ReturnError::Store(error) => error.into(),
            ReturnError::Damaged(_) | ReturnError::Write(_) | ReturnError::Seal(_) | ReturnError::Io(_) => {
                tracing::error!(%error, "a return was not drawn");
                ApiError::Internal
            }
        }
    }
}
