//! The projection: documents as rows that returns can read without automerge.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use sync_protocol::{
    ChangeHash, Document, DocumentId, Identity, Row, RowId, Value,
    document::{DocumentError, Edit, RowKey, RowState, change_actor},
    row::REMOVED,
};

use crate::store::{DocumentWrite, NewChange, ProjectedRow, ProposalWrites};

/// These rows of a document as they shall stand in the projection.
pub fn project<'a>(document: &Document, rows: impl IntoIterator<Item = &'a RowKey>) -> Vec<ProjectedRow> {
    rows.into_iter().map(|key| projected(key, &document.row_state(key))).collect()
}

/// The write that puts a whole document where there is none, as nobody's delivery.
pub fn whole(identity: &Identity, id: DocumentId, document: &Document) -> Result<DocumentWrite, DocumentError> {
    let rows: BTreeSet<RowKey> = document.row_states().into_keys().collect();
    let change =
        |(hash, bytes): (ChangeHash, Vec<u8>)| Ok(NewChange { hash, actor: change_actor(&bytes)?, bytes: None });
    Ok(DocumentWrite {
        document: id,
        identity: identity.clone(),
        expected_heads: Vec::new(),
        heads: document.heads(),
        changes: document.changes_since(&[]).into_iter().map(change).collect::<Result<_, DocumentError>>()?,
        snapshot: Some(document.save()),
        rows: project(document, &rows),
        wrong_steps: Vec::new(),
        device: None,
        received_at_ms: 0,
        binds: false,
        proposals: ProposalWrites::default(),
    })
}

/// All rows of a document.
pub fn project_all(document: &Document) -> Vec<ProjectedRow> {
    document.row_states().iter().map(|(key, state)| projected(key, state)).filter(|row| !row.is_gone()).collect()
}

/// The rows of a document that was just made from these edits and nothing else: the same as [`project_all`],
/// without asking the document.
pub fn from_edits(edits: &[Edit]) -> Vec<ProjectedRow> {
    let mut rows: BTreeMap<(&str, RowId), Cells<'_>> = BTreeMap::new();
    for Edit { address, value } in edits {
        let cells = rows.entry((address.ledger.as_str(), address.row)).or_default();
        if address.column == REMOVED {
            cells.removed = *value == Value::Bool(true);
        } else {
            cells.values.push((address.cell(), value));
        }
    }
    rows.into_iter()
        .map(|((ledger, row), mut cells)| {
            cells.values.sort_by(|a, b| a.0.cmp(&b.0));
            ProjectedRow {
                ledger: ledger.to_owned(),
                row,
                cells: json(&cells),
                conflicts: None,
                removed: cells.removed,
            }
        })
        .collect()
}

/// The cells of a row, borrowed.
#[derive(Default)]
struct Cells<'a> {
    values: Vec<(Cow<'a, str>, &'a Value)>,
    removed: bool,
}

impl serde::Serialize for Cells<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.values.iter().map(|(key, value)| (key, value)))
    }
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
pub fn row(id: RowId, json: &str, removed: bool) -> Result<Row, serde_json::Error> {
    Ok(Row { id, cells: cells(json)?, removed })
}
