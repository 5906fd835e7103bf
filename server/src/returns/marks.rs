//! Cells that print a word instead of a figure: 未建台账 where nobody has kept what they count, 未报 where a unit has no copy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sync_protocol::{
    UnitId,
    catalogue::{Content, ReturnColumn, Sheet, Summand},
};

use super::{
    figures::Line,
    kept::{Kept, NOT_KEPT, NOT_REPORTED},
};

/// The words of a table, by line and column.
#[derive(Debug, Default)]
pub(super) struct Marks {
    cells: BTreeMap<(usize, usize), &'static str>,
    /// Lines that are summed.
    summed: Vec<usize>,
    /// What is said of them below the table.
    note: Option<String>,
}

impl Marks {
    /// Finds them.
    pub(super) fn of(
        kept: &Kept<'_>,
        sheet: &Sheet,
        lines: &[Line],
        date: Date,
        texts: &BTreeMap<String, Vec<String>>,
    ) -> Self {
        let summed = lines.iter().enumerate().filter(|(_, line)| !line.of_which).map(|(index, _)| index).collect();
        let mut marks = Self { summed, ..Self::default() };
        let mut missing: BTreeMap<String, (BTreeSet<Option<UnitId>>, Vec<String>)> = BTreeMap::new();
        for (at, column) in sheet.columns.iter().enumerate() {
            for (index, line) in lines.iter().enumerate() {
                let unit = line.unit.as_ref().map(|unit| unit.id);
                let counts = Counts { kept, sheet, line, unit, date };
                if kept.is_unreported(unit) && is_counted(column) {
                    marks.cells.insert((index, at), NOT_REPORTED);
                    continue;
                }
                let lacking = match (&column.content, texts.get(&column.number)) {
                    (Content::Text { ledger, .. }, Some(texts)) => {
                        let is_lacking = texts[index].is_empty() && kept.lacks(unit, ledger);
                        is_lacking.then(|| ledger.clone()).into_iter().collect()
                    }
                    _ => counts.lacking(column),
                };
                if !lacking.is_empty() {
                    marks.cells.insert((index, at), NOT_KEPT);
                }
                for ledger in lacking {
                    let (units, numbers) = missing.entry(ledger).or_default();
                    units.insert(unit);
                    if numbers.last() != Some(&column.number) {
                        numbers.push(column.number.clone());
                    }
                }
            }
        }
        marks.note = kept.note(&missing);
        marks
    }

    /// What a cell says instead of its figure.
    pub(super) fn cell(&self, line: usize, column: usize) -> Option<&'static str> {
        self.cells.get(&(line, column)).copied()
    }

    /// What the total of a column says, where no line has a figure.
    pub(super) fn total(&self, column: usize) -> Option<&'static str> {
        let words: Option<Vec<_>> = self.summed.iter().map(|line| self.cell(*line, column)).collect();
        let words = words.filter(|words| !words.is_empty())?;
        Some(if words.contains(&NOT_KEPT) { NOT_KEPT } else { NOT_REPORTED })
    }

    /// Whether some line of a column has no figure.
    pub(super) fn is_partial(&self, column: usize) -> bool {
        self.summed.iter().any(|line| self.cell(*line, column).is_some())
    }

    /// What is said of them below the table.
    pub(super) fn note(&self) -> Option<&String> {
        self.note.as_ref()
    }
}

/// What a line counts.
struct Counts<'a> {
    kept: &'a Kept<'a>,
    sheet: &'a Sheet,
    line: &'a Line,
    unit: Option<UnitId>,
    date: Date,
}

impl Counts<'_> {
    /// The ledgers for want of which a column has no figure.
    fn lacking(&self, column: &ReturnColumn) -> BTreeSet<String> {
        let of_terms = |terms| self.kept.lacking(self.unit, terms, self.line.value(terms, self.date));
        let of_columns = |summands: &[Summand]| -> BTreeSet<String> {
            let columns = summands.iter().filter_map(|s| self.sheet.columns.iter().find(|c| c.number == s.number));
            columns.flat_map(|column| self.lacking(column)).collect()
        };
        match &column.content {
            Content::Count(terms) => of_terms(terms),
            Content::Share { over, under } => of_terms(over).into_iter().chain(of_terms(under)).collect(),
            Content::Sum(summands) => of_columns(summands),
            Content::Ratio { over, under } => of_columns(over).into_iter().chain(of_columns(under)).collect(),
            _ => BTreeSet::new(),
        }
    }
}

/// Whether a column says something that is counted.
fn is_counted(column: &ReturnColumn) -> bool {
    use Content as C;
    matches!(column.content, C::Count(_) | C::Sum(_) | C::Ratio { .. } | C::Share { .. } | C::Text { .. })
}
