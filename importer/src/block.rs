//! The header of a table: which rows it takes, what it says of each column, and whether it is that of several tables
//! side by side.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    header::{HeaderIndex, Rank, normalise},
    workbook::grid::{Cell, Merge, Sheet, Texts},
};

/// Levels of a header.
const DEPTH_MAX: u32 = 4;
/// Headers that two tables side by side have in common at least.
const SHARED_MIN: usize = 3;

/// For each column the texts of its header levels.
pub(crate) type Paths = BTreeMap<u16, Vec<String>>;

/// Extends the header over rows that share merged ranges with it, and over a row above or below that completes it.
pub(crate) fn header_block(
    (sheet, texts): (&Sheet, &Texts),
    header_row: usize,
    after: usize,
    index: Option<(&HeaderIndex, usize)>,
) -> (u32, u32) {
    let row = sheet.row_number(header_row);
    let (mut top, mut bottom) = (row, row);
    let floor = if after == 0 { 0 } else { sheet.row_number(after - 1) + 1 };
    // A full-width title above is merged too, but only sideways over everything.
    let tall = |merge: &&Merge| merge.bottom > merge.top && merge.bottom - merge.top < DEPTH_MAX;
    for merge in sheet.merges.iter().filter(tall) {
        if merge.top <= row && row <= merge.bottom && merge.top >= floor {
            top = top.min(merge.top);
            bottom = bottom.max(merge.bottom);
        }
    }
    if bottom - top >= DEPTH_MAX {
        return (row, row);
    }
    if let Some((index, ledger)) = index.filter(|_| top == bottom) {
        let level = Level { sheet, texts, index, ledger };
        if row > floor && sheet.row_index(row - 1).is_some_and(|above| level.completes(above, header_row)) {
            top = row - 1;
        }
        if sheet.row_index(row + 1).is_some_and(|below| level.completes(below, header_row) && level.is_header(below)) {
            bottom = row + 1;
        }
    }
    (top, bottom)
}

/// Looks at a row beside a header.
struct Level<'a> {
    sheet: &'a Sheet,
    texts: &'a Texts,
    index: &'a HeaderIndex,
    ledger: usize,
}

impl Level<'_> {
    fn says(&self, cell: Cell) -> Option<String> {
        let Cell::Text(id) = cell else { return None };
        let text = self.texts.get(id);
        (text.len() <= 90).then(|| normalise(text))
    }

    fn is_name(&self, header: &str) -> bool {
        self.index.is_derived(header) || self.index.any_claims(header).iter().any(|claim| claim.ledger == self.ledger)
    }

    /// Whether a row holds nothing but texts, and names a column where the header is silent.
    fn completes(&self, row: usize, header: usize) -> bool {
        let cells = self.sheet.row(row);
        let said: Vec<Option<String>> = cells.iter().map(|(_, cell)| self.says(*cell)).collect();
        if cells.len() < 2 || said.iter().any(Option::is_none) {
            return false;
        }
        let mut completed = 0;
        for ((column, _), text) in cells.iter().zip(said.into_iter().flatten()) {
            let other = self.sheet.cell(header, *column).and_then(|cell| self.says(cell));
            let is_name = self.is_name(&text);
            match other {
                None if is_name => completed += 1,
                // The same header again.
                Some(other) if is_name && other == text => return false,
                _ => {}
            }
        }
        completed > 0
    }

    /// Whether most cells of a row name columns.
    fn is_header(&self, row: usize) -> bool {
        let cells = self.sheet.row(row);
        let names = cells.iter().filter_map(|(_, cell)| self.says(*cell)).filter(|text| self.is_name(text)).count();
        names * 2 >= cells.len() && names > 0
    }
}

/// For each column the texts of its header levels.
pub(crate) fn header_paths(sheet: &Sheet, texts: &Texts, top: u32, bottom: u32) -> Paths {
    let mut paths = Paths::new();
    let merges: Vec<_> = sheet.merges.iter().filter(|m| m.top <= bottom && m.bottom >= top).collect();
    let mut levels: Vec<BTreeMap<u16, String>> = Vec::new();
    for number in top..=bottom {
        let mut level: BTreeMap<u16, String> = BTreeMap::new();
        if let Some(index) = sheet.row_index(number) {
            for (column, cell) in sheet.row(index) {
                if let Cell::Text(id) = cell {
                    level.insert(*column, texts.get(*id).to_owned());
                }
            }
        }
        levels.push(level);
    }
    for merge in merges {
        let Some(text) = merge
            .top
            .checked_sub(top)
            .and_then(|l| levels.get(l as usize))
            .and_then(|level| level.get(&u16::try_from(merge.left).ok()?))
            .cloned()
        else {
            continue;
        };
        for number in merge.top..=merge.bottom.min(bottom) {
            let level = &mut levels[(number - top) as usize];
            for column in merge.left..=merge.right.min(merge.left + 256) {
                if let Ok(column) = u16::try_from(column) {
                    level.entry(column).or_insert_with(|| text.clone());
                }
            }
        }
    }
    for level in levels {
        for (column, text) in level {
            let path = paths.entry(column).or_default();
            if path.last() != Some(&text) {
                path.push(text);
            }
        }
    }
    paths
}

/// The first columns of the tables that stand side by side under one header; one table begins at the first column.
pub(crate) fn beginnings(paths: &Paths, index: &HeaderIndex) -> Vec<u16> {
    let headers: Vec<(u16, String)> = paths
        .iter()
        .map(|(column, path)| (*column, path.iter().map(|level| normalise(level)).collect::<Vec<_>>().join("/")))
        .collect();
    let is_name = |text: &str| {
        let last = text.rsplit('/').next().unwrap_or(text);
        index.is_derived(last) || !index.any_claims(text).is_empty() || !index.any_claims(last).is_empty()
    };
    let mut starts = vec![0usize];
    for at in 1..headers.len() {
        let start = *starts.last().expect("never empty");
        let left: BTreeSet<&str> =
            headers[start..at].iter().map(|(_, text)| text.as_str()).filter(|t| is_name(t)).collect();
        let gap = headers[at].0 > headers[at - 1].0 + 1;
        if !left.contains(headers[at].1.as_str()) && !gap {
            continue;
        }
        // As far as the next repetition.
        let mut right: BTreeSet<&str> = BTreeSet::new();
        for (_, text) in &headers[at..] {
            if is_name(text) && !right.insert(text) {
                break;
            }
        }
        let shared = left.intersection(&right).count();
        if shared >= SHARED_MIN || gap && (shared >= 2 || is_another(&left, &right, index)) {
            starts.push(at);
        }
    }
    starts.into_iter().map(|at| headers.get(at).map_or(0, |(column, _)| *column)).collect()
}

/// Whether what stands right of a gap is a table of another ledger.
fn is_another(left: &BTreeSet<&str>, right: &BTreeSet<&str>, index: &HeaderIndex) -> bool {
    let named = |side: &BTreeSet<&str>| {
        let mut ledgers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for claim in side.iter().flat_map(|text| index.any_claims(text)).filter(|claim| claim.rank != Rank::Weak) {
            ledgers.entry(claim.ledger).or_default().insert(claim.column);
        }
        ledgers
    };
    let (left, right) = (named(left), named(right));
    let most = |ledgers: &BTreeMap<usize, BTreeSet<usize>>| ledgers.values().map(BTreeSet::len).max().unwrap_or(0);
    let (on_left, on_right) = (most(&left), most(&right));
    // A ledger that knows most of both sides is one table with an empty column.
    let of_both = |ledger: &usize| left[ledger].len() + right.get(ledger).map_or(0, BTreeSet::len);
    let together = left.keys().map(of_both).max().unwrap_or(0);
    on_left >= SHARED_MIN && on_right >= SHARED_MIN && together * 3 < (on_left + on_right) * 2
}
