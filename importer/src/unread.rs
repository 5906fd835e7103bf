//! Columns that are not what they look like: heads that were renamed over a merged ledger's keys, a second table beside the
//! first, contents without a head. They are not taken, and it is said so.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::catalogue::{Catalogue, Ledger};

use crate::{
    finding::{Finding, FindingKind},
    header::normalise,
    mapping::{Target, printed},
    table::Table,
    workbook::grid::{Cell, Sheet, Workbook, address},
};

/// First cell of the hidden row that names the columns of a merged ledger.
pub const KEYS: &str = "@row";
/// Heads met again from which on they are those of a table beside the first.
const HEADS_AGAIN_MIN: usize = 2;

/// Looks the tables over: columns that must not be read as they seem are taken out of them.
pub fn look(workbook: &Workbook, catalogue: &Catalogue, tables: &mut [Table], findings: &mut Vec<Finding>) {
    let has_keys = workbook.texts.iter().any(|text| text.trim() == KEYS);
    for table in tables.iter_mut() {
        let sheet = &workbook.sheets[table.sheet];
        let ledger = &catalogue.ledgers()[table.ledger];
        let look = Look { workbook, sheet, ledger };
        let mut found = Vec::new();
        if has_keys && let Some(keys) = look.keys() {
            table.body.retain(|row| *row != keys);
            found.extend(look.renamed(table, keys));
        }
        found.extend(look.side_by_side(table));
        // Nothing is kept beside the row of what is not read.
        let is_told_better = |finding: &Finding| {
            finding.code == "unknown-header"
                && finding.sheet == sheet.name
                && found.iter().any(|other: &Finding| other.cell == finding.cell)
        };
        findings.retain(|finding| !is_told_better(finding));
        findings.append(&mut found);
    }
    headless(workbook, tables, findings);
}

/// Columns with contents and without a head. A column that another table beside this one has a head for is that one's.
fn headless(workbook: &Workbook, tables: &[Table], findings: &mut Vec<Finding>) {
    let has_head =
        |table: &Table, column: u16| table.headers.get(&column).is_some_and(|path| !printed(path).is_empty());
    let mut told: BTreeSet<(usize, u32, u16)> = BTreeSet::new();
    for table in tables {
        let sheet = &workbook.sheets[table.sheet];
        let is_anybodys = |row: usize, column: u16| {
            let goes_over = |other: &Table| other.body.first() <= Some(&row) && Some(&row) <= other.body.last();
            let mut on_it = tables.iter().filter(|other| other.sheet == table.sheet && goes_over(other));
            on_it.any(|other| has_head(other, column))
        };
        let last = table.headers.keys().next_back().copied().unwrap_or_default();
        let mut cells: BTreeMap<u16, usize> = BTreeMap::new();
        for row in &table.body {
            for (column, cell) in sheet.row(*row) {
                let is_filled = match cell {
                    Cell::Text(id) => !workbook.texts.get(*id).trim().is_empty(),
                    _ => true,
                };
                if is_filled && *column <= last.saturating_add(1) && !is_anybodys(*row, *column) {
                    *cells.entry(*column).or_default() += 1;
                }
            }
        }
        cells.retain(|column, _| told.insert((table.sheet, table.header.1, *column)));
        let kinds = cells.into_iter().map(|(column, cells)| (column, FindingKind::NoHead { cells }));
        findings.extend(kinds.map(|(column, kind)| {
            Finding::new(&kind, &sheet.name, address(table.header.1, column), "", String::new())
        }));
    }
}

struct Look<'a> {
    workbook: &'a Workbook,
    sheet: &'a Sheet,
    ledger: &'a Ledger,
}

impl Look<'_> {
    fn text(&self, cell: Cell) -> &str {
        match cell {
            Cell::Text(id) => self.workbook.texts.get(id).trim(),
            _ => "",
        }
    }

    /// The hidden row of keys.
    fn keys(&self) -> Option<usize> {
        (0..self.sheet.row_count()).find(|row| self.sheet.row(*row).iter().any(|(_, cell)| self.text(*cell) == KEYS))
    }

    fn finding(&self, kind: &FindingKind, row: u32, column: u16, header: &str) -> Finding {
        Finding::new(kind, &self.sheet.name, address(row, column), header, header.to_owned())
    }

    /// Columns under another head than they were drawn under.
    fn renamed(&self, table: &mut Table, keys: usize) -> Vec<Finding> {
        let mut found = Vec::new();
        for (at, cell) in self.sheet.row(keys) {
            let Some(index) = self.ledger.columns.iter().position(|column| column.key == self.text(*cell)) else {
                continue;
            };
            let title = &self.ledger.columns[index].title;
            let header = table.headers.get(at).map(|path| printed(path)).unwrap_or_default();
            let mapped = table.columns.iter().find(|mapped| mapped.column == *at);
            let is_as_drawn = mapped.is_some_and(|m| matches!(m.target, Target::Column { index: i, .. } if i == index));
            if is_as_drawn || normalise(&header) == normalise(title) {
                continue;
            }
            table.columns.retain(|mapped| mapped.column != *at);
            let kind = FindingKind::HeadRenamed { drawn: title.clone(), found: header.clone() };
            found.push(self.finding(&kind, table.header.1, *at, &header));
        }
        found
    }

    /// Heads that are met again to the right of the columns that bear them: another table stands there.
    fn side_by_side(&self, table: &mut Table) -> Vec<Finding> {
        if table.remembered {
            return Vec::new();
        }
        let last = |header: &str| header.rsplit('/').next().unwrap_or(header).to_owned();
        let taken: BTreeMap<String, u16> = table
            .columns
            .iter()
            .filter(|mapped| matches!(mapped.target, Target::Column { .. }))
            .map(|mapped| (last(&mapped.header), mapped.column))
            .collect();
        let is_again = |mapped: &&crate::MappedColumn| {
            matches!(mapped.target, Target::Extra(_))
                && taken.get(&last(&mapped.header)).is_some_and(|first| *first < mapped.column)
        };
        let again: Vec<(u16, String)> =
            table.columns.iter().filter(is_again).map(|mapped| (mapped.column, mapped.header.clone())).collect();
        if again.len() < HEADS_AGAIN_MIN {
            return Vec::new();
        }
        // It begins where the first of them stands.
        let Some((first, header)) = again.into_iter().min() else { return Vec::new() };
        table.columns.retain(|mapped| mapped.column < first);
        let rows = table.body.iter().filter(|row| self.sheet.row(**row).iter().any(|(column, _)| *column >= first));
        let kind = FindingKind::SideBySide { rows: rows.count() };
        vec![self.finding(&kind, table.header.1, first, &header)]
    }
}
