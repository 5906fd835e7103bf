//! Total rows against the rows they sum: in their cells, and in the number of people that their label states.

use sync_protocol::{
    Value,
    catalogue::{Catalogue, ColumnType},
};

use crate::{
    finding::{Finding, FindingKind},
    mapping::Target,
    table::Table,
    text::compact,
    values::{Normalised, Normaliser},
    workbook::grid::{Cell, Sheet, Workbook, address},
};

/// Compares the totals of a table. `before`: the tables above it on the sheet that its header continues.
pub(crate) fn check(
    workbook: &Workbook,
    (table, before): (&Table, &[&Table]),
    (catalogue, normaliser): (&Catalogue, &Normaliser),
    findings: &mut Vec<Finding>,
) {
    let sheet = &workbook.sheets[table.sheet];
    let ledger = &catalogue.ledgers()[table.ledger];
    let tells_people =
        ledger.keys.iter().flatten().any(|key| {
            ledger.columns.iter().any(|column| column.key == *key && column.column_type == ColumnType::Person)
        });
    for (at, total) in table.totals.iter().enumerate() {
        let scopes = scopes(table, at, *total, before);
        for mapped in &table.columns {
            let Target::Column { index, .. } = mapped.target else { continue };
            let column = &ledger.columns[index];
            if column.column_type != ColumnType::Int {
                continue;
            }
            let number = |row: usize| {
                let cell = sheet.cell(row, mapped.column)?;
                match normaliser.normalise(cell, &workbook.texts, column, None) {
                    Normalised::One(Value::Int(number)) => Some(number),
                    _ => None,
                }
            };
            let Some(stated) = number(*total) else { continue };
            let sums: Vec<i64> = scopes.iter().map(|rows| rows.iter().filter_map(|row| number(*row)).sum()).collect();
            if !sums.contains(&stated) {
                let place = address(sheet.row_number(*total), mapped.column);
                let kind = FindingKind::TotalDiffers { sum: sums[0].to_string() };
                findings.push(Finding::new(&kind, &sheet.name, place, &mapped.header, stated.to_string()));
            }
        }
        let people = if tells_people { people(workbook, sheet, table, *total) } else { None };
        if let Some((column, stated)) = people {
            let counts: Vec<usize> = scopes.iter().map(Vec::len).collect();
            if !counts.contains(&stated) {
                let kind = FindingKind::TotalDiffers { sum: counts[0].to_string() };
                let place = address(sheet.row_number(*total), column);
                findings.push(Finding::new(&kind, &sheet.name, place, "", format!("{stated}人")));
            }
        }
    }
}

/// The rows that a total may be about, the likeliest first: with one total all of them; with several those since the
/// total before, those up to the next, all.
fn scopes(table: &Table, at: usize, total: usize, before: &[&Table]) -> Vec<Vec<usize>> {
    let above: Vec<usize> = before.iter().flat_map(|table| &table.body).copied().collect();
    let all: Vec<usize> = above.iter().chain(&table.body).copied().collect();
    if table.totals.len() == 1 && above.is_empty() {
        return vec![all];
    }
    let since = at.checked_sub(1).map_or(0, |before| table.totals[before]);
    let next = table.totals.get(at + 1).copied().unwrap_or(usize::MAX);
    let between = |from: usize, to: usize| table.body.iter().copied().filter(|row| (from..to).contains(row)).collect();
    let so_far = all.iter().copied().filter(|row| *row < total).collect();
    vec![between(since, total), all, so_far, between(total, next), table.body.clone()]
}

/// The number of people in 合计:3人 or in the cell beside 合计.
fn people(workbook: &Workbook, sheet: &Sheet, table: &Table, total: usize) -> Option<(u16, usize)> {
    table.cells(sheet, total).iter().take(3).find_map(|(column, cell)| {
        let Cell::Text(id) = cell else { return None };
        let text = compact(workbook.texts.get(*id));
        let text = text.trim_end_matches(['党', '员', ')', '。']);
        let number = text.strip_suffix(['人', '名'])?;
        let digits = number.len() - number.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        Some((*column, number[number.len() - digits..].parse().ok()?))
    })
}
