//! Which stored record a row of a file is: by strong key, by fallback key, by a person's decision, or none.

use std::collections::{BTreeMap, HashMap};

use sync_protocol::{
    Row, RowId, Value,
    catalogue::{ColumnType, Ledger},
    shape,
};

use crate::{
    finding::{Finding, FindingKind},
    memory::{Candidate, Decision, Doubt, Memory},
    names,
    plan::{Place, UnitDocuments},
    record::Record,
    same::Telling,
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
    /// What those say in the columns that tell records apart.
    brought: HashMap<RowId, Row>,
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
    Doubtful {
        /// The question.
        doubt: Doubt,
        /// Titles of the columns in which the record differs from that with its key; none where it is the keys that differ.
        differing: Vec<String>,
    },
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
            for (number, parts) in keys(ledger, |column| row.get(column)).into_iter().enumerate() {
                if let Some(parts) = parts {
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

    /// Notes what a row of this file says, so that another of the same key can be told from it.
    pub(crate) fn bring(&mut self, id: RowId, ledger: &Ledger, record: &Record) {
        let mut row = Row::new(id);
        let columns = ledger.keys.iter().flatten().map(String::as_str);
        for column in columns.chain(Telling::of(ledger).columns().map(|column| column.key.as_str())) {
            if let Some(value) = record.value(ledger, column) {
                row.cells.insert(column.to_owned(), value.clone());
            }
        }
        self.brought.insert(id, row);
    }

    /// Finds the row. A match by a weaker key that a stronger one contradicts, of several rows, or of somebody else's row
    /// waits for a person.
    pub(crate) fn find(
        &mut self,
        ledger: &Ledger,
        record: &Record,
        place: &Place<'_>,
        secrets: &Secrets<'_>,
        (documents, memory): (&UnitDocuments, &Memory),
    ) -> Matched {
        let value = |column: &str| record.value(ledger, column);
        let keys = keys(ledger, value);
        let strongest = keys.iter().position(Option::is_some);
        let derived = ledger.row_id(secrets.public, secrets.county, value);
        let telling = Telling::of(ledger);
        let differing = |row: &Row| telling.differing(&value, &|column| row.get(column));
        let is_equal = |row: &RowId| telling.is_equal(&value, &|column| self.rows[row].get(column));
        let ask = |known: &Self, found: &[RowId], candidates: &[RowId], differing: Vec<String>| {
            let secret = secrets.county.unwrap_or(secrets.public);
            let by_keys = differing.is_empty() && strongest.is_some();
            let told = if by_keys { Vec::new() } else { told(ledger, &telling, record) };
            let doubt = doubt_id(secret, ledger, documents, &keys, &told);
            match memory.decision(doubt) {
                Some(Decision::Same(row)) if known.row(row).is_some() => Matched::Row { id: row, decided: true },
                Some(Decision::New) => {
                    // Its own key may be what one of the others was named by.
                    let free = derived.filter(|id| !found.contains(id));
                    let own = || RowId::derive(secret, &ledger.id, &["decided", &doubt.to_string()]);
                    Matched::Row { id: free.unwrap_or_else(own), decided: true }
                }
                _ => {
                    let doubt = known.doubt(doubt, ledger, record, place, documents, candidates);
                    Matched::Doubtful { doubt, differing }
                }
            }
        };
        for (number, parts) in keys.iter().enumerate() {
            let Some(found) = parts.as_ref().and_then(|parts| self.by_key.get(&(number, parts.clone()))) else {
                continue;
            };
            let mut same: Vec<RowId> =
                found.iter().copied().filter(|row| differing(&self.rows[row]).is_empty()).collect();
            if same.len() > 1 && same.iter().any(is_equal) {
                same.retain(is_equal);
            }
            // A row that has no stronger key either was made from this very key.
            let is_exact = |row: &&RowId| {
                strongest == Some(number) && (0..number).all(|key| !self.keys_of.contains_key(&(**row, key)))
            };
            let mut exact = same.iter().filter(is_exact);
            let agrees = |row: &RowId| {
                keys[..number].iter().enumerate().all(|(stronger, parts)| {
                    let theirs = self.keys_of.get(&(*row, stronger));
                    parts.is_none() || theirs.is_none() || parts.as_ref() == theirs
                })
            };
            let candidates = if same.is_empty() { found } else { &same };
            let mut stands: Vec<RowId> = candidates.iter().copied().filter(|row| self.rows[row].stands()).collect();
            if stands.is_empty() {
                stands.clone_from(candidates);
            }
            let matched = match (exact.next(), exact.next(), stands.as_slice()) {
                (Some(row), None, _) => Some(*row),
                (_, _, [row]) if !same.is_empty() && agrees(row) => Some(*row),
                _ => None,
            };
            let Some(id) = matched else {
                let differing = if same.is_empty() { differing(&self.rows[&stands[0]]) } else { Vec::new() };
                return ask(self, found, &stands, differing);
            };
            return match self.brought.get(&id).map(differing) {
                Some(differing) if !differing.is_empty() => ask(self, &[id], &[id], differing),
                _ => Matched::Row { id, decided: false },
            };
        }
        if let Some(id) = derived {
            // Another row of this very file may have the same key.
            return match self.brought.get(&id).map(differing) {
                Some(differing) if !differing.is_empty() => ask(self, &[id], &[id], differing),
                _ => Matched::Row { id, decided: false },
            };
        }
        // Equal rows without a key may be two records: nobody can tell, so both are kept.
        let first = record.content_id(ledger, secrets.public, 0);
        let alike = self.alike(ledger, record, &telling);
        if let [row, ..] = alike.as_slice()
            && !self.rows.contains_key(&first)
        {
            return ask(self, &alike, &alike, differing(&self.rows[row]));
        }
        let occurrence = self.keyless.entry(first).or_default();
        let id = record.content_id(ledger, secrets.public, *occurrence);
        *occurrence += 1;
        Matched::Keyless(id)
    }

    /// A row that is stored, or that this file has brought.
    fn row(&self, id: RowId) -> Option<&Row> {
        self.rows.get(&id).or_else(|| self.brought.get(&id))
    }

    /// Rows of the same name and the same number, which is none: a record without a key may be one of them.
    fn alike(&self, ledger: &Ledger, record: &Record, telling: &Telling<'_>) -> Vec<RowId> {
        let bad = telling.columns().find_map(|column| {
            let text = record.value(ledger, &column.key)?.as_text()?;
            let is_bad = shape::passes(&column.column_type, text) == Some(false) && !shape::is_placeholder(text);
            (is_bad && !shape::is_run(text)).then_some((column, text))
        });
        let (Some((column, text)), Some(name)) = (bad, telling.name_of(|key| record.value(ledger, key))) else {
            return Vec::new();
        };
        let is_alike = |row: &&Row| {
            row.stands()
                && row.text(&column.key) == text
                && telling.name_of(|key| row.get(key)).is_some_and(|known| names::same(known, name))
        };
        self.rows.values().filter(is_alike).map(|row| row.id).collect()
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
            let stored = self.row(*row);
            let record = key_text(ledger, |column| stored.and_then(|stored| stored.get(column)));
            Candidate { row: *row, record }
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

/// The usable natural keys of a record; names as they are compared, without notes and dots.
pub(crate) fn keys<'v>(ledger: &Ledger, value: impl Fn(&str) -> Option<&'v Value>) -> Vec<Option<Vec<String>>> {
    let spelled = |key: &Vec<String>| {
        let mut parts = ledger.key_parts(key, &value)?;
        for (part, column) in parts.iter_mut().zip(key) {
            if ledger.column(column).is_some_and(|column| column.column_type == ColumnType::Person) {
                *part = names::spelling(part);
            }
        }
        Some(parts)
    };
    ledger.keys.iter().map(spelled).collect()
}

/// What a record says in the columns that tell it from others of its key.
fn told(ledger: &Ledger, telling: &Telling<'_>, record: &Record) -> Vec<String> {
    let text = |key: &str| record.value(ledger, key).map(Value::to_string).unwrap_or_default();
    telling.columns().map(|column| text(&column.key)).collect()
}

/// The question whether a row with these keys in this unit is one that exists; `told`: where it is what stands beside the
/// keys that raises it.
fn doubt_id(
    secret: &[u8],
    ledger: &Ledger,
    documents: &UnitDocuments,
    keys: &[Option<Vec<String>>],
    told: &[String],
) -> RowId {
    let unit = documents.unit.to_string();
    let mut parts = vec!["doubt", &unit];
    for key in keys {
        // How many parts a key has is fixed by the ledger; an empty one has none.
        parts.push(if key.is_some() { "+" } else { "-" });
        parts.extend(key.iter().flatten().map(String::as_str));
    }
    parts.extend(told.iter().map(String::as_str));
    RowId::derive(secret, &ledger.id, &parts)
}

/// What a record says in its key columns, for people: restricted values masked.
pub(crate) fn key_text<'v>(ledger: &Ledger, value: impl Fn(&str) -> Option<&'v Value>) -> String {
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
