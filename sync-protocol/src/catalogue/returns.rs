//! Returns 报表 and the measures they print.

use super::{
    expression::Expression,
    indicator::Term,
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
    /// `0.0`.
    Decimal,
    /// `0.00`: money in 万元.
    Money,
}

/// A printed column, by its 栏次, in a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summand {
    /// Its number.
    pub number: String,
    /// Whether it is subtracted.
    pub minus: bool,
}

impl Summand {
    /// `1-2`, `13+14`.
    pub(super) fn parse(text: &str) -> Vec<Self> {
        let mut summands = Vec::new();
        let mut minus = false;
        let mut rest = text;
        loop {
            let end = rest.find(['+', '-']).unwrap_or(rest.len());
            summands.push(Self { number: rest[..end].trim().to_owned(), minus });
            let Some(sign) = rest[end..].chars().next() else { return summands };
            minus = sign == '-';
            rest = &rest[end + 1..];
        }
    }
}

/// What an indicator says in a column of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndicatorPart {
    /// Its title.
    Title,
    /// The numerator, or the count.
    Numerator,
    /// The denominator.
    Denominator,
    /// The figure.
    Actual,
    /// The target.
    Target,
    /// By when.
    Due,
    /// Target less figure.
    Gap,
    /// 达标, 未达标, 未到期, 不适用.
    Reached,
    /// The ledgers that it counts.
    Source,
}

/// Where the cell of a listed row comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellOf {
    /// Another ledger of the same unit; the listed row's own, if absent.
    pub ledger: Option<String>,
    /// The column.
    pub column: String,
    /// Columns of the listed row and of the other ledger that say the same; any row of the unit, if absent.
    pub same: Option<(String, String)>,
}

/// How many texts become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextFold {
    /// The greatest.
    Greatest(String),
    /// All of them, each once.
    List(String),
}

/// What a column of a return prints.
#[derive(Debug, Clone)]
pub enum Content {
    /// 1, 2, 3 …
    Sequence,
    /// The label of the sheet's row: a reporting unit, a field, a code.
    Group,
    /// The reporting unit of a row that is of something else.
    Unit,
    /// The organisation of a listed row.
    Organisation,
    /// Nothing: for a person to write on.
    Blank,
    /// A sum of measures.
    Count(Vec<Term>),
    /// A sum of printed columns.
    Sum(Vec<Summand>),
    /// Sums of printed columns, one divided by the other.
    Ratio {
        /// Numerator.
        over: Vec<Summand>,
        /// Denominator.
        under: Vec<Summand>,
    },
    /// Sums of measures that are not printed themselves, one divided by the other.
    Share {
        /// Numerator.
        over: Vec<Term>,
        /// Denominator.
        under: Vec<Term>,
    },
    /// The entry of a county parameter for the row's code.
    Parameter(String),
    /// A text out of the rows of a ledger.
    Text {
        /// The ledger.
        ledger: String,
        /// Which rows.
        condition: Option<Expression>,
        /// How.
        fold: TextFold,
    },
    /// What an indicator says.
    Indicator(IndicatorPart),
    /// A cell of a listed row.
    Cell(CellOf),
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
    /// What counts is divided by this before it is printed: measures of money are in fen.
    pub divisor: i64,
    /// When false for the chosen variables the column prints `—`.
    pub only: Option<Expression>,
    /// Small numbers are suppressed in copies for supervisors.
    pub small: bool,
    /// Width in characters.
    pub width: Option<f64>,
}

/// What the rows of a sheet are.
#[derive(Debug, Clone)]
pub enum SheetRows {
    /// Reporting units; only what organisations count that have this measure, if it is given.
    Units(Option<String>),
    /// Organisations that have this measure.
    Organisations(String),
    /// The return's groups.
    Groups,
    /// Codes of a list: only rows of the ledger count whose column says so.
    Codes {
        /// The ledger.
        ledger: String,
        /// Its column.
        column: String,
        /// The code list.
        list: String,
        /// The codes that have a row; all of them, if none is named.
        only: Vec<String>,
        /// Once for each reporting unit.
        per_unit: bool,
    },
    /// Rows of a ledger.
    List {
        /// The ledger.
        ledger: String,
        /// Which.
        condition: Option<Expression>,
    },
    /// Indicators.
    Indicators,
    /// Indicators, with a column for each reporting unit.
    IndicatorMatrix,
}

/// A sheet of a return.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// In place of 填报单位.
    pub header: Option<String>,
    /// Its rows.
    pub rows: SheetRows,
    /// Its columns.
    pub columns: Vec<ReturnColumn>,
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
        format!("{form}/group/{index}")
    }

    /// Whether a unit is in this group, as a measure: 0 or 1.
    pub(super) fn measure(&self, form: &str, index: usize) -> Measure {
        belongs(Self::measure_id(form, index), self.label.clone(), self.condition.clone())
    }
}

/// Whether a unit's row in `organisations` meets a condition, as a measure: 0 or 1.
pub(super) fn belongs(id: String, title: String, condition: Expression) -> Measure {
    Measure {
        id,
        title,
        ledger: "organisations".into(),
        condition: Some(condition),
        with: Vec::new(),
        without: Vec::new(),
        joined: None,
        organisation: None,
        day: None,
        aggregate: Aggregate::Units,
        at_least: None,
        at_most: None,
        cap: None,
        cap_by: None,
        year_before: false,
        each: None,
        by: None,
        by_ledger: None,
        once: false,
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
    /// Its sheets, each with its columns.
    pub sheets: Vec<Sheet>,
    /// Check relations 审核关系 between 栏次 numbers.
    pub checks: Vec<Check>,
    /// Notes below the table.
    pub notes: Vec<String>,
}

impl Sheet {
    /// Levels of the header.
    pub fn header_depth(&self) -> usize {
        self.columns.iter().map(|column| column.header.len()).max().unwrap_or(1)
    }

    /// The terms of every column.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        self.columns.iter().flat_map(|column| match &column.content {
            Content::Count(terms) => terms.iter().chain(&[]),
            Content::Share { over, under } => over.iter().chain(under),
            _ => [].iter().chain(&[]),
        })
    }
}
