//! Addresses of cells, and rows as people see them.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use smol_str::SmolStr;

use crate::{ids::RowId, value::Value};

/// Marks a row as removed. Keys are never deleted: an edit made elsewhere must stay visible.
pub const REMOVED: &str = "@removed";

/// Where a record stands, a code of the list `record_state`; none is a record that was taken over as it was.
pub const STATE: &str = "@state";

/// Why a record was returned, amended or made void.
pub const REASON: &str = "@reason";

/// In expressions that look at the rows of other units: the name of the unit that keeps the row. It is never stored.
pub const KEPT_BY: &str = "@kept_by";

/// Holds what came under headers that no column claims: `@extra/{header}`.
pub const EXTRA: &str = "@extra";

/// A photo of the record, `@photo/{SHA-256}` = true: its bytes are kept apart from the document.
pub const PHOTO: &str = "@photo";

/// A cell: `{ledger}/{row}/{column}`, or `{ledger}/{row}/{column}/{code}` for one member of a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Catalogue id of the ledger.
    pub ledger: SmolStr,
    /// The record.
    pub row: RowId,
    /// Catalogue key of the column, or a mark such as [`REMOVED`].
    pub column: SmolStr,
    /// One code of a `multi` column: sets merge member by member.
    pub member: Option<SmolStr>,
}

impl Address {
    /// The cell of a plain column.
    pub fn new(ledger: impl Into<SmolStr>, row: RowId, column: impl Into<SmolStr>) -> Self {
        Self { ledger: ledger.into(), row, column: column.into(), member: None }
    }

    /// The member `code` of a `multi` column.
    #[must_use]
    pub fn member(mut self, code: impl Into<SmolStr>) -> Self {
        self.member = Some(code.into());
        self
    }

    /// The document key. Imports make millions of them: no formatting machinery.
    pub fn key(&self) -> String {
        let member = self.member.as_ref().map_or(0, |member| member.len() + 1);
        let mut key = String::with_capacity(self.ledger.len() + self.column.len() + 18 + member);
        key.push_str(&self.ledger);
        key.push('/');
        self.row.push_to(&mut key);
        key.push('/');
        key.push_str(&self.column);
        if let Some(member) = &self.member {
            key.push('/');
            key.push_str(member);
        }
        key
    }

    /// How the cell is named inside its row: `column`, or `column/code`.
    pub fn cell(&self) -> std::borrow::Cow<'_, str> {
        match &self.member {
            Some(member) => format!("{}/{member}", self.column).into(),
            None => self.column.as_str().into(),
        }
    }

    /// Reads a document key; `None` for document marks such as `@unit` and for foreign keys.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let (ledger, row, column) = (parts.next()?, parts.next()?, parts.next()?);
        let member = parts.next().map(SmolStr::from);
        let fits = parts.next().is_none()
            && is_name(ledger)
            && is_name(column.strip_prefix('@').unwrap_or(column))
            && member.as_deref().is_none_or(|m| is_name(m) || column == EXTRA && is_header(m));
        fits.then_some(())?;
        Some(Self { ledger: ledger.into(), row: row.parse().ok()?, column: column.into(), member })
    }
}

/// Catalogue names: 1 to 64 of letters, digits, `_`, `-`, `.`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// A header text as the last part of an address.
fn is_header(text: &str) -> bool {
    (1..=64).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One record with the winning value of every cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: RowId,
    /// Column key → value. The members of a set stand under `column/code`.
    pub cells: BTreeMap<String, Value>,
    /// Whether the row was removed.
    pub removed: bool,
}

impl Row {
    /// An empty row.
    pub fn new(id: RowId) -> Self {
        Self { id, cells: BTreeMap::new(), removed: false }
    }

    /// The value of a column; cleared and absent cells are both `None`.
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.cells.get(column).filter(|value| !value.is_null())
    }

    /// The text of a column, empty when there is none.
    pub fn text(&self, column: &str) -> &str {
        self.get(column).and_then(Value::as_text).unwrap_or_default()
    }

    /// The codes of a `multi` column that are set, in code order.
    pub fn members<'a>(&'a self, column: &'a str) -> impl Iterator<Item = &'a str> {
        self.cells.iter().filter_map(move |(key, value)| {
            let code = key.strip_prefix(column)?.strip_prefix('/')?;
            (*value == Value::Bool(true)).then_some(code)
        })
    }

    /// Whether it is still there: neither removed nor void.
    pub fn stands(&self) -> bool {
        !self.removed && self.text(STATE) != "void"
    }

    /// Whether it counts in figures: drafts do not, nor what was sent back.
    pub fn counts(&self) -> bool {
        self.stands() && !matches!(self.text(STATE), "draft" | "returned")
    }

    /// Takes in one cell of this row as it stands in the document.
    pub fn put(&mut self, address: &Address, value: Value) {
        if address.column == REMOVED {
            self.removed = value == Value::Bool(true);
        } else {
            self.cells.insert(address.cell().into_owned(), value);
        }
    }
}
