//! Rules: what must hold of a row, by itself and beside the other rows of its unit.

use std::collections::BTreeMap;

use super::{
    expression::{Expression, Variables},
    measure::{Having, UnitRows},
};
use crate::{ids::RowId, row::Row};

/// How much a broken rule weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
pub enum Weight {
    /// Information.
    I,
    /// Warning: accepted, listed.
    W,
    /// Error: the row cannot be submitted; it is kept as a draft.
    E,
}

/// What a rule demands of the rows that it is about.
#[derive(Debug, Clone)]
pub enum Demand {
    /// The row itself.
    Check(Expression),
    /// The unit has such a row.
    Needs(Having),
    /// The unit has no such row.
    Forbids(Having),
    /// No other row of the county has the same values in these columns: see [`Rule::county_key`].
    Unique(Vec<String>),
    /// The unit has at most this many such rows with equal values in these columns.
    AtMost {
        /// How many.
        count: usize,
        /// Columns that tell the rows apart.
        per: Vec<String>,
    },
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `members.v3`.
    pub id: String,
    /// The ledger.
    pub ledger: String,
    /// How much it weighs.
    pub weight: Weight,
    /// Which rows it is about; all, if absent.
    pub when: Option<Expression>,
    /// What it demands.
    pub demand: Demand,
    /// What is wrong and what to do, in Chinese.
    pub text: String,
    /// The same in English.
    pub text_en: String,
}

impl Rule {
    /// The rows of a unit that break the rule.
    pub fn broken(&self, rows: &UnitRows, variables: &Variables) -> Vec<RowId> {
        let own = rows.get(&self.ledger).map_or(&[][..], Vec::as_slice);
        let about = own.iter().filter(|row| self.is_about(row, variables));
        match &self.demand {
            Demand::Check(check) => about.filter(|row| !check.holds(row, variables)).map(|row| row.id).collect(),
            Demand::Needs(having) if having.holds(rows, variables) => Vec::new(),
            Demand::Forbids(having) if !having.holds(rows, variables) => Vec::new(),
            // Beside the rows of other units: not for one unit to say.
            Demand::Unique(_) => Vec::new(),
            Demand::Needs(_) | Demand::Forbids(_) => about.map(|row| row.id).collect(),
            Demand::AtMost { count, per } => {
                let mut same: BTreeMap<Vec<Option<&crate::Value>>, Vec<RowId>> = BTreeMap::new();
                for row in about {
                    same.entry(per.iter().map(|column| row.get(column)).collect()).or_default().push(row.id);
                }
                same.into_values().filter(|rows| rows.len() > *count).flatten().collect()
            }
        }
    }

    fn is_about(&self, row: &Row, variables: &Variables) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds(row, variables))
    }

    /// What must be unique in the county about a row that this rule is about.
    pub fn county_key(&self, row: &Row, variables: &Variables) -> Option<Vec<String>> {
        let Demand::Unique(columns) = &self.demand else { return None };
        self.is_about(row, variables)
            .then(|| columns.iter().map(|column| row.get(column).map(ToString::to_string)).collect())?
    }
}
