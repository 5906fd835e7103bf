//! Conflicts: cells that people wrote differently without knowing of each other.

use serde::{Deserialize, Serialize};

use crate::{ids::ChangeHash, row::Address, value::Value};

/// How a change came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// Typed into a form.
    Form,
    /// Read from a ledger.
    Import,
    /// Read from a returned workbook.
    Return,
    /// A person settled a conflict.
    Resolve,
    /// An import was taken back.
    Undo,
}

/// Who made a change and how: the message of every automerge change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The person or office.
    pub who: String,
    /// By what means.
    pub how: Means,
    /// The import batch, file or return that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// One of the values of a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConflictValue {
    /// The value.
    pub value: Value,
    /// The change that wrote it.
    #[serde(serialize_with = "as_text")]
    pub change: ChangeHash,
    /// Who wrote it and how, when the change says so (foreign clients may not).
    pub provenance: Option<Provenance>,
    /// Seconds since 1970 by the clock of the device that wrote it: it informs, it decides nothing.
    pub written_at_s: i64,
}

fn as_text<S: serde::Serializer>(hash: &ChangeHash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

/// A cell with more than one value; the winner, equal on every replica, comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Where.
    pub address: Address,
    /// The values that differ, at least two.
    pub values: Vec<ConflictValue>,
}
