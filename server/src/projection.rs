//! The projection: documents as rows that returns can read without automerge.

use std::collections::BTreeMap;

use sync_protocol::{
    Document, Row, Value,
    document::{Edit, RowKey, RowState},
};

use crate::store::ProjectedRow;

/// These rows of a document as they shall stand in the projection.
pub fn project<'a>(document: &Document, rows: impl IntoIterator<Item = &'a RowKey>) -> Vec<ProjectedRow> {
    rows.into_iter().map(|key| projected(key, &document.row_state(key))).collect()
}

/// All rows of a document.
pub fn project_all(document: &Document) -> Vec<ProjectedRow> {
    document.row_states().iter().map(|(key, state)| projected(key, state)).collect()
}

/// The rows of a document that was just made from these edits and nothing else: the same as [`project_all`],
/// without asking the document.
pub fn from_edits(edits: &[Edit]) -> Vec<ProjectedRow> {
    let mut rows: BTreeMap<RowKey, Row> = BTreeMap::new();
    let mut last: Option<RowKey> = None;
    for Edit { address, value } in edits {
        let same = last.as_ref().is_some_and(|key| key.row == address.row && key.ledger == address.ledger);
        if !same {
            last = Some(RowKey { ledger: address.ledger.clone(), row: address.row });
        }
        let key = last.clone().expect("set above");
        rows.entry(key).or_insert_with(|| Row::new(address.row)).put(address, value.clone());
    }
    rows.into_iter().map(|(key, row)| projected(&key, &RowState { row, conflicts: Vec::new() })).collect()
}

fn projected(key: &RowKey, state: &RowState) -> ProjectedRow {
    ProjectedRow {
        ledger: key.ledger.clone(),
        row: key.row,
        cells: json(&state.row.cells),
        conflicts: (!state.conflicts.is_empty()).then(|| json(&state.conflicts)),
        removed: state.row.removed,
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("string keys and plain values always serialise")
}

/// A projected row as cells.
pub fn cells(json: &str) -> Result<BTreeMap<String, Value>, serde_json::Error> {
    serde_json::from_str(json)
}

/// A projected row as a row.
pub fn row(id: sync_protocol::RowId, json: &str, removed: bool) -> Result<Row, serde_json::Error> {
    Ok(Row { id, cells: cells(json)?, removed })
}
