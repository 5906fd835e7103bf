//! Sheets with labels beside values: forms about one record, and tables that stand on their side.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    header::{HeaderIndex, Rank, normalise},
    workbook::grid::{Cell, Sheet, Texts},
};

/// Rows that are looked at.
const ROWS_MAX: usize = 60;
/// Different columns of one ledger whose names make labels of a form.
const LABELS_MIN: usize = 5;
/// Rows with labels that make a form.
const FORM_ROWS_MIN: usize = 3;

/// What holds no rows under a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// A form about one record.
    Form,
    /// A table whose records are columns.
    OnItsSide,
}

/// The columns of ledgers that a cell names.
fn named(cell: Cell, texts: &Texts, index: &HeaderIndex) -> Vec<(usize, usize)> {
    let Cell::Text(id) = cell else { return Vec::new() };
    let text = texts.get(id);
    if text.len() > 60 {
        return Vec::new();
    }
    let claims = index.any_claims(&normalise(text)).iter();
    claims.filter(|claim| claim.rank != Rank::Weak).map(|claim| (claim.ledger, claim.column)).collect()
}

/// Whether labels and values take turns, row after row.
pub(crate) fn is_form(sheet: &Sheet, texts: &Texts, index: &HeaderIndex) -> bool {
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut columns: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for row in 0..sheet.row_count().min(ROWS_MAX) {
        let cells = sheet.row(row);
        let mut found: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut labels = 0;
        for (_, cell) in cells {
            let names = named(*cell, texts, index);
            labels += usize::from(!names.is_empty());
            for (ledger, column) in names {
                found.entry(ledger).or_default().insert(column);
            }
        }
        // A header has more names than anything else.
        if labels * 3 > cells.len() * 2 && labels > 1 {
            continue;
        }
        for (ledger, found) in found.into_iter().filter(|(_, found)| found.len() >= 2) {
            *rows.entry(ledger).or_default() += 1;
            columns.entry(ledger).or_default().extend(found);
        }
    }
    rows.iter().any(|(ledger, rows)| *rows >= FORM_ROWS_MIN && columns[ledger].len() >= LABELS_MIN)
}

/// Whether the names of columns stand below each other.
pub(crate) fn lies_on_its_side(sheet: &Sheet, texts: &Texts, index: &HeaderIndex) -> bool {
    let mut found: BTreeMap<(u16, usize), BTreeSet<usize>> = BTreeMap::new();
    for row in 0..sheet.row_count().min(ROWS_MAX) {
        for (at, cell) in sheet.row(row).iter().take(4) {
            for (ledger, column) in named(*cell, texts, index) {
                found.entry((*at, ledger)).or_default().insert(column);
            }
        }
    }
    found.values().any(|columns| columns.len() >= LABELS_MIN)
}
