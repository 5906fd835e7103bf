//! What stands in a document, cell by cell, and how it came there: what another year begins with.

use std::collections::HashMap;

use super::Document;
use crate::{conflict::Means, row::Address, value::Value};

/// The winning value of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingCell {
    /// Where.
    pub address: Address,
    /// What it says.
    pub value: Value,
    /// Whether a person has typed it.
    pub is_by_hand: bool,
    /// Whether it was carried here from another year, and nobody has written to it since.
    pub is_carried: bool,
    /// Whether others have written something else at once.
    pub is_disputed: bool,
}

impl Document {
    /// All cells.
    pub fn standing(&self) -> Vec<StandingCell> {
        // A document has few changes and many cells.
        let mut known: HashMap<Option<automerge::ChangeHash>, (bool, bool)> = HashMap::new();
        let mut cells = Vec::new();
        self.each_of("", |address, value, is_disputed, id| {
            let (is_by_hand, is_carried) = *known.entry(self.doc.hash_for_opid(id)).or_insert_with(|| {
                let by = self.written_by(id).provenance;
                by.map_or((false, false), |by| (by.is_by_hand(), by.how == Means::Carry))
            });
            cells.push(StandingCell { address, value, is_by_hand, is_carried, is_disputed });
        });
        cells
    }
}
