//! Summary returns 汇总表: lines that count, a total, live formulas, check relations.

use std::collections::{BTreeMap, BTreeSet};

use importer::workbook::{
    grid::address,
    write::{Book, Out, Page, Style, WriteError},
};
use sync_protocol::{
    Row, RowId, Value,
    catalogue::{Content, Format, ReturnColumn, ReturnForm, Sensitivity, SheetRows, Summand, Variables},
    unit::UnitLevel,
};

use super::{
    Drawn, ReturnError, ReturnRequest, board, book,
    figures::{Line, Scope, lines, texts},
    file_name,
    frame::Frame,
    kept::{self, Kept},
    list,
    marks::Marks,
    sealing,
    small::{self, STAR},
    variables,
};
use crate::{Server, periods};

/// Height of a data row in points.
const ROW_HEIGHT: f64 = 18.0;
/// Printed where a ratio has no denominator or a column does not apply.
pub(super) const NOT_APPLICABLE: &str = "—";

/// What was drawn into a book.
pub(super) struct Sheets {
    /// Rows of the first sheet.
    pub(super) rows: usize,
    /// Check relations that do not hold.
    pub(super) failed_checks: Vec<String>,
}

pub(super) async fn draw(server: &Server, form: &ReturnForm, request: &ReturnRequest) -> Result<Drawn, ReturnError> {
    let period = period(server, form, &variables(server, form, &request.variables)?);
    let path = request.folder.join(file_name(&[&form.form_number, &form.title, &period], request.date));
    let drawn = sealing::drawn(server, (&form.number, &form.title), request).await?;
    let mut book = book(&form.title, request)?;
    book.record();
    let Sheets { rows, failed_checks } = sheets(server, form, request, &mut book).await?;
    let seal = Some(sealing::save(server, book, (drawn, request), &path).await?);
    Ok(Drawn { path, rows, failed_checks, seal })
}

/// Draws the sheets of a return into a book.
pub(super) async fn sheets(
    server: &Server,
    form: &ReturnForm,
    request: &ReturnRequest,
    book: &mut Book,
) -> Result<Sheets, ReturnError> {
    let chosen: Vec<_> =
        request.variables.iter().filter(|(name, _)| form.variables.iter().any(|v| v.name == *name)).cloned().collect();
    let mut variables = variables(server, form, &chosen)?;
    if let Some(before) = periods::before(server).await? {
        variables.insert("year_before".into(), Value::text(before.period()));
    }
    if request.top.level == UnitLevel::Organisation {
        return Err(ReturnError::NoReportingUnit(request.top.name.clone()));
    }
    let period = period(server, form, &variables);
    let (mut rows, mut failed_checks) = (None, Vec::new());
    let scope = Scope { server, form, variables: &variables, top: request.top.id, date: request.date };
    let counted = kept::ledgers_of(&server.catalogue, form);
    let kept = Kept::of(server, request.top.id, &counted, &request.unreported).await?;
    for sheet in &form.sheets {
        let frame = Frame { form, sheet, period: &period, request };
        let drawn = match &sheet.rows {
            SheetRows::List { ledger, condition } => {
                list::draw(server, &frame, (ledger, condition.as_ref()), &kept, book).await?
            }
            SheetRows::Indicators => board::indicators(server, &frame, &kept, book).await?,
            SheetRows::IndicatorMatrix => board::matrix(server, &frame, &kept, book).await?,
            _ => {
                let lines = lines(scope, sheet).await?;
                let texts = texts(server, sheet, &lines, (request.top.id, request.date)).await?;
                let marks = Marks::of(&kept, sheet, &lines, request.date, &texts);
                let notes = notes(&kept, &kept::ledgers(&server.catalogue, sheet), marks.note());
                let hidden = BTreeSet::new();
                let mut table =
                    Table { server, frame, variables: &variables, lines: &lines, texts, marks, notes, hidden };
                if request.clearance < Sensitivity::S2 {
                    table.hidden = table.small_cells(scope).await?;
                }
                let mut page = book.sheet(&sheet.name)?;
                table.write(&mut page)?;
                failed_checks.extend(table.failed_checks());
                lines.len()
            }
        };
        rows.get_or_insert(drawn);
    }
    Ok(Sheets { rows: rows.unwrap_or_default(), failed_checks })
}

/// 2012年首次定级(4月): the year and the chosen codes' labels.
fn period(server: &Server, form: &ReturnForm, variables: &Variables) -> String {
    let labels = form.variables.iter().filter_map(|variable| {
        let code = variables.get(&variable.name)?.as_text()?;
        Some(server.catalogue.list(&variable.list)?.label(code).to_owned())
    });
    format!("{}年{}", server.campaign_year, labels.collect::<Vec<_>>().join(" "))
}

/// What is said below a table of how it was counted, besides its form's own notes.
pub(super) fn notes(kept: &Kept<'_>, ledgers: &BTreeSet<String>, missing: Option<&String>) -> Vec<String> {
    let notes = [missing.cloned(), kept.note_of_empty(ledgers), kept.note_of_unreviewed(ledgers)];
    notes.into_iter().flatten().collect()
}

struct Table<'a> {
    server: &'a Server,
    frame: Frame<'a>,
    variables: &'a Variables,
    lines: &'a [Line],
    texts: BTreeMap<String, Vec<String>>,
    /// Cells that say a word instead of a figure.
    marks: Marks,
    notes: Vec<String>,
    /// Lines and columns that are not printed in this copy; the total stands behind the last line.
    hidden: BTreeSet<(usize, usize)>,
}

/// A figure and the line that it is of.
#[derive(Clone, Copy)]
struct Place<'a> {
    row: u32,
    line: &'a Line,
}

impl Table<'_> {
    fn columns(&self) -> &[ReturnColumn] {
        &self.frame.sheet.columns
    }

    fn write(&self, page: &mut Page<'_>) -> Result<(), WriteError> {
        self.frame.head(page)?;
        let first_row = self.frame.first_row();
        for (index, line) in self.lines.iter().enumerate() {
            let row = first_row + u32::try_from(index).unwrap_or(u32::MAX);
            page.height(row, ROW_HEIGHT)?;
            for (at, column) in (0u16..).zip(self.columns()) {
                let is_hidden = self.hidden.contains(&(index, usize::from(at)));
                let mark = self.marks.cell(index, usize::from(at)).filter(|_| self.applies(column));
                let (value, style) = match mark {
                    _ if is_hidden => (Out::Text(STAR.into()), Style::TextCentre),
                    Some(word) => (Out::Text(word.into()), Style::Missing),
                    None => self.cell(column, index, Place { row, line }),
                };
                page.put(row, at, &value, style)?;
            }
        }
        let total_row = first_row + u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        page.height(total_row, ROW_HEIGHT)?;
        self.total(page, first_row, total_row)?;
        self.frame.foot(page, total_row + 1, &self.notes)
    }

    /// Whether the column applies for the chosen variables.
    fn applies(&self, column: &ReturnColumn) -> bool {
        let nobody = Row::new(RowId::random([0; 10]));
        column.only.as_ref().is_none_or(|only| only.holds(&nobody, self.variables))
    }

    /// The cells that are about so few people that a copy for supervisors does not print them, and those without which they
    /// could be computed; the total stands behind the last line. What is hidden in the table of the county is hidden in that
    /// of a unit, too: else the one would be taken from the other.
    async fn small_cells(&self, scope: Scope<'_>) -> Result<BTreeSet<(usize, usize)>, ReturnError> {
        let places: Vec<usize> = (0..self.columns().len()).filter(|at| self.columns()[*at].small).collect();
        let parameters = self.server.catalogue.variables(self.server.campaign_year, None);
        let Some(Value::Int(least)) = parameters.get("small_cell_min").cloned() else { return Ok(BTreeSet::new()) };
        if places.is_empty() {
            return Ok(BTreeSet::new());
        }
        let figure = |line: &Line, at: &usize| self.raw(&self.columns()[*at], line).unwrap_or_default();
        let figures = |lines: &[&Line]| -> Vec<Vec<i64>> {
            lines.iter().map(|line| places.iter().map(|at| figure(line, at)).collect()).collect()
        };
        let total = self.lines.len();
        let mut hidden = BTreeSet::new();
        if self.frame.request.copies.is_some() {
            // Each copy was drawn at another moment, among other figures of the others: nothing may be told of a unit with
            // small ones that its own copy does not tell.
            for (index, line) in self.lines.iter().enumerate() {
                if places.iter().any(|at| (1..least).contains(&figure(line, at))) {
                    hidden.extend(places.iter().flat_map(|at| [(index, *at), (total, *at)]));
                }
            }
            return Ok(hidden);
        }
        // A line of words is known to have nothing: nothing can be hidden among it.
        let has_figures = |marks: &Marks, index: usize| places.iter().any(|at| marks.cell(index, *at).is_none());
        let is_part = matches!(self.frame.sheet.rows, SheetRows::Units(_)) && scope.top != self.server.county;
        if is_part {
            let county = self.server.county;
            let counted = kept::ledgers(&self.server.catalogue, self.frame.sheet);
            let kept = Kept::of(self.server, county, &counted, &self.frame.request.unreported).await?;
            let all = lines(Scope { top: county, ..scope }, self.frame.sheet).await?;
            let marks = Marks::of(&kept, self.frame.sheet, &all, scope.date, &BTreeMap::new());
            let all: Vec<&Line> =
                all.iter().enumerate().filter(|(index, _)| has_figures(&marks, *index)).map(|(_, line)| line).collect();
            let of_county = small::suppressed(&figures(&all), least);
            for (index, line) in self.lines.iter().enumerate() {
                let unit = |line: &Line| line.unit.as_ref().map(|unit| unit.id);
                let at = all.iter().position(|other| unit(other) == unit(line));
                let own = of_county.iter().filter(|(line, _)| Some(*line) == at).map(|(_, column)| places[*column]);
                hidden.extend(own.flat_map(|column| [(index, column), (total, column)]));
            }
            return Ok(hidden);
        }
        let summed = self.lines.iter().enumerate().filter(|(_, line)| !line.of_which);
        let summed: Vec<(usize, &Line)> = summed.filter(|(index, _)| has_figures(&self.marks, *index)).collect();
        let suppressed = small::suppressed(&figures(&summed.iter().map(|(_, line)| *line).collect::<Vec<_>>()), least);
        let place =
            |(line, column): (usize, usize)| (summed.get(line).map_or(total, |(index, _)| *index), places[column]);
        hidden.extend(suppressed.into_iter().map(place));
        // 其中: part of a line above.
        for (index, line) in self.lines.iter().enumerate().filter(|(_, line)| line.of_which) {
            let small = places.iter().filter(|at| (1..least).contains(&figure(line, at)));
            hidden.extend(small.map(|at| (index, *at)));
        }
        Ok(hidden)
    }

    /// What a figure comes to, before it is divided for printing.
    fn raw(&self, column: &ReturnColumn, line: &Line) -> Option<i64> {
        match &column.content {
            // Lines without a figure are in no total, whatever they come to.
            Content::Count(_) | Content::Sum(_) if line.is_total && self.is_partial(column) => {
                self.sum_of_lines(column)
            }
            Content::Count(terms) => Some(line.value(terms, self.frame.request.date)),
            Content::Sum(summands) => self.sum_of(summands, line),
            Content::Parameter(name) => self.parameter(name, line),
            _ => None,
        }
    }

    fn place_of(&self, column: &ReturnColumn) -> usize {
        self.columns().iter().position(|known| known.number == column.number).unwrap_or_default()
    }

    fn is_partial(&self, column: &ReturnColumn) -> bool {
        self.marks.is_partial(self.place_of(column))
    }

    /// The sum of a column over the lines that have a figure in it.
    fn sum_of_lines(&self, column: &ReturnColumn) -> Option<i64> {
        let at = self.place_of(column);
        let lines = self.lines.iter().enumerate().filter(|(_, line)| !line.of_which);
        lines.filter(|(index, _)| self.marks.cell(*index, at).is_none()).map(|(_, line)| self.raw(column, line)).sum()
    }

    fn parameter(&self, name: &str, line: &Line) -> Option<i64> {
        let Some(code) = &line.code else {
            // The total: every entry that has a line.
            return self.lines.iter().filter(|line| line.code.is_some()).map(|line| self.parameter(name, line)).sum();
        };
        self.server.catalogue.parameter(&format!("{name}.{code}"))?.as_integer()
    }

    fn sum_of(&self, summands: &[Summand], line: &Line) -> Option<i64> {
        let one = |summand: &Summand| {
            let column = self.columns().iter().find(|column| column.number == summand.number)?;
            let value = self.raw(column, line)?;
            Some(if summand.minus { -value } else { value })
        };
        summands.iter().map(one).sum()
    }

    fn cell(&self, column: &ReturnColumn, index: usize, place: Place<'_>) -> (Out, Style) {
        if !self.applies(column) {
            return (Out::Text(NOT_APPLICABLE.into()), Style::TextCentre);
        }
        let line = place.line;
        let value = match &column.content {
            Content::Sequence if line.of_which => Out::Blank,
            Content::Sequence => {
                let before = self.lines[..index].iter().filter(|line| !line.of_which).count();
                Out::Text((before + 1).to_string())
            }
            Content::Group => return (Out::Text(line.label.clone()), Style::Text),
            Content::Unit => {
                let unit = line.unit.as_ref().map(|unit| unit.label().to_owned());
                return (Out::Text(unit.unwrap_or_default()), Style::Text);
            }
            Content::Text { .. } => {
                let text = self.texts.get(&column.number).map(|texts| texts[index].clone()).unwrap_or_default();
                let text = if text.is_empty() { NOT_APPLICABLE.to_owned() } else { text };
                return (Out::Text(text), Style::TextCentre);
            }
            _ => self.figure(column, place),
        };
        (value, style(column.format, false))
    }

    fn figure(&self, column: &ReturnColumn, Place { row, line }: Place<'_>) -> Out {
        match &column.content {
            Content::Sum(summands) => {
                let cached = self.raw(column, line).unwrap_or_default().to_string();
                Out::Formula { text: format!("={}", self.printed_sum(summands, row)), cached }
            }
            Content::Ratio { over, under } => {
                let text = format!(
                    "=IF({under}=0,\"{NOT_APPLICABLE}\",{over}/{under})",
                    under = self.in_brackets(under, row),
                    over = self.in_brackets(over, row)
                );
                let part = |summands: &[Summand]| self.sum_of(summands, line).unwrap_or_default();
                let cached = match share(part(over), part(under), 1) {
                    Out::Number(number) => number.to_string(),
                    _ => NOT_APPLICABLE.to_owned(),
                };
                Out::Formula { text, cached }
            }
            Content::Share { over, under } => {
                let value = |terms| line.value(terms, self.frame.request.date);
                share(value(over), value(under), column.divisor)
            }
            Content::Blank => Out::Blank,
            _ => self.raw(column, line).map_or(Out::Text(NOT_APPLICABLE.into()), |raw| {
                if column.divisor == 1 {
                    Out::Number(raw as f64)
                } else {
                    Out::Number(raw as f64 / column.divisor as f64)
                }
            }),
        }
    }

    /// `C8+D8-E8` over the printed cells of a row.
    fn printed_sum(&self, summands: &[Summand], row: u32) -> String {
        let mut text = String::new();
        for summand in summands {
            let at = self.columns().iter().position(|column| column.number == summand.number).unwrap_or_default();
            text.push_str(match (summand.minus, text.is_empty()) {
                (true, _) => "-",
                (false, true) => "",
                (false, false) => "+",
            });
            text.push_str(&address(row, u16::try_from(at).unwrap_or(u16::MAX)));
        }
        text
    }

    fn in_brackets(&self, summands: &[Summand], row: u32) -> String {
        let text = self.printed_sum(summands, row);
        if summands.len() == 1 { text } else { format!("({text})") }
    }

    /// All lines as one.
    fn sums(&self) -> Line {
        let mut total = Line { label: "合计".into(), is_total: true, ..Line::default() };
        for line in self.lines.iter().filter(|line| !line.of_which) {
            for (id, parts) in &line.counts {
                for (by, value) in parts {
                    *total.counts.entry(id.clone()).or_default().entry(by.clone()).or_default() += value;
                }
            }
        }
        total
    }

    fn total(&self, page: &mut Page<'_>, first_row: u32, row: u32) -> Result<(), WriteError> {
        let sums = self.sums();
        let place = Place { row, line: &sums };
        for (at, column) in (0u16..).zip(self.columns()) {
            let word = self.marks.total(usize::from(at)).filter(|_| self.applies(column));
            let value = match (&column.content, word) {
                (Content::Group, _) => Out::Text("合计".into()),
                (Content::Sequence | Content::Unit | Content::Text { .. } | Content::Blank, _) => Out::Blank,
                (_, Some(word)) => Out::Text(word.into()),
                _ if !self.applies(column) => Out::Text(NOT_APPLICABLE.into()),
                _ if self.hidden.contains(&(self.lines.len(), usize::from(at))) => Out::Text(STAR.into()),
                // A sum over what is not printed would be another one: it stands there as a number.
                _ if self.hidden.iter().any(|(_, column)| *column == usize::from(at)) => self.figure(column, place),
                (Content::Count(_) | Content::Parameter(_), _) => {
                    let cached = match self.figure(column, place) {
                        Out::Number(number) => number.to_string(),
                        _ => "0".to_owned(),
                    };
                    Out::Formula { text: self.sum(at, first_row), cached }
                }
                (Content::Sum(_), _) if self.is_partial(column) => {
                    let cached = self.raw(column, &sums).unwrap_or_default().to_string();
                    Out::Formula { text: self.sum(at, first_row), cached }
                }
                _ => self.figure(column, place),
            };
            page.put(row, at, &value, if word.is_some() { Style::TotalText } else { style(column.format, true) })?;
        }
        Ok(())
    }

    /// `=SUM(C8:C10,C13:C15)`: ranges without 其中 rows.
    fn sum(&self, column: u16, first_row: u32) -> String {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (row, line) in (first_row..).zip(self.lines) {
            match ranges.last_mut() {
                _ if line.of_which => {}
                Some((_, end)) if *end + 1 == row => *end = row,
                _ => ranges.push((row, row)),
            }
        }
        let ranges: Vec<String> =
            ranges.iter().map(|(from, to)| format!("{}:{}", address(*from, column), address(*to, column))).collect();
        if ranges.is_empty() { "=0".to_owned() } else { format!("=SUM({})", ranges.join(",")) }
    }

    /// Check relations that do not hold in a row or in the total.
    fn failed_checks(&self) -> Vec<String> {
        let total = self.sums();
        let mut failed = Vec::new();
        for (index, line) in self.lines.iter().chain([&total]).enumerate() {
            let is_known = |column: &ReturnColumn| {
                if line.is_total {
                    !self.is_partial(column)
                } else {
                    self.marks.cell(index, self.place_of(column)).is_none()
                }
            };
            for check in &self.frame.form.checks {
                let side = |side: &[String]| -> Option<i64> {
                    let one = |wanted: &String| {
                        let column = self.columns().iter().find(|column| column.number == *wanted)?;
                        (self.applies(column) && is_known(column)).then(|| self.raw(column, line))?
                    };
                    side.iter().map(one).sum()
                };
                if let (Some(left), Some(right)) = (side(&check.left), side(&check.right))
                    && !check.holds(left, right)
                {
                    let (sheet, label) = (&self.frame.sheet.name, &line.label);
                    failed.push(format!("{sheet} {label}：栏次 {} 不成立（{left} 与 {right}）", check.text));
                }
            }
        }
        failed
    }
}

/// How a figure looks.
pub(super) fn style(format: Format, is_total: bool) -> Style {
    match (format, is_total) {
        (Format::Text, false) => Style::TextCentre,
        (Format::Count, false) => Style::Count,
        (Format::Percent, false) => Style::Percent,
        (Format::Decimal, false) => Style::Tenths,
        (Format::Money, false) => Style::Hundredths,
        (Format::Text, true) => Style::TotalText,
        (Format::Count, true) => Style::TotalCount,
        (Format::Percent, true) => Style::TotalPercent,
        (Format::Decimal, true) => Style::TotalTenths,
        (Format::Money, true) => Style::TotalHundredths,
    }
}

fn share(over: i64, under: i64, divisor: i64) -> Out {
    match (under, divisor) {
        (0, _) => Out::Text(NOT_APPLICABLE.into()),
        (_, 1) => Out::Number(over as f64 / under as f64),
        _ => Out::Number(over as f64 / under as f64 / divisor as f64),
    }
}
