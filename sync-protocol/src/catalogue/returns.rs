//! Returns 报表 and the measures they print.

use super::{
    expression::Expression,
    measure::{Aggregate, Measure},
};

/// Number format of a printed cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Text.
    Text,
    /// `0`.
    Count,
    /// `0.0%`.
    Percent,
}

/// What a column of a return prints.
#[derive(Debug, Clone)]
pub enum Content {
    /// 1, 2, 3 …
    Sequence,
    /// The label of the row's group.
    Group,
    /// A measure.
    Measure(String),
    /// One printed column divided by another, by their 栏次 numbers.
    Ratio {
        /// Numerator.
        over: String,
        /// Denominator.
        under: String,
    },
    /// A ratio of two measures that are not printed themselves.
    Share {
        /// Numerator.
        over: String,
        /// Denominator.
        under: String,
    },
}

/// A column of a return.
#[derive(Debug, Clone)]
pub struct ReturnColumn {
    /// 栏次: 甲, 乙 for text, 1, 2, … for figures.
    pub number: String,
    /// Header from the top level down; equal neighbours are merged.
    pub header: Vec<String>,
    /// What it prints.
    pub content: Content,
    /// How.
    pub format: Format,
    /// When false for the chosen variables the column prints `—`.
    pub only: Option<Expression>,
}

/// A choice the person makes who draws the return.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Name in expressions, after `$`.
    pub name: String,
    /// Code list of allowed values.
    pub list: String,
    /// The value when none is given.
    pub default: String,
}

/// A row of a return's second sheet.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its label.
    pub label: String,
    /// Which organisations it counts, by their row in `organisations`.
    pub condition: Expression,
    /// 其中: part of a row above, left out of the total.
    pub of_which: bool,
}

impl Group {
    /// Id of the measure that says whether a unit is in this group.
    pub fn measure_id(form: &str, index: usize) -> String {
        format!("{form}/{index}")
    }

    /// Whether a unit is in this group, as a measure: 0 or 1.
    pub(super) fn measure(&self, form: &str, index: usize) -> Measure {
        Measure {
            id: Self::measure_id(form, index),
            title: self.label.clone(),
            ledger: "organisations".into(),
            condition: Some(self.condition.clone()),
            with: Vec::new(),
            without: Vec::new(),
            aggregate: Aggregate::Units,
            at_least: None,
            at_most: None,
            cap: None,
            cap_by: None,
            each: None,
            by: None,
        }
    }
}

/// A relation that must hold in every row, for example `2 >= 10+11+12`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// As it is written.
    pub text: String,
    /// 栏次 numbers whose sum stands left.
    pub left: Vec<String>,
    /// `=`, `<=` or `>=`.
    pub relation: Relation,
    /// 栏次 numbers whose sum stands right.
    pub right: Vec<String>,
}

/// How two sums compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
}

impl Check {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (at, sign, relation) = [("<=", Relation::AtMost), (">=", Relation::AtLeast), ("=", Relation::Equal)]
            .into_iter()
            .find_map(|(sign, relation)| text.find(sign).map(|at| (at, sign, relation)))?;
        let sum = |side: &str| side.split('+').map(|number| number.trim().to_owned()).collect::<Vec<_>>();
        Some(Self { text: text.to_owned(), left: sum(&text[..at]), relation, right: sum(&text[at + sign.len()..]) })
    }

    /// Whether it holds for these sums.
    pub fn holds(&self, left: i64, right: i64) -> bool {
        match self.relation {
            Relation::Equal => left == right,
            Relation::AtMost => left <= right,
            Relation::AtLeast => left >= right,
        }
    }
}

/// A standardized return.
#[derive(Debug, Clone)]
pub struct ReturnForm {
    /// Its id, for example `r03-grading-summary`.
    pub id: String,
    /// Short number, for example `R03`.
    pub number: String,
    /// Printed form number.
    pub form_number: String,
    /// Title.
    pub title: String,
    /// Units of measure in the third row.
    pub units: String,
    /// Choices.
    pub variables: Vec<Variable>,
    /// Rows of the second sheet: kinds of organisations.
    pub groups: Vec<Group>,
    /// Columns in order.
    pub columns: Vec<ReturnColumn>,
    /// Check relations 审核关系 between 栏次 numbers.
    pub checks: Vec<Check>,
    /// Notes below the table.
    pub notes: Vec<String>,
}

impl ReturnForm {
    /// Levels of the header.
    pub fn header_depth(&self) -> usize {
        self.columns.iter().map(|column| column.header.len()).max().unwrap_or(1)
    }
}
