//! Ledgers and their columns.

use serde::{Deserialize, Serialize};

use unicode_normalization::UnicodeNormalization;

use super::{NextYear, expression::Expression};
use crate::{
    ids::{Book, RowId},
    shape,
    unit::Unit,
    value::Value,
};

/// How a value is stored in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// An integer.
    Int,
    /// Yes or no.
    Bool,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// Short text.
    Text,
    /// Text with line breaks that several people edit.
    LongText,
    /// Whole number.
    Int,
    /// Exact decimal.
    Decimal,
    /// Amount in yuan, two decimals.
    MoneyYuan,
    /// Amount entered and shown in 万元, stored in yuan.
    MoneyWan,
    /// 0–100, two decimals.
    Percent,
    /// One decimal.
    Score,
    /// `YYYY-MM-DD`.
    Date,
    /// Date of known precision: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    PDate,
    /// Local time with minutes.
    DateTime,
    /// `YYYY`.
    Year,
    /// `YYYY`, `YYYY-Qn`, `YYYY-MM`.
    Period,
    /// Yes or no.
    Bool,
    /// One code of a list.
    Enum(String),
    /// A set of codes of a list.
    Multi(String),
    /// Name of a person.
    Person,
    /// Citizen identification number.
    IdCard,
    /// Unified social credit code.
    Uscc,
    /// Telephone number.
    Phone,
    /// Division code, 12 digits.
    Division,
    /// A row of another ledger.
    Ref(String),
}

impl ColumnType {
    pub(super) fn parse(text: &str) -> Option<Self> {
        use ColumnType as T;
        if let Some((head, argument)) = text.split_once(':') {
            let argument = argument.to_owned();
            return match head {
                "enum" => Some(T::Enum(argument)),
                "multi" => Some(T::Multi(argument)),
                "ref" => Some(T::Ref(argument)),
                _ => None,
            };
        }
        Some(match text {
            "text" => T::Text,
            "long_text" => T::LongText,
            "int" => T::Int,
            "decimal" => T::Decimal,
            "money_yuan" => T::MoneyYuan,
            "money_wan" => T::MoneyWan,
            "percent" => T::Percent,
            "score" => T::Score,
            "date" => T::Date,
            "pdate" => T::PDate,
            "datetime" => T::DateTime,
            "year" => T::Year,
            "period" => T::Period,
            "bool" => T::Bool,
            "person" => T::Person,
            "id_card" => T::IdCard,
            "uscc" => T::Uscc,
            "phone" => T::Phone,
            "division" => T::Division,
            _ => return None,
        })
    }

    /// How its values are stored (the members of a set are yes/no cells).
    pub const fn kind(&self) -> Kind {
        match self {
            ColumnType::Int => Kind::Int,
            ColumnType::Bool | ColumnType::Multi(_) => Kind::Bool,
            _ => Kind::Text,
        }
    }

    /// Whether every code has a cell of its own.
    pub const fn is_set(&self) -> bool {
        matches!(self, ColumnType::Multi(_))
    }

    /// The code list it draws from.
    pub fn list(&self) -> Option<&str> {
        match self {
            ColumnType::Enum(list) | ColumnType::Multi(list) => Some(list),
            _ => None,
        }
    }

    /// Whether printed cells must be text, so that a spreadsheet keeps every digit.
    pub const fn prints_as_text(&self) -> bool {
        !matches!(
            self,
            ColumnType::Int
                | ColumnType::Decimal
                | ColumnType::MoneyYuan
                | ColumnType::MoneyWan
                | ColumnType::Percent
                | ColumnType::Score
        )
    }
}

/// Whether a row may be submitted without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// Needed for submission.
    Mandatory,
    /// Needed under the condition in `allowed`.
    Conditional,
    /// Never needed.
    Optional,
}

/// Class of personal information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Sensitivity {
    /// May be published.
    S0,
    /// Internal.
    S1,
    /// Personal.
    S2,
    /// Restricted personal: kept in the restricted twin document.
    S3,
}

/// A column of a ledger.
#[derive(Debug, Clone)]
pub struct Column {
    /// Catalogue key.
    pub key: String,
    /// Printed header.
    pub title: String,
    /// Type of its values.
    pub column_type: ColumnType,
    /// Whether it must be filled.
    pub required: Requirement,
    /// What an empty cell means; then it is not missing.
    pub default: Option<String>,
    /// Format or condition, for people.
    pub allowed: String,
    /// Other header texts that mean this column.
    pub aliases: Vec<String>,
    /// Class of personal information.
    pub sensitivity: Sensitivity,
    /// Whether its dates may lie in the future: what is due, planned, or lasts.
    pub future: bool,
}

/// Which unit owns a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// The county itself: one document holds the whole ledger.
    County,
    /// The reporting unit named in the row.
    ReportingUnit,
    /// The organisation named in the row.
    Organisation,
}

/// How a row names the unit that owns it. In ledgers that do not define units these columns are not stored:
/// they follow from the document and are printed from the register.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitSource {
    /// The owner.
    pub of: UnitKind,
    /// Whether rows of this ledger are what makes units.
    pub defines: bool,
    /// Column with the reporting unit's name.
    pub reporting_unit: Option<String>,
    /// Column with the official code.
    pub code: Option<String>,
    /// Column with the name.
    pub name: Option<String>,
    /// Column with the short name (defining ledgers).
    pub short_name: Option<String>,
    /// Column with the official order (defining ledgers).
    pub sort_order: Option<String>,
}

impl UnitSource {
    /// Whether this column only says which unit the row belongs to.
    pub fn names_unit(&self, column: &str) -> bool {
        !self.defines && [&self.reporting_unit, &self.code, &self.name].into_iter().flatten().any(|c| c == column)
            || self.defines && self.reporting_unit.as_deref() == Some(column)
    }

    /// What such a column says: it is not stored in the row, but follows from the register.
    pub fn named(&self, column: &str, unit: &Unit, parent: Option<&Unit>) -> Option<String> {
        if !self.names_unit(column) {
            return None;
        }
        if self.reporting_unit.as_deref() == Some(column) {
            Some(parent.unwrap_or(unit).label().to_owned())
        } else if self.code.as_deref() == Some(column) {
            Some(unit.code.clone().unwrap_or_default())
        } else {
            Some(unit.name.clone())
        }
    }
}

/// Of which reporting units rows are expected, whatever happens there: where one of them has none, nobody has kept the ledger.
/// Other ledgers have a row for each thing that has happened, and none where nothing has.
#[derive(Debug, Clone)]
pub enum Expected {
    /// All of them.
    Always,
    /// Those that have an organisation of which this holds.
    Where(Expression),
}

/// A ledger 台账.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Catalogue id, for example `members`.
    pub id: String,
    /// Its place in the catalogue.
    pub number: u32,
    /// Title in Chinese.
    pub title: String,
    /// Title in English.
    pub title_en: String,
    /// Other titles that sheets carry.
    pub title_aliases: Vec<String>,
    /// 1 needed for targets and returns, 2 supporting.
    pub tier: u8,
    /// The open book its cells live in.
    pub book: Book,
    /// Who enters rows.
    pub writer: String,
    /// Whether rows are never removed: a state says that they have left.
    pub keeps_rows: bool,
    /// Of whom rows are expected.
    pub expected: Option<Expected>,
    /// Natural keys inside one unit, strongest first. Empty columns make a key unusable.
    pub keys: Vec<Vec<String>>,
    /// Order of rows inside a unit in printed ledgers.
    pub sort: Vec<String>,
    /// Which unit owns a row.
    pub unit: UnitSource,
    /// What of it goes on into the next year.
    pub next_year: NextYear,
    /// The columns in printed order.
    pub columns: Vec<Column>,
}

impl Ledger {
    /// The column with this key.
    pub fn column(&self, key: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.key == key)
    }

    /// The book in which this column's cells live.
    pub fn book_of(&self, column: &Column) -> Book {
        if column.sensitivity == Sensitivity::S3 { self.book.restricted() } else { self.book }
    }

    /// The normalised parts of a natural key; `None` unless each of its columns says something that identifies: a bad value
    /// is no key.
    pub fn key_parts<'v>(&self, key: &[String], value_of: impl Fn(&str) -> Option<&'v Value>) -> Option<Vec<String>> {
        let part = |column: &String| {
            let value = value_of(column).filter(|value| !value.is_null())?;
            let column_type = self.column(column).map(|column| &column.column_type);
            let is_bad = |text: &str| column_type.is_some_and(|column_type| !shape::identifies(column_type, text));
            (!value.as_text().is_some_and(is_bad)).then(|| key_part(value))
        };
        key.iter().map(part).collect()
    }

    /// The row that the first usable natural key names; the same on every replica.
    ///
    /// Keys of restricted columns need the county's own `county_key`: a replica without it falls back to the next key.
    pub fn row_id<'v>(
        &self,
        public_key: &[u8],
        county_key: Option<&[u8]>,
        value_of: impl Fn(&str) -> Option<&'v Value>,
    ) -> Option<RowId> {
        self.keys.iter().find_map(|key| {
            let secret = if self.is_restricted_key(key) { county_key? } else { public_key };
            let parts = self.key_parts(key, &value_of)?;
            let name = key.join("+");
            let parts: Vec<&str> = std::iter::once(name.as_str()).chain(parts.iter().map(String::as_str)).collect();
            Some(RowId::derive(secret, &self.id, &parts))
        })
    }

    /// Whether this natural key holds restricted columns, so that row ids need the county's key.
    pub fn is_restricted_key(&self, key: &[String]) -> bool {
        key.iter().filter_map(|c| self.column(c)).any(|c| c.sensitivity == Sensitivity::S3)
    }
}

/// A value as natural keys compare it: NFKC, no white space.
fn key_part(value: &Value) -> String {
    match value {
        Value::Text(text) => text.nfkc().filter(|c| !c.is_whitespace()).collect(),
        other => other.to_string(),
    }
}
