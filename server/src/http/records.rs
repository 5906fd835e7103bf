//! Looking at records: what is in dispute, how far the targets are reached, and what was ever written to a cell.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sync_protocol::UnitId;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Query},
    periods::in_period,
};
use crate::{
    Server,
    audit::{self, Event},
    auth::{Caller, Permission},
    changes::{self, CellChange},
    history::{self, CellVersion, HistoryError},
    indicators,
    returns::{self, conflicts},
};

/// Changes in one answer.
const CHANGES_MAX: usize = 2_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(list_conflicts))
        .routes(routes!(list_indicators))
        .routes(routes!(list_changes))
        .routes(routes!(cell_history))
}

/// Which unit.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct At {
    /// Id of a unit; one's own where it is left out.
    unit: Option<String>,
    /// The year, such as `2012`; the configured one where it is left out.
    period: Option<String>,
}

impl At {
    async fn unit(&self, server: &Server, caller: &Caller) -> Result<UnitId, ApiError> {
        // Whoever may read nothing does not learn whether the unit exists.
        caller.may(Permission::ReadRecords)?;
        let unit = match &self.unit {
            Some(id) => id.parse().map_err(|_| ApiError::NotFound)?,
            None => caller.grant.unit,
        };
        caller.may_at(server.store.as_ref(), Permission::ReadRecords, unit).await?;
        Ok(unit)
    }
}

/// A cell in dispute.
#[derive(Serialize, ToSchema)]
struct Disputed {
    /// Title of the ledger.
    ledger: String,
    /// Name of the unit.
    unit: String,
    /// What names the record.
    record: String,
    /// Title of the column.
    column: String,
    /// The values, the one in force first; masked by role.
    values: Vec<DisputedValue>,
}

/// One side of it.
#[derive(Serialize, ToSchema)]
struct DisputedValue {
    /// The value as printed.
    value: String,
    /// Who wrote it.
    who: String,
    /// When, by the writer's clock.
    when: String,
}

/// Cells in dispute at and below a unit.
#[utoipa::path(get, path = "/api/conflicts", tag = "records", params(At),
    responses((status = 200, body = Vec<Disputed>)))]
async fn list_conflicts(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(at): Query<At>,
) -> Result<Json<Vec<Disputed>>, ApiError> {
    let top = at.unit(&server, &caller).await?;
    let server = in_period(&server, at.period.as_deref()).await?;
    let units = returns::at_and_below(server.store.units().await?, top);
    let mut stored = conflicts::of_year(&server).await?;
    stored.retain(|row| caller.books.reads.contains(&row.book) && units.iter().any(|unit| unit.id == row.unit));
    let lines = conflicts::lines(&server, &stored, &units, caller.clearance());
    audit::note(&server, &caller, Event::ConflictsRead, Some(top), json!({ "cells": lines.len() })).await?;
    let disputed = lines.into_iter().map(|line| Disputed {
        ledger: line.ledger,
        unit: line.unit,
        record: line.record,
        column: line.column,
        values: line.values.into_iter().map(|s| DisputedValue { value: s.value, who: s.who, when: s.when }).collect(),
    });
    Ok(Json(disputed.collect()))
}

/// Indicators of everything at and below a unit, today; of a year that is over, on its last day.
#[utoipa::path(get, path = "/api/indicators", tag = "records", params(At),
    responses((status = 200, body = Vec<Object>, description = "as `taizhang indicators --json` prints them")))]
async fn list_indicators(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(at): Query<At>,
) -> Result<Json<Vec<indicators::IndicatorLine>>, ApiError> {
    let top = at.unit(&server, &caller).await?;
    let server = in_period(&server, at.period.as_deref()).await?;
    Ok(Json(indicators::indicators(&server, top, server.statistics_date(), &[]).await?))
}

/// Since when.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Since {
    /// Id of a unit; one's own where it is left out.
    unit: Option<String>,
    /// The year, such as `2012`; the configured one where it is left out.
    period: Option<String>,
    /// Number of the feed, which a sealed return prints as 回执号; from the beginning where it is left out.
    #[serde(default, rename = "since_seq")]
    seq: i64,
}

/// Changes since some state.
#[derive(Serialize, ToSchema)]
struct Changes {
    /// How many there are.
    count: usize,
    /// The latest of them, the latest first.
    latest: Vec<CellChange>,
}

/// What has changed at and below a unit since some state: every cell that was typed or overwritten, with who and when.
#[utoipa::path(get, path = "/api/changes", tag = "records", params(Since), responses((status = 200, body = Changes)))]
async fn list_changes(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(since): Query<Since>,
) -> Result<Json<Changes>, ApiError> {
    let at = At { unit: since.unit, period: since.period };
    let top = at.unit(&server, &caller).await?;
    let server = in_period(&server, at.period.as_deref()).await?;
    let units = returns::at_and_below(server.store.units().await?, top);
    let clearance = caller.clearance();
    // It reads every document.
    let reader = server.clone();
    let work = async move { changes::changes(&reader, &units, since.seq, clearance, CHANGES_MAX).await };
    let (latest, count) = server.heavy.run(&caller, work).await??;
    audit::note(&server, &caller, Event::HistoryRead, Some(top), json!({ "since_seq": since.seq })).await?;
    Ok(Json(Changes { count, latest }))
}

/// Which cell.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Cell {
    /// Id of the unit.
    unit: String,
    /// Catalogue id of the ledger.
    ledger: String,
    /// Id of the row.
    row: String,
    /// Key of the column.
    column: String,
    /// The year, such as `2012`; the configured one where it is left out.
    period: Option<String>,
}

/// Everything that was ever written to a cell: who, when, by which device or from which file; oldest first.
#[utoipa::path(get, path = "/api/history", tag = "records", params(Cell),
    responses((status = 200, body = Vec<CellVersion>)))]
async fn cell_history(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(cell): Query<Cell>,
) -> Result<Json<Vec<CellVersion>>, ApiError> {
    caller.may(Permission::ReadRecords)?;
    let server = in_period(&server, cell.period.as_deref()).await?;
    let unit: UnitId = cell.unit.parse().map_err(|_| ApiError::NotFound)?;
    let row = cell.row.parse().map_err(|_| ApiError::NotFound)?;
    let place = history::place(&server, unit, &cell.ledger, row, &cell.column)?;
    caller.may_read(server.store.as_ref(), unit, place.identity.book).await?;
    let versions = history::history(&server, &place, caller.clearance()).await?;
    let detail = json!({ "ledger": cell.ledger, "row": cell.row, "column": cell.column });
    audit::note(&server, &caller, Event::HistoryRead, Some(unit), detail).await?;
    Ok(Json(versions))
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Unknown => ApiError::NotFound,
            HistoryError::Store(error) => error.into(),
        }
    }
}
