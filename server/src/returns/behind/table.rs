//! The rows behind a cell of a table: those of its line, or of all lines that are summed.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    Row, RowId, UnitId,
    catalogue::{Content, Measure, ReturnColumn, ReturnForm, Sheet, SheetRows, Summand, Term, Window},
    unit::{Unit, UnitLevel},
};

use super::{Behind, CellName, Found, Once, Part, part};
use crate::{
    Server,
    counting::{self, About, Keyed},
    indicators,
    returns::{
        ReturnError, ReturnRequest, at_and_below,
        figures::{Groups, Line, Scope, each_code, lines, texts},
        frame::first_row,
        kept::{self, Kept},
        marks::Marks,
        variables,
    },
    store::SumOf,
};

/// The columns that a figure is summed from, with their signs: itself, unless it is a sum or a share of printed ones.
pub(super) fn parts_of<'s>(sheet: &'s Sheet, column: &'s ReturnColumn) -> Vec<(&'s ReturnColumn, i64)> {
    let of = |summands: &'s [Summand]| -> Vec<(&'s ReturnColumn, i64)> {
        let one = |summand: &'s Summand| {
            let column = sheet.columns.iter().find(|column| column.number == summand.number)?;
            let sign = if summand.minus { -1 } else { 1 };
            Some(parts_of(sheet, column).into_iter().map(move |(column, times)| (column, sign * times)))
        };
        summands.iter().filter_map(one).flatten().collect()
    };
    match &column.content {
        Content::Sum(summands) => of(summands),
        Content::Ratio { over, under } => of(over).into_iter().chain(of(under)).collect(),
        _ => vec![(column, 1)],
    }
}

pub(super) async fn of_table(
    server: &Server,
    form: &ReturnForm,
    request: &ReturnRequest,
    sheet: &Sheet,
    cell: &CellName,
) -> Result<Option<Behind>, ReturnError> {
    let variables = variables(server, form, &request.variables)?;
    let scope = Scope { server, form, variables: &variables, top: request.top.id, date: request.date };
    let (row, at) = cell.place;
    let nobody = Row::new(RowId::random([0; 10]));
    let applies = |column: &&ReturnColumn| column.only.as_ref().is_none_or(|only| only.holds(&nobody, &variables));
    let Some(column) = sheet.columns.get(usize::from(at)).filter(applies) else { return Ok(None) };
    let all = lines(scope, sheet).await?;
    let Some(index) = row.checked_sub(first_row(sheet)).and_then(|index| usize::try_from(index).ok()) else {
        return Ok(None);
    };
    if index > all.len() {
        return Ok(None);
    }
    let kept = Kept::of(server, scope.top, &kept::ledgers(&server.catalogue, sheet), &request.unreported).await?;
    let texts = texts(server, sheet, &all, (scope.top, scope.date)).await?;
    let marks = Marks::of(&kept, sheet, &all, scope.date, &texts);
    let table = Table { scope, sheet, lines: &all, marks, request };
    let summed = |summands: &[Summand]| -> Vec<(&ReturnColumn, i64)> {
        let signed = summands.iter().filter_map(|summand| {
            let column = sheet.columns.iter().find(|column| column.number == summand.number)?;
            Some((column, if summand.minus { -1 } else { 1 }))
        });
        signed.collect()
    };
    let is_missing = if index < all.len() {
        table.marks.cell(index, usize::from(at)).is_some()
    } else {
        table.marks.total(usize::from(at)).is_some()
    };
    let (over, under) = match &column.content {
        _ if is_missing => (Vec::new(), Vec::new()),
        Content::Share { over, under } => {
            let lines = table.wanted(index, None);
            (table.terms(over, &lines, 1).await?, table.terms(under, &lines, 1).await?)
        }
        Content::Count(_) | Content::Sum(_) | Content::Parameter(_) => {
            (table.columns(&[(column, 1)], index).await?, Vec::new())
        }
        Content::Ratio { over, under } => {
            (table.columns(&summed(over), index).await?, table.columns(&summed(under), index).await?)
        }
        _ => return Ok(None),
    };
    let is_share = matches!(column.content, Content::Share { .. } | Content::Ratio { .. });
    let (sum, by): (i64, i64) = (over.iter().map(Part::signed).sum(), under.iter().map(Part::signed).sum());
    let value = match (is_share, by) {
        _ if is_missing => None,
        (true, 0) => None,
        (true, by) => Some(sum as f64 / by as f64 / column.divisor as f64),
        (false, _) => Some(sum as f64 / column.divisor as f64),
    };
    Ok(Some(Behind {
        sheet: String::new(),
        cell: String::new(),
        line: all.get(index).map_or("合计", |line| line.label.as_str()).to_owned(),
        number: column.number.clone(),
        title: column.header.join(" "),
        value,
        over,
        under,
        divisor: column.divisor,
    }))
}

/// A sheet of lines.
struct Table<'a> {
    scope: Scope<'a>,
    sheet: &'a Sheet,
    lines: &'a [Line],
    marks: Marks,
    request: &'a ReturnRequest,
}

impl Table<'_> {
    /// The lines of a cell: its own, or all that are summed and have a figure in a column.
    fn wanted(&self, index: usize, column: Option<&ReturnColumn>) -> Vec<usize> {
        if index < self.lines.len() {
            return vec![index];
        }
        let at = column.and_then(|column| self.sheet.columns.iter().position(|known| known.number == column.number));
        let summed = self.lines.iter().enumerate().filter(|(_, line)| !line.of_which).map(|(index, _)| index);
        summed.filter(|index| at.is_none_or(|at| self.marks.cell(*index, at).is_none())).collect()
    }

    /// What columns come to that are added up; a sum is that of its own parts.
    async fn columns(&self, columns: &[(&ReturnColumn, i64)], index: usize) -> Result<Vec<Part>, ReturnError> {
        let mut parts = Vec::new();
        for (column, times) in columns {
            for (counted, sign) in parts_of(self.sheet, column) {
                // The total of a sum has the lines that the sum has a figure in.
                let lines = self.wanted(index, Some(*column));
                match &counted.content {
                    Content::Count(terms) => parts.extend(self.terms(terms, &lines, times * sign).await?),
                    Content::Parameter(name) => parts.push(self.parameter(counted, name, &lines, times * sign)),
                    _ => {}
                }
            }
        }
        Ok(parts)
    }

    /// What the county has set for the codes of lines.
    fn parameter(&self, column: &ReturnColumn, name: &str, lines: &[usize], times: i64) -> Part {
        let of_line = |index: &usize| {
            let set = self.scope.server.catalogue.parameter(&format!("{name}.{}", code(&self.lines[*index])));
            set.map_or(0, |set| set.as_integer().unwrap_or_default())
        };
        Part::set(column.header.join(" "), times, lines.iter().map(of_line).sum())
    }

    async fn terms(&self, terms: &[Term], lines: &[usize], times: i64) -> Result<Vec<Part>, ReturnError> {
        let mut parts = Vec::new();
        for term in terms {
            let Some(measure) = self.scope.server.catalogue.measure(&term.measure) else { continue };
            let found = self.found(measure, &term.window, lines).await?;
            parts.push(part(self.scope.server, measure, times * term.times, found, self.request).await?);
        }
        Ok(parts)
    }

    /// The rows that a measure counts in these lines.
    async fn found(&self, measure: &Measure, window: &Window, lines: &[usize]) -> Result<Vec<Found>, ReturnError> {
        let Scope { server, variables, top, date, .. } = self.scope;
        let keyed: Keyed<'_> = (measure, measure.key(variables));
        let all = server.store.units().await?;
        let units = at_and_below(all.clone(), top);
        let is_of = |by: &str| indicators::counts(window, by, date);
        let mut once = Once::new(measure);
        let mut found = Vec::new();
        if let SheetRows::Codes { ledger, column, .. } = &self.sheet.rows {
            let of: Vec<_> =
                self.lines.iter().map(|line| (line.unit.as_ref().map(|unit| unit.id), code(line))).collect();
            each_code(
                self.scope,
                &[keyed],
                &units,
                (ledger, column, &of),
                |index, unit, measure, rows, around, variables| {
                    let of_line = lines.iter().filter(|line| **line == index).count();
                    for (by, rows) in measure.behind(rows, around, variables) {
                        if of_line > 0 && is_of(&by) {
                            found.extend(rows.iter().map(|row| Found::new(unit, row)));
                        }
                    }
                },
            )
            .await?;
            return Ok(found);
        }
        let belonging = self.belonging(&units).await?;
        let about = About::new(&all, top);
        let reach = match lines {
            [index] => self.lines[*index].place().unwrap_or(top),
            _ => top,
        };
        counting::each_unit(
            server,
            &all,
            (reach, date),
            &[&keyed],
            true,
            |unit, (measure, _), rows, around, variables| {
                for (by, rows) in measure.behind(rows, around, variables) {
                    let Some((at, by)) = about.of(measure, unit, by) else { continue };
                    let of = lines.iter().map(|index| (*index, &self.lines[*index]));
                    for (index, _) in of.filter(|(index, line)| is_of(&by) && belonging.holds(*index, line, at)) {
                        found.extend(rows.iter().map(|row| once.found((index, &by), unit, row)));
                    }
                }
            },
        )
        .await?;
        Ok(found)
    }

    /// What the lines of the sheet are of.
    async fn belonging(&self, units: &[Unit]) -> Result<Belonging, ReturnError> {
        let Scope { server, top, date, .. } = self.scope;
        let (mut which, mut groups) = (None, None);
        match &self.sheet.rows {
            SheetRows::Units(Some(id)) | SheetRows::Organisations(id) => {
                let known: Vec<Keyed<'_>> =
                    server.catalogue.measure(id).map(|measure| (measure, id.clone())).into_iter().collect();
                let sums = counting::sums(server, top, UnitLevel::Organisation, date, &known).await?;
                let of = |sum: &SumOf| if let SumOf::Unit(unit) = sum { Some(*unit) } else { None };
                which = Some(sums.iter().filter_map(|sum| of(&sum.of)).collect());
            }
            SheetRows::Groups => groups = Some(Groups::of(self.scope).await?),
            _ => {}
        }
        let above = units.iter().filter(|unit| unit.level == UnitLevel::Organisation);
        let above = above.filter_map(|unit| Some((unit.id, unit.parent?))).collect();
        Ok(Belonging { which, groups, above })
    }
}

fn code(line: &Line) -> String {
    line.code.clone().unwrap_or_default()
}

/// Which units are of which line.
struct Belonging {
    /// Only what these organisations count.
    which: Option<BTreeSet<UnitId>>,
    groups: Option<Groups>,
    /// Organisation → its reporting unit.
    above: BTreeMap<UnitId, UnitId>,
}

impl Belonging {
    fn holds(&self, index: usize, line: &Line, unit: UnitId) -> bool {
        if let Some(groups) = &self.groups {
            return groups.of_unit(unit).any(|group| group == index);
        }
        if self.which.as_ref().is_some_and(|which| !which.contains(&unit)) {
            return false;
        }
        match (line.organisation, &line.unit) {
            (Some(organisation), _) => organisation == unit,
            (None, Some(of)) => self.above.get(&unit).copied().unwrap_or(unit) == of.id,
            (None, None) => false,
        }
    }
}
