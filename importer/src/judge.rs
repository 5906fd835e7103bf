//! What the cells of a row say against each other, at the moment they are imported: an identity number of another birth date
//! or sex, dates in an impossible order, dates that have not come yet.

use std::collections::BTreeSet;

use sync_protocol::{
    Row, Value,
    catalogue::{Catalogue, Column, ColumnType, Ledger, Rule, Variables},
    shape,
};

use crate::{
    finding::{Finding, FindingKind},
    plan::Place,
    record::Record,
};

/// The variable of the day on which a return is drawn: nobody knows it yet.
const STATISTICS_DATE: &str = "statistics_date";

/// The rules that a row can break by itself.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    rules: Vec<Own<'a>>,
    variables: Variables,
    year: i16,
}

/// A rule, and the columns that it compares.
#[derive(Debug)]
struct Own<'a> {
    rule: &'a Rule,
    /// Of its check: a rule that misses one of them is about what is missing.
    columns: BTreeSet<String>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, year: i16) -> Self {
        let own = |rule: &'a Rule| {
            let (mut columns, mut is_dated) = (BTreeSet::new(), false);
            rule.check.names(
                &mut |column| {
                    columns.insert(column.to_owned());
                },
                &mut |variable| is_dated |= variable == STATISTICS_DATE,
            );
            let tells = |key: &String| {
                let column = catalogue.ledger(&rule.ledger).and_then(|ledger| ledger.column(key));
                column.is_some_and(|column| column.column_type == ColumnType::IdCard || is_date(column))
            };
            let is_own = rule.beside.is_empty() && !rule.once && !is_dated && columns.len() > 1;
            (is_own && columns.iter().any(tells)).then_some(Own { rule, columns })
        };
        let rules = catalogue.rules().iter().filter_map(own).collect();
        Self { rules, variables: catalogue.variables(year, None), year }
    }

    /// What this row of a file, beside what is stored of it, cannot mean.
    pub(crate) fn row(
        &self,
        ledger: &Ledger,
        record: &Record,
        stored: Option<&Row>,
        place: &Place<'_>,
        findings: &mut Vec<Finding>,
    ) {
        for (index, value) in &record.cells {
            let column = &ledger.columns[*index];
            if self.is_future(column, value) {
                findings.push(place.about(&FindingKind::FutureDate { year: self.year }, ledger, column));
            }
        }
        let mut whole: Option<Row> = None;
        for Own { rule, columns } in self.rules.iter().filter(|own| own.rule.ledger == ledger.id) {
            // What the file does not say, it cannot say wrongly.
            let Some(column) = columns.iter().find_map(|key| says(ledger, record, key)) else { continue };
            let whole = whole.get_or_insert_with(|| joined(ledger, record, stored));
            let all = columns.iter().all(|column| whole.get(column).is_some());
            let concerned = rule.when.as_ref().is_none_or(|when| when.holds(whole, &self.variables));
            if all && concerned && !rule.check.holds(whole, &self.variables) {
                let kind = FindingKind::Contradiction { text: rule.text.clone(), text_en: rule.text_en.clone() };
                findings.push(place.about(&kind, ledger, column));
            }
        }
    }

    fn is_future(&self, column: &Column, value: &Value) -> bool {
        let year = value.as_text().and_then(|text| text.get(..4)?.parse::<i16>().ok());
        is_date(column) && !column.future && year.is_some_and(|year| year > self.year)
    }
}

fn is_date(column: &Column) -> bool {
    matches!(column.column_type, ColumnType::Date | ColumnType::PDate | ColumnType::DateTime)
}

/// The column, if the row of the file fills it.
fn says<'l>(ledger: &'l Ledger, record: &Record, key: &str) -> Option<&'l Column> {
    let column = ledger.column(key)?;
    record.value(ledger, key).map(|_| column)
}

/// What the record will say: the stored row with what the file says over it.
fn joined(ledger: &Ledger, record: &Record, stored: Option<&Row>) -> Row {
    let mut row = stored.cloned().unwrap_or_else(|| Row::new(sync_protocol::RowId::random([0; 10])));
    for (index, value) in &record.cells {
        let column = &ledger.columns[*index];
        let is_bad = value.as_text().is_some_and(|text| shape::passes(&column.column_type, text) == Some(false));
        if !is_bad {
            row.cells.insert(column.key.clone(), value.clone());
        }
    }
    row
}
