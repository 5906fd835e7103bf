//! What a year begins with: pure, from the documents of a unit in two years to the cells that the later one still lacks.
//!
//! A cell that nobody has written to in the later year follows the earlier one, however often this is asked; a cell that
//! somebody has written to stays as it is. So a year can be opened again, after a crash or to fetch what came late.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    Address, Book, Document, Row, Value,
    catalogue::{Catalogue, Ledger, Previous, Variables},
    document::{Edit, RowKey, StandingCell},
    row::REMOVED,
    unit::UnitLevel,
};

/// The documents of a unit in one year.
pub(super) type Books = BTreeMap<Book, Document>;

/// From which year to which.
pub(super) struct Carrying<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) county_key: &'a [u8],
    /// The earlier year, and its parameters.
    pub(super) from: &'a str,
    pub(super) variables: &'a Variables,
    /// The later year.
    pub(super) to: &'a str,
}

/// What became of the rows of a ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Rows {
    /// Rows of the later year that come from the earlier one.
    pub carried: usize,
    /// Rows of the earlier year that do not go on.
    pub left: usize,
    /// Cells that say something else in the later year, where somebody has written to them.
    pub kept: usize,
    /// Rows that had been carried and do not go on any more.
    pub withdrawn: usize,
    /// Cells of carried rows that are in dispute in the earlier year: what is in force there was carried.
    pub disputed: usize,
}

impl std::ops::AddAssign for Rows {
    fn add_assign(&mut self, other: Self) {
        self.carried += other.carried;
        self.left += other.left;
        self.kept += other.kept;
        self.withdrawn += other.withdrawn;
        self.disputed += other.disputed;
    }
}

/// The cells to be written into the documents of the later year: those that were imported, and those that were typed.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) edits: BTreeMap<Book, [Vec<Edit>; 2]>,
    /// By ledger.
    pub(super) rows: BTreeMap<String, Rows>,
}

/// What the later year shall say in one cell.
struct Wanted {
    value: Value,
    is_by_hand: bool,
}

/// The cells of a row in the books of its ledger, and the row that they make.
struct Standing {
    row: Row,
    cells: Vec<(Book, StandingCell)>,
}

impl Carrying<'_> {
    /// What the documents of a unit in the later year lack.
    pub(super) fn plan(&self, level: UnitLevel, before: &Books, after: &Books) -> Planned {
        let (before, after) = (rows(before), rows(after));
        let mut planned = Planned::default();
        let mut wanted: BTreeMap<(Book, Address), Wanted> = BTreeMap::new();
        let mut going: BTreeSet<RowKey> = BTreeSet::new();
        for (key, standing) in &before {
            let Some(ledger) = self.catalogue.ledger(&key.ledger) else { continue };
            let count = planned.rows.entry(key.ledger.clone()).or_default();
            if !self.goes_on(ledger, &standing.row) {
                count.left += usize::from(standing.row.stands());
                continue;
            }
            going.insert(key.clone());
            count.carried += 1;
            for (book, cell) in &standing.cells {
                let Some(value) = self.carried(ledger, cell) else { continue };
                count.disputed += usize::from(cell.is_disputed);
                let by = Wanted { value, is_by_hand: cell.is_by_hand };
                wanted.insert((*book, cell.address.clone()), by);
            }
        }
        self.results(level, (&before, &going), &mut wanted);
        self.difference(&wanted, &after, &mut planned);
        planned
    }

    fn goes_on(&self, ledger: &Ledger, row: &Row) -> bool {
        let next = &ledger.next_year;
        // A row that is of another year already is that year's.
        let is_of_year = |column: &String| row.get(column).is_none_or(|year| year.as_text() == Some(self.from));
        next.carries(row, self.variables) && next.year.as_ref().is_none_or(is_of_year)
    }

    /// What a carried cell says; none, if it is not carried.
    fn carried(&self, ledger: &Ledger, cell: &StandingCell) -> Option<Value> {
        let (next, column) = (&ledger.next_year, cell.address.column.as_str());
        if column == REMOVED || next.is_without(column) || cell.value.is_null() {
            return None;
        }
        if next.year.as_deref() == Some(column) {
            return Some(Value::text(self.to));
        }
        Some(cell.value.clone())
    }

    /// The results of the earlier year, where a ledger begins empty and says them in its first row.
    fn results(
        &self,
        level: UnitLevel,
        (before, going): (&BTreeMap<RowKey, Standing>, &BTreeSet<RowKey>),
        wanted: &mut BTreeMap<(Book, Address), Wanted>,
    ) {
        // An organisation that does not go on has nothing to be compared with.
        let mut own = before.keys().filter(|key| key.ledger == "organisations").peekable();
        if level == UnitLevel::Organisation && own.peek().is_some() && !own.any(|key| going.contains(key)) {
            return;
        }
        for ledger in self.catalogue.ledgers() {
            let Some(previous) = &ledger.next_year.previous else { continue };
            let rows = before.iter().filter(|(key, _)| key.ledger == ledger.id).map(|(_, standing)| &standing.row);
            let latest = rows
                .filter(|row| row.counts() && row.get(&previous.from).is_some())
                .max_by_key(|row| (self.rank(ledger, previous, row), row.id));
            let Some(latest) = latest else { continue };
            let mut cells: BTreeMap<&str, Value> =
                previous.row.iter().map(|(column, says)| (column.as_str(), Value::text(says))).collect();
            cells.extend(latest.get(&previous.from).map(|value| (previous.column.as_str(), value.clone())));
            let copies = previous.copies.iter();
            cells.extend(copies.filter_map(|column| Some((column.as_str(), latest.get(column)?.clone()))));
            let key = self.catalogue.public_key();
            let Some(row) = ledger.row_id(key, Some(self.county_key), |column| cells.get(column)) else { continue };
            for (column, value) in cells {
                let address = Address::new(ledger.id.as_str(), row, column);
                wanted.insert((ledger.book, address), Wanted { value, is_by_hand: false });
            }
        }
    }

    /// What says which row is the latest: dates and numbers as they are, codes in the order of their list.
    fn rank(&self, ledger: &Ledger, previous: &Previous, row: &Row) -> Vec<(usize, Option<Value>)> {
        let rank = |column: &String| {
            let value = row.get(column);
            let list = ledger.column(column).and_then(|column| column.column_type.list());
            match list.and_then(|list| self.catalogue.list(list)) {
                Some(list) => {
                    let code = value.and_then(Value::as_text).unwrap_or_default();
                    (list.codes.iter().position(|known| known.code == code).map_or(0, |at| at + 1), None)
                }
                None => (0, value.cloned()),
            }
        };
        previous.latest.iter().map(rank).collect()
    }

    /// What has to be written so that the later year says what is wanted, where nobody has written to it.
    fn difference(
        &self,
        wanted: &BTreeMap<(Book, Address), Wanted>,
        after: &BTreeMap<RowKey, Standing>,
        planned: &mut Planned,
    ) {
        let mut known: BTreeMap<(Book, &Address), &StandingCell> = BTreeMap::new();
        for (book, cell) in after.values().flat_map(|standing| &standing.cells) {
            known.insert((*book, &cell.address), cell);
        }
        let mut rows: BTreeSet<RowKey> = BTreeSet::new();
        for ((book, address), Wanted { value, is_by_hand }) in wanted {
            let key = RowKey::from(address);
            // Somebody has removed it: it stays away.
            if !after.get(&key).is_some_and(is_removed_by_hand) {
                match known.get(&(*book, address)) {
                    Some(cell) if cell.value == *value => {}
                    Some(cell) if !cell.is_carried || cell.is_disputed => {
                        planned.rows.entry(key.ledger.clone()).or_default().kept += 1;
                    }
                    _ => planned.edit(*book, address, value.clone(), *is_by_hand),
                }
            }
            rows.insert(key);
        }
        for (key, standing) in after {
            let Some(ledger) = self.catalogue.ledger(&key.ledger) else { continue };
            let is_back = rows.contains(key);
            let is_untouched = standing.cells.iter().all(|(_, cell)| cell.is_carried && !cell.is_disputed);
            if !is_back && is_untouched && !standing.row.removed {
                let removed = Address::new(key.ledger.as_str(), key.row, REMOVED);
                planned.edit(ledger.book, &removed, Value::Bool(true), false);
                planned.rows.entry(key.ledger.clone()).or_default().withdrawn += 1;
            }
            for (book, cell) in standing.cells.iter().filter(|(_, cell)| is_back && cell.is_carried) {
                let is_wanted = wanted.contains_key(&(*book, cell.address.clone()));
                let gone = match cell.address.column.as_str() {
                    REMOVED => Value::Bool(false),
                    _ => Value::Null,
                };
                if !is_wanted && !cell.is_disputed && cell.value != gone {
                    planned.edit(*book, &cell.address, gone, false);
                }
            }
        }
    }
}

impl Planned {
    fn edit(&mut self, book: Book, address: &Address, value: Value, is_by_hand: bool) {
        let edits = self.edits.entry(book).or_default();
        edits[usize::from(is_by_hand)].push(Edit { address: address.clone(), value });
    }
}

fn is_removed_by_hand(standing: &Standing) -> bool {
    let is_mark = |cell: &StandingCell| cell.address.column == REMOVED && !cell.is_carried;
    standing.row.removed && standing.cells.iter().any(|(_, cell)| is_mark(cell) && cell.value == Value::Bool(true))
}

/// The rows of the documents of a unit; the cells of an open book and its twin make one row.
fn rows(books: &Books) -> BTreeMap<RowKey, Standing> {
    let mut rows: BTreeMap<RowKey, Standing> = BTreeMap::new();
    for (book, document) in books {
        for cell in document.standing() {
            let key = RowKey::from(&cell.address);
            let empty = || Standing { row: Row::new(key.row), cells: Vec::new() };
            let standing = rows.entry(key.clone()).or_insert_with(empty);
            if cell.address.column == REMOVED {
                standing.row.removed |= cell.value == Value::Bool(true);
            } else {
                standing.row.put(&cell.address, cell.value.clone());
            }
            standing.cells.push((*book, cell));
        }
    }
    rows
}
