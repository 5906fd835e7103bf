//! The rows behind a number: each of them with what it adds to the measure that counts it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    expression::Variables,
    measure::{Aggregate, Around, Measure, UnitRows, hundredths, number as number_in},
};
use crate::row::Row;

/// A row behind a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind<'r> {
    /// The row; none, where a unit counts because it has none.
    pub row: Option<&'r Row>,
    /// What it adds. Of rows that count once together, the first adds one.
    pub adds: i64,
}

impl Measure {
    /// The ledger of the rows that are counted.
    pub fn counted_ledger(&self) -> &str {
        self.joined.as_ref().map_or(&self.ledger, |joined| &joined.ledger)
    }

    /// The rows behind what [`Measure::count_in`] counts: for each part, rows that add up to its number.
    pub fn behind<'r>(
        &self,
        rows: &'r UnitRows,
        around: Around<'r>,
        variables: &Variables,
    ) -> BTreeMap<String, Vec<Behind<'r>>> {
        let limit = self.limit(rows, variables);
        let groups = self.groups(rows, around, variables).into_iter();
        let spread = groups.map(|(by, own)| {
            let number = self.finish(&own, limit, variables);
            (by, self.spread(own, number, variables))
        });
        spread.filter(|(_, behind)| behind.iter().any(|behind| behind.adds != 0)).collect()
    }

    /// What each row adds to a number.
    fn spread<'r>(&self, own: Vec<&'r Row>, number: i64, variables: &Variables) -> Vec<Behind<'r>> {
        if self.at_least.is_some() || self.at_most.is_some() {
            if own.is_empty() {
                return vec![Behind { row: None, adds: number }];
            }
            let adds = std::iter::once(number).chain(std::iter::repeat(0));
            return own.into_iter().zip(adds).map(|(row, adds)| Behind { row: Some(row), adds }).collect();
        }
        let mut seen = BTreeSet::new();
        let mut behind: Vec<Behind<'_>> = Vec::new();
        for row in own {
            let adds = match &self.aggregate {
                Aggregate::Rows => 1,
                Aggregate::Members(column) => i64::try_from(row.members(column).count()).unwrap_or(i64::MAX),
                Aggregate::Units => i64::from(behind.is_empty()),
                Aggregate::Value(value) => value.value(row, variables).as_ref().and_then(number_in).unwrap_or(0),
                Aggregate::Sum(column) => row.get(column).and_then(number_in).unwrap_or(0),
                Aggregate::SumHundredths(column) => row.get(column).and_then(hundredths).unwrap_or(0),
                Aggregate::Distinct(column) => row.get(column).map_or(0, |value| i64::from(seen.insert(value))),
            };
            behind.push(Behind { row: Some(row), adds });
        }
        // What is beyond the limit does not count: the last rows are too many.
        let mut over = behind.iter().map(|behind| behind.adds).sum::<i64>() - number;
        for last in behind.iter_mut().rev() {
            let less = over.clamp(0, last.adds.max(0));
            last.adds -= less;
            over -= less;
        }
        behind
    }
}
