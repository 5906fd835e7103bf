//! Summary returns 汇总表: one row per reporting unit, a second sheet by group.

use importer::workbook::{
    grid::address,
    write::{Book, Out, Page, Print, Style, WriteError},
};
use sync_protocol::{
    Row, RowId,
    catalogue::{Content, Format, ReturnColumn, ReturnForm, Variables},
    unit::UnitLevel,
};

use super::{
    Drawn, ReturnError, ReturnRequest, chinese_date, created,
    figures::{Counts, figures},
    file_name, variables,
};
use crate::Server;

/// First row of the header, from 0.
const HEADER_ROW: u32 = 3;
/// Height of a data row in points.
const ROW_HEIGHT: f64 = 18.0;
/// Printed where a ratio has no denominator or a column does not apply.
const NOT_APPLICABLE: &str = "—";

/// A row of a sheet: label, counts, whether it is part of a row above.
struct Line<'a> {
    label: &'a str,
    counts: &'a Counts,
    of_which: bool,
}

pub(super) async fn draw(server: &Server, form: &ReturnForm, request: &ReturnRequest) -> Result<Drawn, ReturnError> {
    let variables = variables(server, form, &request.variables)?;
    let figures = figures(server, request.top.id, form, &variables).await?;
    if request.top.level == UnitLevel::Organisation {
        return Err(ReturnError::NoReportingUnit(request.top.name.clone()));
    }
    let by_unit: Vec<Line<'_>> =
        figures.by_unit.iter().map(|(unit, counts)| Line { label: unit.label(), counts, of_which: false }).collect();
    let by_group: Vec<Line<'_>> = form
        .groups
        .iter()
        .zip(&figures.by_group)
        .map(|(group, counts)| Line { label: &group.label, counts, of_which: group.of_which })
        .collect();
    let period = period(server, form, &variables);
    let path = request.folder.join(file_name(&[&form.form_number, &form.title, &period], request.date));
    let mut failed_checks = Vec::new();
    let mut book = Book::new(&form.title, created(request.date))?;
    for (name, group_header, lines) in [("按填报单位", "填报单位", &by_unit), ("按领域", "领域", &by_group)]
    {
        if lines.is_empty() && name == "按领域" {
            continue;
        }
        let sheet = Sheet { form, variables: &variables, period: &period, lines, group_header, request };
        let mut page = book.sheet(name)?;
        sheet.write(&mut page)?;
        failed_checks.extend(sheet.failed_checks(name));
    }
    book.save(&path)?;
    Ok(Drawn { path, rows: by_unit.len(), failed_checks })
}

/// 2012年首次定级(4月): the year and the chosen codes' labels.
fn period(server: &Server, form: &ReturnForm, variables: &Variables) -> String {
    let labels = form.variables.iter().filter_map(|variable| {
        let code = variables.get(&variable.name)?.as_text()?;
        Some(server.catalogue.list(&variable.list)?.label(code).to_owned())
    });
    format!("{}年{}", server.campaign_year, labels.collect::<Vec<_>>().join(" "))
}

struct Sheet<'a> {
    form: &'a ReturnForm,
    variables: &'a Variables,
    period: &'a str,
    lines: &'a [Line<'a>],
    group_header: &'a str,
    request: &'a ReturnRequest,
}

impl Sheet<'_> {
    fn write(&self, page: &mut Page<'_>) -> Result<(), WriteError> {
        let depth = u32::try_from(self.form.header_depth()).unwrap_or(1);
        let last = u16::try_from(self.form.columns.len()).unwrap_or(u16::MAX) - 1;
        self.frame(page, last)?;
        self.header(page, depth)?;
        let first_row = HEADER_ROW + depth + 1;
        for (index, line) in self.lines.iter().enumerate() {
            let row = first_row + u32::try_from(index).unwrap_or(u32::MAX);
            page.height(row, ROW_HEIGHT)?;
            for (column, declared) in (0u16..).zip(&self.form.columns) {
                let (value, style) = self.cell(declared, row, index, line);
                page.put(row, column, &value, style)?;
            }
        }
        let total_row = first_row + u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        page.height(total_row, ROW_HEIGHT)?;
        self.total(page, first_row, total_row)?;
        self.foot(page, total_row + 1, last)?;
        page.width(0, 5.5)?;
        page.width(1, 18.0)?;
        for column in 2..=last {
            page.width(column, 8.2)?;
        }
        page.freeze(first_row, 2)?;
        page.print(Print { landscape: last > 8, repeat_rows: (1, first_row - 1), pages_wide: 1, repeat_columns: None })
    }

    fn frame(&self, page: &mut Page<'_>, last: u16) -> Result<(), WriteError> {
        let third = (last + 1) / 3;
        page.merge((0, last - third + 1), (0, last), &self.form.form_number, Style::FormNumber)?;
        let title = format!("{}{}（{}）", self.request.top.name, self.form.title, self.period);
        page.merge((1, 0), (1, last), &title, Style::Title)?;
        page.height(1, 32.0)?;
        let unit = format!("填报单位（盖章）：{}", self.request.top.name);
        page.merge((2, 0), (2, third - 1), &unit, Style::MetaLeft)?;
        let date = format!("统计截止日期：{}", chinese_date(self.request.date));
        page.merge((2, third), (2, last - third), &date, Style::MetaCentre)?;
        page.merge((2, last - third + 1), (2, last), &format!("单位：{}", self.form.units), Style::MetaRight)
    }

    /// Header levels: equal neighbours under equal parents are merged, short paths reach down.
    fn header(&self, page: &mut Page<'_>, depth: u32) -> Result<(), WriteError> {
        let columns = &self.form.columns;
        let path = |column: usize| -> Vec<&str> {
            let mut path: Vec<&str> = columns[column].header.iter().map(String::as_str).collect();
            if matches!(columns[column].content, Content::Group) {
                path = vec![self.group_header];
            }
            path
        };
        for level in 0..depth as usize {
            let mut column = 0;
            while column < columns.len() {
                let own = path(column);
                let mut end = column;
                while own.len() > level + 1
                    && end + 1 < columns.len()
                    && path(end + 1).get(..=level) == own.get(..=level)
                    && path(end + 1).len() > level + 1
                {
                    end += 1;
                }
                if let Some(text) = own.get(level) {
                    let row = HEADER_ROW + u32::try_from(level).unwrap_or(0);
                    let bottom = if own.len() == level + 1 { HEADER_ROW + depth - 1 } else { row };
                    let at = |column: usize| u16::try_from(column).unwrap_or(u16::MAX);
                    page.merge((row, at(column)), (bottom, at(end)), text, Style::Header)?;
                }
                column = end + 1;
            }
        }
        for (column, declared) in (0u16..).zip(columns) {
            page.put(HEADER_ROW + depth, column, &Out::Text(declared.number.clone()), Style::ColumnNumber)?;
        }
        Ok(())
    }

    /// Whether the column applies for the chosen variables.
    fn applies(&self, column: &ReturnColumn) -> bool {
        let nobody = Row::new(RowId::random([0; 10]));
        column.only.as_ref().is_none_or(|only| only.holds(&nobody, self.variables))
    }

    fn cell(&self, column: &ReturnColumn, row: u32, index: usize, line: &Line<'_>) -> (Out, Style) {
        if !self.applies(column) {
            return (Out::Text(NOT_APPLICABLE.into()), Style::TextCentre);
        }
        let value = match &column.content {
            Content::Sequence if line.of_which => Out::Blank,
            Content::Sequence => {
                let before = self.lines[..index].iter().filter(|line| !line.of_which).count();
                return (Out::Text((before + 1).to_string()), Style::TextCentre);
            }
            Content::Group => return (Out::Text(line.label.to_owned()), Style::Text),
            Content::Measure(id) => Out::Number(number(line.counts, id) as f64),
            Content::Ratio { over, under } => self.ratio(over, under, row, line.counts),
            Content::Share { over, under } => share(number(line.counts, over), number(line.counts, under)),
        };
        let style = match column.format {
            Format::Text => Style::TextCentre,
            Format::Count => Style::Count,
            Format::Percent => Style::Percent,
        };
        (value, style)
    }

    /// A live formula over the printed cells of the same row, with its value.
    fn ratio(&self, over: &str, under: &str, row: u32, counts: &Counts) -> Out {
        let place = |number: &str| self.form.columns.iter().position(|c| c.number == number).unwrap_or_default();
        let (over, under) = (place(over), place(under));
        let value = |column: usize| match &self.form.columns[column].content {
            Content::Measure(id) => number(counts, id),
            _ => 0,
        };
        let name = |column: usize| address(row, u16::try_from(column).unwrap_or(u16::MAX));
        let text =
            format!("=IF({under}=0,\"{NOT_APPLICABLE}\",{over}/{under})", under = name(under), over = name(over));
        let cached = match share(value(over), value(under)) {
            Out::Number(number) => number.to_string(),
            _ => NOT_APPLICABLE.to_owned(),
        };
        Out::Formula { text, cached }
    }

    fn sums(&self) -> Counts {
        let mut sums = Counts::new();
        for line in self.lines.iter().filter(|line| !line.of_which) {
            for (id, value) in line.counts {
                *sums.entry(id.clone()).or_default() += value;
            }
        }
        sums
    }

    fn total(&self, page: &mut Page<'_>, first_row: u32, row: u32) -> Result<(), WriteError> {
        let sums = self.sums();
        for (at, column) in (0u16..).zip(&self.form.columns) {
            let (value, style) = match &column.content {
                Content::Sequence => (Out::Blank, Style::TotalText),
                Content::Group => (Out::Text("合计".into()), Style::TotalText),
                _ if !self.applies(column) => (Out::Text(NOT_APPLICABLE.into()), Style::TotalText),
                Content::Measure(id) => {
                    let cached = number(&sums, id).to_string();
                    (Out::Formula { text: self.sum(at, first_row), cached }, Style::TotalCount)
                }
                Content::Ratio { over, under } => (self.ratio(over, under, row, &sums), Style::TotalPercent),
                Content::Share { over, under } => {
                    (share(number(&sums, over), number(&sums, under)), Style::TotalPercent)
                }
            };
            page.put(row, at, &value, style)?;
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

    fn foot(&self, page: &mut Page<'_>, mut row: u32, last: u16) -> Result<(), WriteError> {
        for (index, note) in self.form.notes.iter().enumerate() {
            let text = if index == 0 { format!("注：1. {note}") } else { format!("　　{}. {note}", index + 1) };
            page.merge((row, 0), (row, last), &text, Style::Note)?;
            row += 1;
        }
        let date = chinese_date(self.request.date);
        let line = format!(
            "单位负责人（签字）：　　　　　　　　审核人：　　　　　　　　填表人：　　　　　　　　联系电话：　　　　　　　　填报日期：{date}"
        );
        page.merge((row, 0), (row, last), &line, Style::MetaLeft)?;
        page.height(row, 28.0)
    }

    /// Check relations that do not hold in a row or in the total.
    fn failed_checks(&self, sheet: &str) -> Vec<String> {
        let sums = self.sums();
        let total = Line { label: "合计", counts: &sums, of_which: false };
        let mut failed = Vec::new();
        for line in self.lines.iter().chain([&total]) {
            for check in &self.form.checks {
                let columns = |side: &[String]| -> Option<i64> {
                    side.iter()
                        .map(|wanted| {
                            let column = self.form.columns.iter().find(|c| c.number == *wanted)?;
                            let Content::Measure(id) = &column.content else { return None };
                            self.applies(column).then(|| number(line.counts, id))
                        })
                        .sum()
                };
                if let (Some(left), Some(right)) = (columns(&check.left), columns(&check.right))
                    && !check.holds(left, right)
                {
                    failed.push(format!("{sheet} {}：栏次 {} 不成立（{left} 与 {right}）", line.label, check.text));
                }
            }
        }
        failed
    }
}

fn number(counts: &Counts, id: &str) -> i64 {
    counts.get(id).copied().unwrap_or(0)
}

fn share(over: i64, under: i64) -> Out {
    if under == 0 { Out::Text(NOT_APPLICABLE.into()) } else { Out::Number(over as f64 / under as f64) }
}
