//! The indicators as sheets: one of the whole, one with a column for each reporting unit.

use importer::workbook::{
    grid::address,
    write::{Book, Out, Style},
};
use sync_protocol::{
    catalogue::{Basis, Content, Indicator, IndicatorPart, Term},
    unit::{Unit, UnitLevel},
};

use super::{
    ReturnError, at_and_below,
    frame::Frame,
    kept::{self, Kept, NOT_KEPT, NOT_REPORTED},
    summary::{NOT_APPLICABLE, notes},
};
use crate::{
    Server,
    indicators::{IndicatorLine, indicators_of},
};

/// Writes every indicator of the whole; says how many there are.
pub(super) async fn indicators(
    server: &Server,
    frame: &Frame<'_>,
    kept: &Kept<'_>,
    book: &mut Book,
) -> Result<usize, ReturnError> {
    let request = frame.request;
    let lines = indicators_of(server, (kept, None), request.top.id, request.date, &[]).await?;
    let mut page = book.sheet(&frame.sheet.name)?;
    frame.head(&mut page)?;
    let mut row = frame.first_row();
    for (index, line) in lines.iter().enumerate() {
        for (at, column) in (0u16..).zip(&frame.sheet.columns) {
            let (value, style) = match &column.content {
                Content::Sequence => (Out::Text((index + 1).to_string()), Style::TextCentre),
                Content::Indicator(part) => cell(server, frame, line, *part, row),
                _ => (Out::Blank, Style::Text),
            };
            page.put(row, at, &value, style)?;
        }
        row += 1;
    }
    let counted = kept::ledgers_of_indicators(&server.catalogue);
    frame.foot(&mut page, row, &notes(kept, &counted, kept.note_of_owed(&counted).as_ref()))?;
    Ok(lines.len())
}

fn text(text: impl Into<String>) -> (Out, Style) {
    (Out::Text(text.into()), Style::TextCentre)
}

/// A count, or an amount of money in yuan.
fn amount(value: i64, scale: i64) -> (Out, Style) {
    match scale {
        1 => (Out::Number(value as f64), Style::Count),
        // Exact until the last step.
        _ => (Out::Number(value as f64 / scale as f64), Style::Hundredths),
    }
}

fn cell(server: &Server, frame: &Frame<'_>, line: &IndicatorLine, part: IndicatorPart, row: u32) -> (Out, Style) {
    let figure = line.figure;
    let missing = || (Out::Text(NOT_KEPT.into()), Style::Missing);
    match part {
        IndicatorPart::Numerator if !line.not_kept.numerator.is_empty() => missing(),
        IndicatorPart::Denominator if !line.not_kept.denominator.is_empty() => missing(),
        IndicatorPart::Gap if line.has_no_figure() => text(NOT_APPLICABLE),
        IndicatorPart::Title => (Out::Text(format!("{} {}", line.id, line.title)), Style::Text),
        IndicatorPart::Numerator => amount(figure.numerator, figure.scale),
        IndicatorPart::Denominator => {
            figure.denominator.map_or_else(|| text(NOT_APPLICABLE), |under| amount(under, figure.scale))
        }
        IndicatorPart::Actual => actual(line),
        IndicatorPart::Target => match line.target_percent {
            Some(percent) => (Out::Number(percent as f64 / 100.0), Style::Percent),
            None if line.target_growth => text("＞0"),
            None => text(NOT_APPLICABLE),
        },
        IndicatorPart::Due => text(line.due_on.as_deref().map_or(NOT_APPLICABLE.to_owned(), importer::print::date)),
        IndicatorPart::Gap => {
            let place = |wanted: IndicatorPart| {
                let is_it = |content: &Content| matches!(content, Content::Indicator(part) if *part == wanted);
                let at = frame.sheet.columns.iter().position(|column| is_it(&column.content)).unwrap_or_default();
                address(row, u16::try_from(at).unwrap_or(u16::MAX))
            };
            match (line.target_percent, figure.denominator.filter(|under| *under != 0)) {
                (Some(percent), Some(under)) => {
                    // Exact until the last step: 0.15, not 0.15000000000000002.
                    let cached = (percent * under - 100 * figure.numerator) as f64 / (100 * under) as f64;
                    let text = format!("={}-{}", place(IndicatorPart::Target), place(IndicatorPart::Actual));
                    (Out::Formula { text, cached: cached.to_string() }, Style::Percent)
                }
                _ => text(NOT_APPLICABLE),
            }
        }
        IndicatorPart::Reached => text(reached(line, frame.request.date)),
        IndicatorPart::Source => {
            let indicator = server.catalogue.indicator(&line.id);
            (Out::Text(indicator.map(|indicator| source(server, indicator)).unwrap_or_default()), Style::Wrapped)
        }
    }
}

fn actual(line: &IndicatorLine) -> (Out, Style) {
    match line.figure.denominator {
        _ if line.has_no_figure() => (Out::Text(NOT_KEPT.into()), Style::Missing),
        None => (Out::Number(line.figure.numerator as f64), Style::Count),
        Some(0) => text(NOT_APPLICABLE),
        Some(under) => (Out::Number(line.figure.numerator as f64 / under as f64), Style::Percent),
    }
}

fn reached(line: &IndicatorLine, date: jiff::civil::Date) -> &'static str {
    match (line.reached, &line.due_on) {
        _ if line.target_percent.is_none() || line.basis == Basis::None => "不适用",
        (Some(true), _) => "达标",
        (None, _) => "不适用",
        (Some(false), Some(due)) if date.to_string() < *due => "未到期",
        (Some(false), _) => "未达标",
    }
}

/// Titles of the ledgers that an indicator counts.
fn source(server: &Server, indicator: &Indicator) -> String {
    let ledger = |term: &Term| server.catalogue.ledger(&server.catalogue.measure(&term.measure)?.ledger);
    let mut titles: Vec<&str> = Vec::new();
    for title in indicator.numerator.iter().chain(&indicator.denominator).filter_map(ledger).map(|l| l.title.as_str()) {
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    titles.join("、")
}

/// Writes the figures of every reporting unit beside each other.
pub(super) async fn matrix(
    server: &Server,
    frame: &Frame<'_>,
    kept: &Kept<'_>,
    book: &mut Book,
) -> Result<usize, ReturnError> {
    let request = frame.request;
    let units = at_and_below(server.store.units().await?, request.top.id);
    let reporting: Vec<_> = units.into_iter().filter(|unit| unit.level == UnitLevel::ReportingUnit).collect();
    let mut page = book.sheet(&frame.sheet.name)?;
    let last = u16::try_from(reporting.len() + 1).unwrap_or(u16::MAX);
    page.merge((0, 0), (0, last), &frame.title(), Style::Title)?;
    for (at, header) in (0u16..).zip(["序号", "指标名称"].into_iter().chain(reporting.iter().map(Unit::label))) {
        page.put(1, at, &Out::Text(header.to_owned()), Style::Header)?;
        page.width(at, [5.5, 30.0].get(usize::from(at)).copied().unwrap_or(10.0))?;
    }
    for (index, indicator) in (2u32..).zip(server.catalogue.indicators()) {
        page.put(index, 0, &Out::Text((index - 1).to_string()), Style::TextCentre)?;
        page.put(index, 1, &Out::Text(format!("{} {}", indicator.id, indicator.title)), Style::Text)?;
    }
    for (at, unit) in (2u16..).zip(&reporting) {
        let lines = indicators_of(server, (kept, Some(unit.id)), unit.id, request.date, &[]).await?;
        for (row, line) in (2u32..).zip(&lines) {
            let is_unreported = kept.is_unreported(Some(unit.id));
            let (value, style) =
                if is_unreported { (Out::Text(NOT_REPORTED.into()), Style::Missing) } else { actual(line) };
            page.put(row, at, &value, style)?;
        }
    }
    page.freeze(2, 2)?;
    page.print(importer::workbook::write::Print {
        landscape: true,
        repeat_rows: (0, 1),
        pages_wide: 1,
        repeat_columns: None,
    })?;
    Ok(server.catalogue.indicators().len())
}
