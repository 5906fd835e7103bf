//! What people have decided about files before: which column a header means, and whether two records are one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use sync_protocol::{RowId, UnitId};

use crate::header::normalise;

/// What the columns of a table mean, as a person has confirmed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// Header and the key of its column, left to right; without a key the values are kept beside the row.
    pub columns: Vec<(String, Option<String>)>,
}

impl Mapping {
    /// What the table is recognised by, wherever its columns stand.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.columns.iter().map(|(header, _)| header.as_str()))
    }
}

/// The header of a table: its normalised texts, sorted, one per line.
pub(crate) fn fingerprint<'t>(headers: impl Iterator<Item = &'t str>) -> String {
    let mut headers: Vec<String> = headers.map(path).filter(|header| !header.is_empty()).collect();
    headers.sort_unstable();
    headers.join("\n")
}

/// A header as it is compared, level by level.
pub(crate) fn path(header: &str) -> String {
    header.split('/').map(normalise).collect::<Vec<_>>().join("/")
}

/// A row of a file that may be a record that exists already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// Names the question: the same row asks the same question again.
    pub id: RowId,
    /// The unit.
    #[serde(skip)]
    pub unit: UnitId,
    /// The sheet of the file.
    pub sheet: String,
    /// Where the row begins.
    pub cell: String,
    /// Title of the ledger.
    pub ledger: String,
    /// What the row says in its key columns; restricted values masked.
    pub record: String,
    /// The records that it may be.
    pub candidates: Vec<Candidate>,
}

/// A record that exists already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its id.
    #[serde(with = "as_text")]
    pub row: RowId,
    /// What it says in its key columns; restricted values masked.
    pub record: String,
}

/// What a person says about a doubtful row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is this record.
    Same(RowId),
    /// It is a record of its own.
    New,
}

/// Everything that was decided.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    mappings: HashMap<String, Mapping>,
    /// Every header text of any mapping, by level: rows without any of them need no second look.
    words: BTreeSet<String>,
    decisions: BTreeMap<RowId, Decision>,
    /// Set when only rows with a decision are to be planned.
    only_decided: bool,
}

impl Memory {
    /// Remembers a mapping.
    pub fn map(&mut self, mapping: Mapping) {
        for (header, _) in &mapping.columns {
            self.words.extend(header.split('/').chain([header.as_str()]).map(normalise));
        }
        self.mappings.insert(mapping.fingerprint(), mapping);
    }

    /// Remembers a decision.
    pub fn decide(&mut self, doubt: RowId, decision: Decision) {
        self.decisions.insert(doubt, decision);
    }

    /// This memory, for the rows alone that these decisions are about: everything else of a file is left out.
    #[must_use]
    pub fn only(mut self, decisions: BTreeMap<RowId, Decision>) -> Self {
        self.decisions = decisions;
        self.only_decided = true;
        self
    }

    /// Whether somebody has said that the two are not one.
    pub fn is_apart(&self, doubt: RowId) -> bool {
        self.decision(doubt) == Some(Decision::New)
    }

    pub(crate) fn decision(&self, doubt: RowId) -> Option<Decision> {
        self.decisions.get(&doubt).copied()
    }

    pub(crate) fn is_only_decided(&self) -> bool {
        self.only_decided
    }

    /// Whether nobody has mapped anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.mappings.is_empty()
    }

    /// Whether a normalised text stands in a header that somebody has mapped.
    pub(crate) fn names(&self, text: &str) -> bool {
        self.words.contains(text)
    }

    /// The mapping of a table with these header paths.
    pub(crate) fn mapping<'t>(&self, headers: impl Iterator<Item = &'t str>) -> Option<&Mapping> {
        if self.mappings.is_empty() {
            return None;
        }
        self.mappings.get(&fingerprint(headers))
    }
}

/// A row id as its text.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use sync_protocol::RowId;

    pub(super) fn serialize<S: Serializer>(row: &RowId, serializer: S) -> Result<S::Ok, S::Error> {
        row.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RowId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
