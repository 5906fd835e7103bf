//! One row of a file, normalised.

use sync_protocol::{
    RowId, Value,
    catalogue::{Column, ColumnType, Ledger},
};

use crate::{finding::FindingKind, matching::key_text, values::helpful};

/// What is kept beside the row of a cell that held more than a value.
pub(crate) fn rest_header(column: &Column, kind: &FindingKind) -> String {
    let word = if matches!(kind, FindingKind::NameNote { .. }) { "备注" } else { "其余" };
    format!("{}({word})", column.title)
}

/// One row of the file, normalised.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) cells: Vec<(usize, Value)>,
    pub(crate) sets: Vec<(usize, Vec<String>)>,
    pub(crate) extras: Vec<(String, String)>,
    /// Columns whose cells hold what is no value: masked, or without their last digits.
    pub(crate) hidden: Vec<usize>,
}

impl Record {
    pub(crate) fn value(&self, ledger: &Ledger, column: &str) -> Option<&Value> {
        self.cells.iter().find(|(index, _)| ledger.columns[*index].key == column).map(|(_, value)| value)
    }

    /// Whether what it would be known by is hidden: the name, or in a ledger without names any column of a key.
    pub(crate) fn hides_key(&self, ledger: &Ledger) -> bool {
        let in_key = |column: &&Column| ledger.keys.iter().flatten().any(|key| *key == column.key);
        let is_name = |column: &Column| column.column_type == ColumnType::Person;
        let has_names = ledger.columns.iter().any(|column| is_name(column) && in_key(&column));
        let mut hidden = self.hidden.iter().map(|index| &ledger.columns[*index]).filter(in_key);
        hidden.any(|column| is_name(column) || !has_names)
    }

    /// What names it for people: its key columns, or else what it says first.
    pub(crate) fn named(&self, ledger: &Ledger) -> String {
        let keys = key_text(ledger, |column| self.value(ledger, column));
        if !keys.is_empty() {
            return keys;
        }
        let first =
            self.cells.iter().map(|(index, value)| helpful(&value.to_string(), ledger.columns[*index].sensitivity));
        first.take(3).collect::<Vec<_>>().join(" ")
    }

    /// An id for a row without any key: the same content, for the n-th time in the file, is the same row.
    pub(crate) fn content_id(&self, ledger: &Ledger, secret: &[u8], occurrence: u32) -> RowId {
        let mut parts = vec!["content".to_owned(), occurrence.to_string()];
        parts.extend(self.cells.iter().map(|(index, value)| format!("{}={value}", ledger.columns[*index].key)));
        parts.extend(
            self.sets.iter().map(|(index, codes)| format!("{}={}", ledger.columns[*index].key, codes.join("+"))),
        );
        parts.extend(self.extras.iter().map(|(header, text)| format!("{header}={text}")));
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        RowId::derive(secret, &ledger.id, &parts)
    }
}
