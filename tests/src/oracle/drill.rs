//! Every numeric cell of every return beside the rows behind it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context, Result};
use importer::{
    ReadLimits,
    workbook::{grid::Cell, read},
};
use server::{
    Server,
    returns::{
        self, ReturnError, ReturnRequest,
        behind::{Behind, CellName, Part, behind},
    },
};
use sync_protocol::catalogue::{Content, Format, IndicatorPart, Sensitivity, SheetRows};

/// What was looked at.
#[derive(Debug, Default)]
pub struct Drilled {
    /// Return → cells that are numbers.
    pub cells: BTreeMap<String, usize>,
    /// Rows that were named behind them.
    pub rows: usize,
    /// What is not so.
    pub wrong: Vec<String>,
}

fn sum(parts: &[Part]) -> i64 {
    parts.iter().map(|part| part.times * part.sum).sum()
}

/// What the rows come to, added up here: the sum, or the share of sums.
fn rows_come_to(found: &Behind) -> Option<f64> {
    let added = |parts: &[Part]| -> i64 {
        let of = |part: &Part| if part.is_set { part.sum } else { part.rows.iter().map(|row| row.adds).sum() };
        parts.iter().map(|part| part.times * of(part)).sum()
    };
    let (over, under) = (added(&found.over) as f64, added(&found.under) as f64);
    match found.under.is_empty() {
        true => Some(over / found.divisor as f64),
        false if under == 0.0 => None,
        false => Some(over / under / found.divisor as f64),
    }
}

/// Draws every return of a day, and asks for the rows behind each cell that is a number, or one in so many.
pub async fn drill(
    server: &Server,
    folder: &Path,
    date: jiff::civil::Date,
    choices: &[(&str, &[(&str, &str)])],
    one_in: usize,
) -> Result<Drilled> {
    let (mut drilled, mut numbers) = (Drilled::default(), 0);
    for form in server.catalogue.returns() {
        let chosen = choices.iter().find(|(number, _)| *number == form.number).map_or(&[][..], |(_, chosen)| *chosen);
        let request = ReturnRequest {
            variables: chosen.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            clearance: Sensitivity::S3,
            ..ReturnRequest::new(&*form.number, returns::county(server).await?, date, folder)
        };
        let drawn = returns::draw(server, &request).await?;
        let book = Arc::new(read::read(&std::fs::read(&drawn.path)?, &ReadLimits::default())?);
        for sheet in form.sheets.iter().filter(|sheet| !matches!(sheet.rows, SheetRows::List { .. })) {
            let page = book.sheets.iter().find(|page| page.name == sheet.name).with_context(|| sheet.name.clone())?;
            let is_matrix = matches!(sheet.rows, SheetRows::IndicatorMatrix);
            let first = if is_matrix { 2 } else { 3 + sheet.header_depth() + 1 };
            for row in first..page.row_count() {
                for column in 0..page.row(row).len() {
                    let Some(Cell::Number { value, .. }) = page.cell(row, u16::try_from(column)?) else { continue };
                    let content = sheet.columns.get(column).map(|column| &column.content);
                    let is_set =
                        matches!(content, Some(Content::Indicator(IndicatorPart::Target | IndicatorPart::Gap)));
                    if is_set && !is_matrix {
                        continue;
                    }
                    let place = (u32::try_from(row)?, u16::try_from(column)?);
                    let cell = CellName { sheet: Some(sheet.name.clone()), place };
                    numbers += 1;
                    if numbers % one_in != 0 {
                        continue;
                    }
                    *drilled.cells.entry(form.number.clone()).or_default() += 1;
                    drilled.check(server, &request, &cell, value).await?;
                    let is_board = is_matrix || matches!(sheet.rows, SheetRows::Indicators);
                    if let Some(column) = sheet.columns.get(column).filter(|_| !is_board) {
                        anyhow::ensure!(column.format != Format::Text, "{} {}: a number", form.number, column.number);
                    }
                }
            }
        }
    }
    Ok(drilled)
}

impl Drilled {
    async fn check(&mut self, server: &Server, request: &ReturnRequest, cell: &CellName, printed: f64) -> Result<()> {
        let name = format!("{} {:?} {:?}", request.name, cell.sheet, cell.place);
        let found = match behind(server, request, cell).await {
            Err(ReturnError::NoFigure(cell)) => {
                self.wrong.push(format!("{name}: {cell} prints {printed} and has no rows"));
                return Ok(());
            }
            found => found?,
        };
        for part in found.over.iter().chain(&found.under) {
            self.rows += part.rows.len();
            let added: i64 = part.rows.iter().map(|row| row.adds).sum();
            if !part.is_set && added != part.sum {
                self.wrong.push(format!("{name}: {} comes to {} and its rows to {added}", part.title, part.sum));
            }
        }
        // The growth of a mean is no sum over a sum: its four sums are behind it.
        let value = match server.catalogue.indicator(&found.number).filter(|indicator| indicator.growth_of_means) {
            Some(_) => {
                let sums: Vec<i64> = found.over.iter().chain(&found.under).map(|part| part.sum).collect();
                let [now, count_now, then, count_then] = sums[..] else { anyhow::bail!("{name}: {sums:?}") };
                let base = then * count_now;
                // The means of both years, in yuan.
                let times = (count_now * count_then * 100) as f64;
                match cell.place.1 {
                    2 => Some((now * count_then - base) as f64 / times),
                    3 => Some(base as f64 / times),
                    _ => Some((now * count_then - base) as f64 / base as f64),
                }
            }
            None => rows_come_to(&found),
        };
        let is_near = |value: f64| (value - printed).abs() < 1e-9 * printed.abs().max(1.0);
        if !value.is_some_and(is_near) || !found.value.is_some_and(is_near) {
            let (over, under) = (sum(&found.over), sum(&found.under));
            self.wrong.push(format!(
                "{name} {} 栏次{} {}: prints {printed}, rows come to {value:?} ({over}/{under}), said {:?}",
                found.line, found.number, found.title, found.value
            ));
        }
        Ok(())
    }
}
