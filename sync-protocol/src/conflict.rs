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
    /// The server has kept what the cell said: somebody wrote what was not theirs to decide.
    Keep,
    /// Carried over from another year when a new one was opened.
    Carry,
}

impl Means {
    /// The name in messages of changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Means::Form => "form",
            Means::Import => "import",
            Means::Return => "return",
            Means::Resolve => "resolve",
            Means::Undo => "undo",
            Means::Keep => "keep",
            Means::Carry => "carry",
        }
    }

    /// Whether a person has typed it: an import does not go before that.
    pub const fn is_by_hand(self) -> bool {
        matches!(self, Means::Form | Means::Resolve | Means::Return)
    }
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

impl Provenance {
    /// Of a value that the server keeps, in the name of whoever has written it: `source` says how, and in which change.
    pub fn keeping(value: Option<&ConflictValue>) -> Self {
        let Some(value) = value else { return Self { who: "台账通".into(), how: Means::Keep, source: None } };
        match &value.provenance {
            Some(kept) if kept.how == Means::Keep => kept.clone(),
            written => {
                let (who, how) = written.as_ref().map_or(("未知", ""), |by| (by.who.as_str(), by.how.as_str()));
                Self { who: who.to_owned(), how: Means::Keep, source: Some(format!("{how}:{}", value.change)) }
            }
        }
    }

    /// Of cells that a new year takes over from another; an import goes before what a person has typed then as little as before.
    pub fn carrying(who: &str, is_by_hand: bool, from: &str) -> Self {
        let how = if is_by_hand { Means::Form } else { Means::Import };
        Self { who: who.to_owned(), how: Means::Carry, source: Some(format!("{}:{from}", how.as_str())) }
    }

    /// The year that it was carried over from.
    pub fn carried_from(&self) -> Option<&str> {
        let source = self.source.as_ref().filter(|_| self.how == Means::Carry)?;
        source.split_once(':').map(|(_, from)| from)
    }

    /// The change that has written what the server keeps; none, if it keeps a cell empty.
    pub fn kept(&self) -> Option<ChangeHash> {
        self.source.as_ref()?.split_once(':')?.1.parse().ok()
    }

    /// Whether a person has typed it; what the server keeps or carries over is as it was written.
    pub fn is_by_hand(&self) -> bool {
        let kept = self.source.as_ref().and_then(|source| source.split_once(':')).map(|(how, _)| how);
        match self.how {
            Means::Keep | Means::Carry => {
                [Means::Form, Means::Resolve, Means::Return].iter().any(|means| Some(means.as_str()) == kept)
            }
            how => how.is_by_hand(),
        }
    }
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
