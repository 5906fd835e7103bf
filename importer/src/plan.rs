//! What an import would write: rows matched to existing ones, cells compared, nothing touched yet.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use serde::Serialize;
use sync_protocol::{
    Address, Book, Document, RowId, Tenant, UnitId, Value,
    catalogue::{Catalogue, Column, Ledger, Sensitivity},
    document::Edit,
    unit::Unit,
};

use crate::{
    compare::{CellChange, Comparison, extra_name},
    finding::{Finding, FindingKind},
    header::{HeaderIndex, Scale},
    judge::Judge,
    mapping::Target,
    matching::{Known, Matched, Secrets},
    memory::{Doubt, Memory},
    record::{Record, rest_header},
    register::Register,
    rows::{self, Grouped, RowRef},
    survey::Survey,
    table::Table,
    values::{Normalised, Normaliser, helpful, masked, told_apart},
    workbook::grid::{Cell, Sheet, Workbook, address},
};

/// Rows above a 同上 that are searched for a value.
const DITTO_ROWS_MAX: usize = 1000;

/// Where imports go and how row ids are made.
#[derive(Debug)]
pub struct Importer<'a> {
    catalogue: &'a Catalogue,
    headers: HeaderIndex,
    normaliser: Normaliser,
    tenant: Tenant,
    county: UnitId,
    /// HMAC key for natural keys of restricted columns; without it rows fall back to their next key.
    county_key: Option<Vec<u8>>,
    /// What people have decided before.
    memory: Cow<'a, Memory>,
    judge: Judge<'a>,
}

/// The documents of one unit that exist already.
#[derive(Debug)]
pub struct UnitDocuments {
    /// The unit.
    pub unit: UnitId,
    /// Its documents.
    pub books: BTreeMap<Book, Document>,
}

impl UnitDocuments {
    /// A unit without any document yet.
    pub fn none(unit: UnitId) -> Self {
        Self { unit, books: BTreeMap::new() }
    }
}

/// How many rows did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that were not there.
    pub added: usize,
    /// Rows with at least one new cell value.
    pub changed: usize,
    /// Rows that say what is known.
    pub unchanged: usize,
    /// Rows that were not taken.
    pub refused: usize,
    /// Rows that wait for a person to say whether they are a record that exists.
    pub doubtful: usize,
    /// Cells that somebody else decides on: kept as proposals.
    pub proposed: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.refused += other.refused;
        self.doubtful += other.doubtful;
        self.proposed += other.proposed;
    }
}

/// What the rows of one unit would write.
#[derive(Debug, Default)]
pub struct UnitPlan {
    /// New cell values by book: one change each.
    pub edits: BTreeMap<Book, Vec<Edit>>,
    /// Cells of existing rows that these edits change.
    pub changes: Vec<CellChange>,
    /// What happened to the rows.
    pub counts: Counts,
    /// Rows that wait for a person.
    pub doubts: Vec<Doubt>,
    /// What was noticed.
    pub findings: Vec<Finding>,
    /// Where in the file each row came from.
    pub origins: BTreeMap<RowId, RowRef>,
    /// Cells that say already what the file says.
    pub same: BTreeMap<Book, Vec<Address>>,
}

impl<'a> Importer<'a> {
    /// An importer for one county and campaign year.
    pub fn new(
        catalogue: &'a Catalogue,
        tenant: Tenant,
        county: UnitId,
        campaign_year: i16,
        county_key: Option<Vec<u8>>,
    ) -> Self {
        Self {
            catalogue,
            headers: HeaderIndex::new(catalogue),
            normaliser: Normaliser::new(catalogue, campaign_year),
            tenant,
            county,
            county_key,
            memory: Cow::Owned(Memory::default()),
            judge: Judge::new(catalogue, campaign_year),
        }
    }

    /// This importer, knowing what people have decided.
    #[must_use]
    pub fn with_memory(mut self, memory: &'a Memory) -> Self {
        self.memory = Cow::Borrowed(memory);
        self
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        self.catalogue
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn secrets(&self) -> Secrets<'_> {
        Secrets { public: self.catalogue.public_key(), county: self.county_key.as_deref() }
    }

    /// The tables of a workbook, and what was noticed about its sheets.
    pub fn detect(&self, workbook: &Workbook) -> (Vec<Table>, Vec<Finding>) {
        let Self { catalogue, headers, normaliser, memory, .. } = self;
        Survey { catalogue, headers, memory, normaliser }.run(workbook)
    }

    /// Units that the workbook defines, added to the register.
    pub fn define_units(&self, workbook: &Workbook, tables: &[Table], register: &mut Register) -> Vec<Unit> {
        rows::define_units(workbook, tables, self.catalogue, &self.tenant, self.county, register)
    }

    /// Rows by owning unit.
    pub fn group(&self, workbook: &Workbook, tables: &[Table], register: &Register) -> Grouped {
        rows::group(workbook, tables, self.catalogue, self.county, register)
    }

    /// What these rows of one unit would change in its documents.
    pub fn plan(&self, workbook: &Workbook, tables: &[Table], rows: &[RowRef], documents: &UnitDocuments) -> UnitPlan {
        let mut plan = UnitPlan::default();
        let mut known: HashMap<usize, Known> = HashMap::new();
        for row in rows {
            let table = &tables[row.table];
            let ledger = &self.catalogue.ledgers()[table.ledger];
            let known = known.entry(table.ledger).or_insert_with(|| Known::new(ledger, documents));
            let sheet = &workbook.sheets[table.sheet];
            let place = Place { workbook, table, sheet, row: row.row };
            let record = self.record(&place, ledger, &mut plan.findings);
            if record.cells.is_empty() && record.sets.is_empty() && record.extras.is_empty() {
                continue;
            }
            let memory = self.memory.as_ref();
            let (id, decided) = match known.find(ledger, &record, &place, &self.secrets(), (documents, memory)) {
                Matched::Row { id, decided } => (id, decided),
                // It is of somebody whom the file does not name: it would be a record of nobody.
                Matched::Keyless(_) if record.hides_key(ledger) => {
                    plan.findings.push(place.named(&FindingKind::HiddenKey, ledger, &record));
                    plan.counts.refused += 1;
                    continue;
                }
                Matched::Keyless(id) => {
                    plan.findings.push(place.named(&FindingKind::NoKey, ledger, &record));
                    (id, false)
                }
                Matched::Doubtful { doubt, differing } => {
                    let others = doubt.candidates.iter().map(|c| c.record.clone()).collect();
                    let kind = if differing.is_empty() {
                        FindingKind::DoubtfulMatch { others }
                    } else {
                        FindingKind::OtherPerson { others, differing }
                    };
                    plan.findings.push(place.named(&kind, ledger, &record));
                    plan.counts.doubtful += 1;
                    plan.doubts.push(doubt);
                    continue;
                }
            };
            if memory.is_only_decided() && !decided {
                continue;
            }
            if let Some(duplicate) = known.take(id, &place) {
                let Finding { cell, column, read, .. } = place.named(&FindingKind::NoKey, ledger, &record);
                plan.findings.push(Finding { cell, column, read, ..duplicate });
                plan.counts.refused += 1;
                continue;
            }
            plan.origins.insert(id, *row);
            known.bring(id, ledger, &record);
            let existing = known.rows.get(&id);
            self.judge.row(ledger, &record, existing, &place, &mut plan.findings);
            let catalogue = self.catalogue;
            Comparison { catalogue, ledger, id, existing, documents, place: &place }.run(record, &mut plan);
        }
        plan
    }

    /// Normalises the cells of a row.
    pub(crate) fn record(&self, place: &Place<'_>, ledger: &Ledger, findings: &mut Vec<Finding>) -> Record {
        let mut record = Record::default();
        for mapped in &place.table.columns {
            let Some(cell) = place.cell(mapped.column, self.catalogue) else { continue };
            let (index, scale) = match &mapped.target {
                Target::Column { index, scale } => (*index, *scale),
                Target::Extra(header) => {
                    match place.text(cell).and_then(|text| self.normaliser.extra(text, cell)) {
                        Some(Ok(text)) => record.extras.push((header.clone(), text)),
                        Some(Err(kind)) => findings.push(place.beside(&kind, mapped.column, header)),
                        None => {}
                    }
                    continue;
                }
            };
            let column = &ledger.columns[index];
            if ledger.unit.names_unit(&column.key) {
                continue;
            }
            let kind = match self.normaliser.normalise(cell, &place.workbook.texts, column, scale) {
                Normalised::Empty => continue,
                Normalised::One(value) => {
                    record.cells.push((index, value));
                    continue;
                }
                Normalised::Set(codes) => {
                    record.sets.push((index, codes));
                    continue;
                }
                Normalised::Doubtful(value, kind) => {
                    record.cells.push((index, value));
                    kind
                }
                Normalised::First(value, rest, kind) => {
                    record.cells.push((index, value));
                    record.extras.push((rest_header(column, &kind), rest));
                    kind
                }
                Normalised::Bad(kind) => {
                    // A set with an unknown word keeps its text, too.
                    if column.column_type.is_set()
                        && matches!(kind, FindingKind::UnknownCode { .. })
                        && let Some(text) = place.text(cell)
                    {
                        record.extras.push((column.title.clone(), text));
                    }
                    if matches!(kind, FindingKind::Masked | FindingKind::PrecisionLost) {
                        record.hidden.push(index);
                    }
                    kind
                }
            };
            let read = place.text(cell).unwrap_or_default();
            let mut finding = place.finding(&kind, Some(mapped.column), helpful(&read, column.sensitivity));
            finding.column.clone_from(&mapped.header);
            findings.push(finding);
        }
        record
    }

    /// Reads cells.
    pub(crate) fn normaliser(&self) -> &Normaliser {
        &self.normaliser
    }

    /// What a cell of a row says.
    pub(crate) fn normalised(&self, place: &Place<'_>, at: u16, column: &Column, scale: Option<Scale>) -> Normalised {
        let cell = place.cell(at, self.catalogue);
        cell.map_or(Normalised::Empty, |cell| self.normaliser.normalise(cell, &place.workbook.texts, column, scale))
    }
}

/// A row of the file and everything around it.
pub(crate) struct Place<'a> {
    workbook: &'a Workbook,
    table: &'a Table,
    pub(crate) sheet: &'a Sheet,
    pub(crate) row: usize,
}

impl<'a> Place<'a> {
    pub(crate) fn new(workbook: &'a Workbook, table: &'a Table, sheet: &'a Sheet, row: usize) -> Self {
        Self { workbook, table, sheet, row }
    }

    pub(crate) fn table(&self) -> &'a Table {
        self.table
    }

    /// What a cell says, as a text.
    pub(crate) fn read(&self, column: u16, catalogue: &Catalogue) -> String {
        self.cell(column, catalogue).and_then(|cell| self.text(cell)).unwrap_or_default()
    }

    /// What a person sees of an edit; a column that nobody classed is shown as what it is: restricted.
    pub(crate) fn change(
        &self,
        (ledger, column): (&Ledger, Option<&Column>),
        edit: &Edit,
        current: Option<&Value>,
        catalogue: &Catalogue,
    ) -> CellChange {
        let member = edit.address.member.as_deref().unwrap_or_default();
        let list = column.and_then(|c| c.column_type.list()).and_then(|id| catalogue.list(id));
        let shown = |value: &Value| {
            let text = list.map_or_else(|| value.to_string(), |list| list.label(&value.to_string()).to_owned());
            masked(&text, column.map_or(Sensitivity::S3, |column| column.sensitivity))
        };
        let title = match (column, list) {
            (Some(column), Some(list)) if !member.is_empty() => format!("{}：{}", column.title, list.label(member)),
            (Some(column), _) => column.title.clone(),
            (None, _) => member.to_owned(),
        };
        let mapped = column.and_then(|column| self.column(ledger, column)).or_else(|| self.extra(member));
        let (before, after) = (current.map(shown).unwrap_or_default(), shown(&edit.value));
        let (before, after) = if before == after {
            let raw = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
            let class = column.map_or(Sensitivity::S3, |column| column.sensitivity);
            told_apart(&raw(current), &raw(Some(&edit.value)), class)
        } else {
            (before, after)
        };
        CellChange {
            sheet: self.sheet.name.clone(),
            cell: address(self.sheet.row_number(self.row), mapped.unwrap_or(0)),
            ledger: ledger.title.clone(),
            column: title,
            before,
            // Under a head that nobody has classed, the file's own reader may read what the file says.
            after: if column.is_none() { edit.value.to_string() } else { after },
        }
    }

    /// The cell, with merges and 同上 resolved.
    pub(crate) fn cell(&self, column: u16, catalogue: &Catalogue) -> Option<Cell> {
        let mut cell = self.table.cell(self.sheet, self.row, column)?;
        let mut row = self.row;
        for _ in 0..DITTO_ROWS_MAX {
            let Cell::Text(id) = cell else { return Some(cell) };
            let text = self.workbook.texts.get(id);
            if text.len() > 12 || !catalogue.words().ditto.iter().any(|word| word == text.trim()) {
                return Some(cell);
            }
            row = row.checked_sub(1).filter(|row| self.sheet.row_number(*row) > self.table.header.1)?;
            cell = self.table.cell(self.sheet, row, column)?;
        }
        None
    }

    fn text(&self, cell: Cell) -> Option<String> {
        let text = match cell {
            Cell::Text(id) => self.workbook.texts.get(id).trim().to_owned(),
            Cell::Number { value, .. } => value.to_string(),
            Cell::Date(stamp) => crate::date::from_timestamp(stamp)?,
            Cell::Bool(flag) => if flag { "TRUE" } else { "FALSE" }.to_owned(),
            Cell::Error => "#N/A".to_owned(),
            Cell::Uncomputed => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// A finding about the row as a whole: at the first of its key columns that is filled, with what names the record.
    fn named(&self, kind: &FindingKind, ledger: &Ledger, record: &Record) -> Finding {
        let mut keys = ledger.keys.iter().rev().flatten().filter(|key| record.value(ledger, key).is_some());
        let mapped = keys.find_map(|key| self.table.column_of(ledger.columns.iter().position(|c| c.key == *key)?));
        let mut finding = self.finding(kind, mapped.map(|mapped| mapped.column), record.named(ledger));
        finding.column = mapped.map(|mapped| mapped.header.clone()).unwrap_or_default();
        finding
    }

    /// A finding about a cell under a header that no column claims.
    pub(crate) fn beside(&self, kind: &FindingKind, column: u16, header: &str) -> Finding {
        let cell = self.table.cell(self.sheet, self.row, column);
        let read = cell.and_then(|cell| self.text(cell)).unwrap_or_default();
        let mut finding = self.finding(kind, Some(column), helpful(&read, Sensitivity::S3));
        header.clone_into(&mut finding.column);
        finding
    }

    /// A finding in the place of what was said of the cell before: that it was kept.
    pub(crate) fn instead(findings: &mut Vec<Finding>, finding: Finding) {
        let is_same = |said: &Finding| (&said.sheet, &said.cell) == (&finding.sheet, &finding.cell);
        findings.retain(|said| !(said.code.starts_with("bad-") && is_same(said)));
        findings.push(finding);
    }

    pub(crate) fn finding(&self, kind: &FindingKind, column: Option<u16>, read: String) -> Finding {
        let place = address(self.sheet.row_number(self.row), column.unwrap_or(0));
        Finding::new(kind, &self.sheet.name, place, "", read)
    }

    /// The column of the sheet that holds a column of the ledger.
    pub(crate) fn column(&self, ledger: &Ledger, column: &Column) -> Option<u16> {
        let index = ledger.columns.iter().position(|known| known.key == column.key)?;
        self.table.column_of(index).map(|mapped| mapped.column)
    }

    /// The column of the sheet that is kept beside the row under this name.
    fn extra(&self, name: &str) -> Option<u16> {
        let is_named = |mapped: &&crate::MappedColumn| matches!(&mapped.target, Target::Extra(header) if extra_name(header) == name);
        self.table.columns.iter().find(is_named).map(|mapped| mapped.column)
    }

    /// A finding about a column of the ledger; a kept value of a restricted column is masked.
    pub(crate) fn about(&self, kind: &FindingKind, ledger: &Ledger, column: &Column) -> Finding {
        let mapped = self.column(ledger, column);
        let kind = match kind {
            FindingKind::KeptEdit { who, value } => {
                FindingKind::KeptEdit { who: who.clone(), value: masked(value, column.sensitivity) }
            }
            other => other.clone(),
        };
        let cell = mapped.and_then(|column| self.table.cell(self.sheet, self.row, column));
        let read = cell.and_then(|cell| self.text(cell)).unwrap_or_default();
        let mut finding = self.finding(&kind, mapped, helpful(&read, column.sensitivity));
        finding.column.clone_from(&column.title);
        finding
    }
}
