//! Lists 清单 in returns: the rows of a ledger, in official order.

use std::collections::{BTreeMap, BTreeSet};

use importer::workbook::write::{Book, Out, Style};
use sync_protocol::{
    Row, UnitId,
    catalogue::{CellOf, Content, Expression},
    unit::UnitLevel,
};

use super::{
    ReturnError, at_and_below,
    figures::read,
    frame::{Frame, row_height},
    kept::{Kept, NOT_KEPT},
    print,
};
use crate::Server;

/// Writes the list; says how many rows it has.
pub(super) async fn draw(
    server: &Server,
    frame: &Frame<'_>,
    (ledger, condition): (&str, Option<&Expression>),
    kept: &Kept<'_>,
    book: &mut Book,
) -> Result<usize, ReturnError> {
    let (catalogue, request) = (&server.catalogue, frame.request);
    let variables = catalogue.variables(server.campaign_year, None);
    let units = at_and_below(server.store.units().await?, request.top.id);
    let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
    let mut ledgers = vec![ledger];
    ledgers.extend(frame.sheet.columns.iter().filter_map(|column| match &column.content {
        Content::Cell(CellOf { ledger: Some(other), .. }) => Some(other.as_str()),
        _ => None,
    }));
    let mut rows: BTreeMap<&str, BTreeMap<UnitId, Vec<Row>>> = BTreeMap::new();
    for ledger in ledgers {
        if !rows.contains_key(ledger) {
            let mut read = read(server, ledger, &ids).await?;
            for rows in read.values_mut() {
                rows.retain(Row::counts);
            }
            rows.insert(ledger, read);
        }
    }
    let mut page = book.sheet(&frame.sheet.name)?;
    frame.head(&mut page)?;
    let mut count = 0;
    let none = Vec::new();
    for unit in super::ledger::in_order(&units).into_iter().map(|(unit, _)| unit) {
        let of_unit = |ledger: &str| rows.get(ledger).and_then(|rows| rows.get(&unit.id)).unwrap_or(&none);
        let parent = units.iter().find(|known| Some(known.id) == unit.parent);
        let is_organisation = unit.level == UnitLevel::Organisation;
        let reporting = if is_organisation { parent } else { Some(&unit) };
        for row in of_unit(ledger).iter().filter(|row| condition.is_none_or(|c| c.holds(row, &variables))) {
            let at = frame.first_row() + u32::try_from(count).unwrap_or(u32::MAX);
            count += 1;
            let mut texts = Vec::new();
            for (column, declared) in (0u16..).zip(&frame.sheet.columns) {
                let (value, style) = match &declared.content {
                    Content::Sequence => (Out::Text(count.to_string()), Style::TextCentre),
                    Content::Group | Content::Unit => {
                        (Out::Text(reporting.map(|unit| unit.label().to_owned()).unwrap_or_default()), Style::Text)
                    }
                    Content::Organisation => {
                        let name = if is_organisation { unit.name.clone() } else { String::new() };
                        (Out::Text(name), Style::Wrapped)
                    }
                    Content::Cell(CellOf { ledger: of, column, same }) => {
                        let holder = match (of, same) {
                            (None, _) => Some(row),
                            (Some(other), None) => of_unit(other).first(),
                            (Some(other), Some((mine, theirs))) => {
                                of_unit(other).iter().find(|known| known.get(theirs) == row.get(mine))
                            }
                        };
                        let known = catalogue.ledger(of.as_deref().unwrap_or(ledger)).and_then(|l| l.column(column));
                        match (holder, known) {
                            (Some(row), Some(column)) => {
                                let (value, style) = print::cell(catalogue, column, row, request.clearance);
                                (value, if style == Style::Text { Style::Wrapped } else { style })
                            }
                            _ => (Out::Blank, Style::Text),
                        }
                    }
                    _ => (Out::Blank, Style::Text),
                };
                page.put(at, column, &value, style)?;
                if let Out::Text(text) = value {
                    texts.push((declared, text));
                }
            }
            page.height(at, row_height(texts.iter().map(|(column, text)| (*column, text.as_str()))))?;
        }
    }
    let mut end = frame.first_row() + u32::try_from(count).unwrap_or(u32::MAX);
    if count == 0 {
        let last = u16::try_from(frame.sheet.columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let word = if kept.lacks(None, ledger) { NOT_KEPT } else { "无" };
        page.merge((end, 0), (end, last), word, Style::TextCentre)?;
        end += 1;
    }
    let notes = kept.note_of_unreviewed(&BTreeSet::from([ledger.to_owned()]));
    frame.foot(&mut page, end, notes.as_slice())?;
    Ok(count)
}
