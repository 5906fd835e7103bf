//! Which stored record a row of a file is: by strong key, by fallback key, by a person's decision, or none.

use std::collections::{BTreeMap, HashMap};

use sync_protocol::{Row, RowId, Value, catalogue::Ledger};

use crate::{
    finding::{Finding, FindingKind},
    memory::{Candidate, Decision, Doubt, Memory},
    plan::{Place, Record, UnitDocuments},
    values::masked,
    workbook::grid::address,
};

/// The rows of a ledger that exist already, by their natural keys.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) rows: BTreeMap<RowId, Row>,
    by_key: HashMap<(usize, Vec<String>), Vec<RowId>>,
    keys_of: HashMap<(RowId, usize), Vec<String>>,
    /// Rows of this file: where they stand.
    taken: HashMap<RowId, String>,
    /// How often a content without any key was met.
    keyless: HashMap<RowId, u32>,
}

/// What became of the question.
pub(crate) enum Matched {
    /// It is this row, stored or new.
    Row {
        /// Its id.
        id: RowId,
        /// Whether a person decided so.
        decided: bool,
    },
    /// No column of any natural key is filled: it is named by its content.
    Keyless(RowId),
    /// Only a person can tell.
    Doubtful(Doubt),
}

/// The secrets that row ids are derived with.
pub(crate) struct Secrets<'a> {
    pub(crate) public: &'a [u8],
    /// Of restricted natural keys; without it rows fall back to their next key.
    pub(crate) county: Option<&'a [u8]>,
}

impl Known {
    pub(crate) fn new(ledger: &Ledger, documents: &UnitDocuments) -> Self {
        let mut rows: BTreeMap<RowId, Row> = BTreeMap::new();
        for book in [ledger.book, ledger.book.restricted()] {
            let Some(document) = documents.books.get(&book) else { continue };
            for (id, row) in document.rows(&ledger.id) {
                let joined = rows.entry(id).or_insert_with(|| Row::new(id));
                joined.removed |= row.removed;
                joined.cells.extend(row.cells);
            }
        }
        let mut known = Self { rows, ..Self::default() };
        for (id, row) in &known.rows {
            for (number, key) in ledger.keys.iter().enumerate() {
                if let Some(parts) = Ledger::key_parts(key, |column| row.get(column)) {
                    known.by_key.entry((number, parts.clone())).or_default().push(*id);
                    known.keys_of.insert((*id, number), parts);
                }
            }
        }
        known
    }

    /// Takes a row of this file for a stored or new one; the finding, if another row of the file was taken for it.
    pub(crate) fn take(&mut self, id: RowId, place: &Place<'_>) -> Option<Finding> {
        if let Some(first) = self.taken.get(&id) {
            let kind = FindingKind::DuplicateRow { first: first.clone() };
            return Some(place.finding(&kind, None, String::new()));
        }
        let Place { sheet, row, .. } = place;
        self.taken.insert(id, format!("{}!{}", sheet.name, address(sheet.row_number(*row), 0)));
        None
    }

    /// Finds the row. A match by a weaker key that a stronger one contradicts, or of several rows, waits for a person.
    pub(crate) fn find(
        &mut self,
        ledger: &Ledger,
        record: &Record,
        place: &Place<'_>,
        secrets: &Secrets<'_>,
        (documents, memory): (&UnitDocuments, &Memory),
    ) -> Matched {
        let value = |column: &str| record.value(ledger, column);
        let keys: Vec<Option<Vec<String>>> = ledger.keys.iter().map(|key| Ledger::key_parts(key, value)).collect();
        let strongest = keys.iter().position(Option::is_some);
        let derived = ledger.row_id(secrets.public, secrets.county, value);
        for (number, parts) in keys.iter().enumerate() {
            let Some(found) = parts.as_ref().and_then(|parts| self.by_key.get(&(number, parts.clone()))) else {
                continue;
            };
            // A row that has no stronger key either was made from this very key.
            let is_exact = |row: &&RowId| {
                strongest == Some(number) && (0..number).all(|key| !self.keys_of.contains_key(&(**row, key)))
            };
            let mut exact = found.iter().filter(is_exact);
            if let (Some(row), None) = (exact.next(), exact.next()) {
                return Matched::Row { id: *row, decided: false };
            }
            let agrees = |row: &RowId| {
                keys[..number].iter().enumerate().all(|(stronger, parts)| {
                    let theirs = self.keys_of.get(&(*row, stronger));
                    parts.is_none() || theirs.is_none() || parts.as_ref() == theirs
                })
            };
            let mut stands: Vec<RowId> = found.iter().copied().filter(|row| !self.rows[row].removed).collect();
            if stands.is_empty() {
                stands.clone_from(found);
            }
            if let [row] = stands.as_slice()
                && agrees(row)
            {
                return Matched::Row { id: *row, decided: false };
            }
            let secret = secrets.county.unwrap_or(secrets.public);
            let doubt = doubt_id(secret, ledger, documents, &keys);
            return match memory.decision(doubt) {
                Some(Decision::Same(row)) if self.rows.contains_key(&row) => Matched::Row { id: row, decided: true },
                Some(Decision::New) => {
                    // Its own key may be what one of the others was named by.
                    let free = derived.filter(|id| !found.contains(id));
                    let own = || RowId::derive(secret, &ledger.id, &["decided", &doubt.to_string()]);
                    Matched::Row { id: free.unwrap_or_else(own), decided: true }
                }
                _ => Matched::Doubtful(self.doubt(doubt, ledger, record, place, documents, &stands)),
            };
        }
        if let Some(id) = derived {
            return Matched::Row { id, decided: false };
        }
        // Equal rows without a key may be two records: nobody can tell, so both are kept.
        let first = record.content_id(ledger, secrets.public, 0);
        let occurrence = self.keyless.entry(first).or_default();
        let id = record.content_id(ledger, secrets.public, *occurrence);
        *occurrence += 1;
        Matched::Keyless(id)
    }

    fn doubt(
        &self,
        id: RowId,
        ledger: &Ledger,
        record: &Record,
        place: &Place<'_>,
        documents: &UnitDocuments,
        rows: &[RowId],
    ) -> Doubt {
        let candidate = |row: &RowId| {
            let stored = &self.rows[row];
            Candidate { row: *row, record: key_text(ledger, |column| stored.get(column)) }
        };
        Doubt {
            id,
            unit: documents.unit,
            sheet: place.sheet.name.clone(),
            cell: address(place.sheet.row_number(place.row), 0),
            ledger: ledger.title.clone(),
            record: key_text(ledger, |column| record.value(ledger, column)),
            candidates: rows.iter().map(candidate).collect(),
        }
    }
}

/// The question whether a row with these keys in this unit is one that exists.
fn doubt_id(secret: &[u8], ledger: &Ledger, documents: &UnitDocuments, keys: &[Option<Vec<String>>]) -> RowId {
    let unit = documents.unit.to_string();
    let mut parts = vec!["doubt", &unit];
    for key in keys {
        // How many parts a key has is fixed by the ledger; an empty one has none.
        parts.push(if key.is_some() { "+" } else { "-" });
        parts.extend(key.iter().flatten().map(String::as_str));
    }
    RowId::derive(secret, &ledger.id, &parts)
}

/// What a record says in its key columns, for people: restricted values masked.
fn key_text<'v>(ledger: &Ledger, value: impl Fn(&str) -> Option<&'v Value>) -> String {
    let mut columns: Vec<&str> = Vec::new();
    // Weaker keys first: they hold the name.
    for column in ledger.keys.iter().rev().flatten() {
        if !columns.contains(&column.as_str()) {
            columns.push(column);
        }
    }
    let text = |column: &&str| {
        let declared = ledger.column(column)?;
        let value = value(column).filter(|value| !value.is_null())?;
        Some(masked(&value.to_string(), declared.sensitivity))
    };
    columns.iter().filter_map(text).collect::<Vec<_>>().join(" ")
}
