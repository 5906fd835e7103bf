//! The rows behind a cell of a return: which they are, and what each of them adds. They add up to the cell.

mod table;

use std::collections::{BTreeMap, BTreeSet};

use importer::workbook::grid::address;
use serde::Serialize;
use sync_protocol::{
    Row, RowId, UnitId,
    catalogue::{Behind as Counted, Content, Indicator, IndicatorPart, Measure, Sheet, SheetRows, Term},
    unit::{Unit, UnitLevel},
};

use self::table::{of_table, parts_of};
use super::{ReturnError, ReturnRequest, at_and_below, figures::read, frame::first_row, past, record_name};
use crate::{
    Server,
    counting::{self, About, Keyed},
    indicators,
};

/// A cell, as a workbook names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellName {
    /// The sheet; the first of the return, if it is left out.
    pub sheet: Option<String>,
    /// Row and column from 0.
    pub place: (u32, u16),
}

impl std::str::FromStr for CellName {
    type Err = String;

    /// `F17`, `按领域!F17`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (sheet, cell) = text.rsplit_once('!').map_or((None, text), |(sheet, cell)| (Some(sheet), cell));
        let wrong = || format!("单元格应为 F17 或 工作表!F17 的形式 a cell is written as F17 or sheet!F17: {text}");
        let end =
            cell.find(|c: char| !c.is_ascii_alphabetic()).filter(|end| (1..=3).contains(end)).ok_or_else(wrong)?;
        let (letters, digits) = cell.split_at(end);
        let digit = |c: char| u16::from(c.to_ascii_uppercase() as u8 - b'A') + 1;
        let column = letters.chars().fold(0u16, |column, c| column.saturating_mul(26).saturating_add(digit(c)));
        let row: u32 = digits.parse().ok().and_then(|row: u32| row.checked_sub(1)).ok_or_else(wrong)?;
        let sheet = sheet.map(|sheet| sheet.trim_matches('\'').to_owned()).filter(|sheet| !sheet.is_empty());
        Ok(Self { sheet, place: (row, column - 1) })
    }
}

/// The rows behind a cell.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Behind {
    /// The sheet.
    pub sheet: String,
    /// `F17`.
    pub cell: String,
    /// What the line is called.
    pub line: String,
    /// 栏次.
    pub number: String,
    /// The head of the column, or the title of the indicator.
    pub title: String,
    /// What the rows come to: the cell, before it is rounded. None, where there is nothing to divide by.
    pub value: Option<f64>,
    /// What is counted; of a share what stands above the line.
    pub over: Vec<Part>,
    /// What a share is divided by.
    pub under: Vec<Part>,
    /// The sum, or the share of sums, is divided by this: money is counted in fen.
    pub divisor: i64,
}

/// A measure in a cell.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Part {
    /// What it counts.
    pub title: String,
    /// Multiplied by this: -1 where it is subtracted.
    pub times: i64,
    /// What it comes to.
    pub sum: i64,
    /// How many rows it has, of which the first may be listed alone.
    pub count: usize,
    /// Whether the county has set it: then there are no rows.
    pub is_set: bool,
    /// Its rows. What they add comes to the sum.
    pub rows: Vec<RowBehind>,
}

/// A row behind a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RowBehind {
    /// Id of the unit that keeps it.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// Name of the unit.
    pub unit_name: String,
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// Its title.
    pub ledger_title: String,
    /// Id of the row; none, where a unit counts because it has none.
    #[schema(value_type = Option<String>)]
    pub row: Option<RowId>,
    /// What people call it, masked by role.
    pub name: String,
    /// What it adds. Of rows that count once together the first adds one, the others nothing.
    pub adds: i64,
}

impl Behind {
    /// All that it counts.
    pub fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.over.iter_mut().chain(&mut self.under)
    }
}

impl RowBehind {
    /// Says no more of it than that somebody keeps it.
    pub fn hide(&mut self, unit: UnitId) {
        (self.unit, self.row) = (unit, None);
        (self.unit_name, self.name) = ("（其他单位）".into(), "（其他单位的记录）".into());
    }
}

impl Part {
    /// A number that the county has set.
    fn set(title: impl Into<String>, times: i64, sum: i64) -> Self {
        Self { title: title.into(), times, sum, count: 0, is_set: true, rows: Vec::new() }
    }

    fn signed(&self) -> i64 {
        self.times * self.sum
    }
}

/// The rows behind a cell of a return that is drawn as requested, from the state that it is drawn from.
pub async fn behind(server: &Server, request: &ReturnRequest, cell: &CellName) -> Result<Behind, ReturnError> {
    let Some(as_of) = &request.as_of else { return found(server, request, cell).await };
    let (past, request) = past::opened(server, request, as_of).await?;
    let found = Box::pin(found(&past.server, &request, cell)).await;
    past.close().await;
    found
}

async fn found(server: &Server, request: &ReturnRequest, cell: &CellName) -> Result<Behind, ReturnError> {
    let form = server.catalogue.return_form(&request.name);
    let form = form.ok_or_else(|| ReturnError::Unknown(request.name.clone(), "R01–R25".into()))?;
    let sheet = match &cell.sheet {
        Some(name) => form.sheets.iter().find(|sheet| sheet.name == *name),
        None => form.sheets.first(),
    };
    let names = || form.sheets.iter().map(|sheet| sheet.name.as_str()).collect::<Vec<_>>().join(", ");
    let sheet = sheet.ok_or_else(|| ReturnError::NoSheet(names()))?;
    if request.top.level == UnitLevel::Organisation {
        return Err(ReturnError::NoReportingUnit(request.top.name.clone()));
    }
    let found = match sheet.rows {
        SheetRows::Indicators | SheetRows::IndicatorMatrix => of_indicator(server, request, sheet, cell).await?,
        _ => of_table(server, form, request, sheet, cell).await?,
    };
    let (row, column) = cell.place;
    found
        .map(|found| Behind { sheet: sheet.name.clone(), cell: address(row, column), ..found })
        .ok_or_else(|| ReturnError::NoFigure(address(row, column)))
}

/// Whether a cell is about so few people that it is not printed in copies for supervisors.
pub fn may_be_small(server: &Server, name: &str, cell: &CellName) -> bool {
    let Some(form) = server.catalogue.return_form(name) else { return false };
    let sheets = form.sheets.iter().filter(|sheet| cell.sheet.as_ref().is_none_or(|name| *name == sheet.name));
    let columns = sheets.filter_map(|sheet| Some((sheet, sheet.columns.get(usize::from(cell.place.1))?)));
    columns.into_iter().any(|(sheet, column)| parts_of(sheet, column).iter().any(|(column, _)| column.small))
}

/// A row that a unit has counted.
struct Found {
    counted_by: UnitId,
    row: Option<Row>,
    adds: i64,
}

impl Found {
    fn new(counted_by: UnitId, counted: &Counted<'_>) -> Self {
        Self { counted_by, row: counted.row.cloned(), adds: counted.adds }
    }
}

/// Of parts that count once, however many units count them, those that another unit has counted already.
struct Once {
    is_once: bool,
    /// By line.
    seen: BTreeSet<(usize, String)>,
}

impl Once {
    fn new(measure: &Measure) -> Self {
        Self { is_once: measure.once, seen: BTreeSet::new() }
    }

    /// A row of a part in a line; it adds nothing, if one of another unit has.
    fn found(&mut self, (line, by): (usize, &str), unit: UnitId, counted: &Counted<'_>) -> Found {
        let found = Found::new(unit, counted);
        let counts = !self.is_once || by.is_empty() || found.adds == 0;
        if counts || self.seen.insert((line, by.to_owned())) { found } else { Found { adds: 0, ..found } }
    }
}

/// Names the rows of a measure.
async fn part(
    server: &Server,
    measure: &Measure,
    times: i64,
    found: Vec<Found>,
    request: &ReturnRequest,
) -> Result<Part, ReturnError> {
    let units = server.store.units().await?;
    let names: BTreeMap<UnitId, &Unit> = units.iter().map(|unit| (unit.id, unit)).collect();
    let ledger = measure.counted_ledger();
    // Rows that belong to others may stand in another unit of the same township than what counts them.
    let mut elsewhere: BTreeMap<RowId, Vec<UnitId>> = BTreeMap::new();
    if measure.joined.is_some() {
        let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
        for (unit, rows) in read(server, ledger, &ids).await? {
            for row in rows {
                elsewhere.entry(row.id).or_default().push(unit);
            }
        }
    }
    let place = |unit: UnitId| names.get(&unit).map_or(unit, |unit| counting::place_of(unit));
    let title = server.catalogue.ledger(ledger).map_or(ledger, |ledger| &ledger.title).to_owned();
    let rows = found.into_iter().map(|Found { counted_by, row, adds }| {
        let id = row.as_ref().map(|row| row.id);
        let kept_by = id.and_then(|id| elsewhere.get(&id)).into_iter().flatten();
        let unit = kept_by.copied().find(|unit| place(*unit) == place(counted_by)).unwrap_or(counted_by);
        let unit_name = names.get(&unit).map(|unit| unit.name.clone()).unwrap_or_default();
        let name = match &row {
            Some(row) => record_name(&server.catalogue, ledger, row, request.clearance),
            None => unit_name.clone(),
        };
        RowBehind { unit, unit_name, ledger: ledger.to_owned(), ledger_title: title.clone(), row: id, name, adds }
    });
    let mut rows: Vec<RowBehind> = rows.collect();
    let order: BTreeMap<UnitId, usize> = units.iter().enumerate().map(|(index, unit)| (unit.id, index)).collect();
    rows.sort_by(|a, b| (order.get(&a.unit), &a.name).cmp(&(order.get(&b.unit), &b.name)));
    let sum = rows.iter().map(|row| row.adds).sum();
    Ok(Part { title: measure.title.clone(), times, sum, count: rows.len(), is_set: false, rows })
}

async fn of_indicator(
    server: &Server,
    request: &ReturnRequest,
    sheet: &Sheet,
    cell: &CellName,
) -> Result<Option<Behind>, ReturnError> {
    let (row, at) = cell.place;
    let (top, first, wanted) = if matches!(sheet.rows, SheetRows::IndicatorMatrix) {
        let units = at_and_below(server.store.units().await?, request.top.id);
        let mut reporting = units.into_iter().filter(|unit| unit.level == UnitLevel::ReportingUnit);
        let unit = usize::from(at).checked_sub(2).and_then(|index| reporting.nth(index));
        let Some(unit) = unit else { return Ok(None) };
        (unit, 2, IndicatorPart::Actual)
    } else {
        let Some(Content::Indicator(part)) = sheet.columns.get(usize::from(at)).map(|column| &column.content) else {
            return Ok(None);
        };
        (request.top.clone(), first_row(sheet), *part)
    };
    let index = row.checked_sub(first).and_then(|index| usize::try_from(index).ok());
    let Some(indicator) = index.and_then(|index| server.catalogue.indicators().get(index)) else { return Ok(None) };
    let mut sides = Vec::new();
    for terms in [&indicator.numerator, &indicator.denominator] {
        let mut parts = Vec::new();
        for term in terms {
            parts.extend(of_term(server, request, &top, (indicator, term)).await?);
        }
        sides.push(parts);
    }
    let (mut under, mut over) = (sides.pop().unwrap_or_default(), sides.pop().unwrap_or_default());
    if let Some(constant) = indicator.denominator_constant.filter(|_| top.id == server.county) {
        under.push(Part::set("名额", 1, constant));
    }
    let sum = |parts: &[Part]| parts.iter().map(Part::signed).sum::<i64>();
    let mut sums = over.iter().chain(&under).map(|part| part.sum).collect::<Vec<_>>().into_iter();
    let figure = indicator.figure(|_| sums.next().unwrap_or_default());
    let figure = indicators::of_unit(server, indicator, top.id, figure);
    let (times, scale) = (indicators::hundredths(server, indicator), figure.scale as f64);
    let share = || figure.denominator.filter(|under| *under != 0).map(|under| figure.numerator as f64 / under as f64);
    let value = match wanted {
        IndicatorPart::Numerator => {
            if !indicator.growth_of_means {
                under.clear();
            }
            Some(figure.numerator as f64 / scale)
        }
        IndicatorPart::Denominator => {
            let value = figure.denominator.map(|under| under as f64 / scale);
            if !indicator.growth_of_means {
                over = std::mem::take(&mut under);
            }
            value
        }
        IndicatorPart::Actual if figure.denominator.is_none() => Some(sum(&over) as f64),
        IndicatorPart::Actual => share(),
        _ => return Ok(None),
    };
    Ok(Some(Behind {
        sheet: String::new(),
        cell: String::new(),
        line: top.label().to_owned(),
        number: indicator.id.clone(),
        title: indicator.title.clone(),
        value,
        over,
        under,
        divisor: if matches!(wanted, IndicatorPart::Numerator | IndicatorPart::Denominator) { times } else { 1 },
    }))
}

/// The rows of a term of an indicator.
async fn of_term(
    server: &Server,
    request: &ReturnRequest,
    top: &Unit,
    (indicator, term): (&Indicator, &Term),
) -> Result<Option<Part>, ReturnError> {
    let Some(measure) = server.catalogue.measure(&term.measure) else { return Ok(None) };
    let keyed: Keyed<'_> = (measure, measure.key(&indicator.bound()));
    let (all, date, mut found) = (server.store.units().await?, request.date, Vec::new());
    let (about, mut once) = (About::new(&all, top.id), Once::new(measure));
    counting::each_unit(
        server,
        &all,
        (top.id, date),
        &[&keyed],
        true,
        |unit, (measure, _), rows, around, variables| {
            for (by, rows) in measure.behind(rows, around, variables) {
                let Some((_, by)) = about.of(measure, unit, by) else { continue };
                if indicators::counts(&term.window, &by, date) {
                    found.extend(rows.iter().map(|row| once.found((0, &by), unit, row)));
                }
            }
        },
    )
    .await?;
    Ok(Some(part(server, measure, term.times, found, request).await?))
}
