//! A sheet in memory: only the cells that exist, texts stored once.

use std::collections::{BTreeMap, HashMap};

/// Index of a text in its workbook's [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextId(u32);

/// The different texts of a workbook, in one buffer.
#[derive(Debug, Default)]
pub struct Texts {
    buffer: String,
    ends: Vec<u32>,
    ids: HashMap<u64, Vec<TextId>, std::hash::BuildHasherDefault<Passthrough>>,
    hasher: std::hash::RandomState,
}

/// Keys are hashes already.
#[derive(Default)]
pub struct Passthrough(u64);

impl std::hash::Hasher for Passthrough {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl Texts {
    /// Stores a text, or finds it.
    pub fn intern(&mut self, text: &str) -> TextId {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(text);
        let known = self.ids.entry(hash).or_default();
        for id in known.iter() {
            let start = id.0.checked_sub(1).map_or(0, |before| self.ends[before as usize]) as usize;
            if &self.buffer[start..self.ends[id.0 as usize] as usize] == text {
                return *id;
            }
        }
        let id = TextId(u32::try_from(self.ends.len()).expect("cells are capped far below u32::MAX"));
        self.buffer.push_str(text);
        self.ends.push(u32::try_from(self.buffer.len()).expect("inflated size is capped below 4 GiB"));
        known.push(id);
        id
    }

    /// The text with this id.
    pub fn get(&self, id: TextId) -> &str {
        let index = id.0 as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]) as usize;
        &self.buffer[start..self.ends[index] as usize]
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0u32..).take(self.len()).map(|index| self.get(TextId(index)))
    }

    /// How many different texts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The index of an id, below [`Texts::len`].
    pub fn index(id: TextId) -> usize {
        id.0 as usize
    }
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A text.
    Text(TextId),
    /// A number that is not formatted as a date.
    Number {
        /// The number.
        value: f64,
        /// Whether it is formatted as a percentage.
        percent: bool,
    },
    /// A number that is formatted as a date.
    Date(Timestamp),
    /// Yes or no.
    Bool(bool),
    /// `#REF!`, `#N/A` and their like.
    Error,
    /// A formula whose result the file does not hold: there is a value, and nobody here knows it.
    Uncomputed,
}

/// A local date and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Year.
    pub year: u16,
    /// Month from 1.
    pub month: u8,
    /// Day from 1.
    pub day: u8,
    /// Minutes since midnight.
    pub minutes: u16,
}

impl Timestamp {
    /// As spreadsheets count: days since 1899-12-30.
    pub fn serial(self) -> f64 {
        let small = |number: u8| i8::try_from(number).unwrap_or(1);
        let year = i16::try_from(self.year).unwrap_or(1900);
        let date = jiff::civil::Date::new(year, small(self.month), small(self.day));
        let days = date.ok().and_then(|date| date.since(jiff::civil::date(1899, 12, 30)).ok());
        f64::from(days.map_or(0, |days| days.get_days())) + f64::from(self.minutes) / 1440.0
    }
}

/// A merged range, all bounds inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Last row.
    pub bottom: u32,
    /// Last column.
    pub right: u32,
}

impl Merge {
    /// Whether the range covers a cell.
    pub fn covers(&self, row: u32, column: u32) -> bool {
        (self.top..=self.bottom).contains(&row) && (self.left..=self.right).contains(&column)
    }
}

/// One sheet: rows in order, and in each the cells that are not empty.
#[derive(Debug, Default)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// Whether people do not see it.
    pub hidden: bool,
    /// Merged ranges.
    pub merges: Vec<Merge>,
    /// Cells whose text is struck through, in order of rows, then columns.
    pub struck: Vec<(u32, u16)>,
    rows: Vec<RowSpan>,
    cells: Vec<(u16, Cell)>,
}

#[derive(Debug, Clone, Copy)]
struct RowSpan {
    number: u32,
    start: u32,
}

impl Sheet {
    /// An empty sheet.
    pub fn new(name: impl Into<String>, hidden: bool) -> Self {
        Self { name: name.into(), hidden, ..Self::default() }
    }

    /// Adds a cell; cells come in order of rows, then columns. One that comes out of order is an error of the file
    /// and reported as `false`.
    pub fn push(&mut self, row: u32, column: u16, cell: Cell) -> bool {
        match self.rows.last() {
            Some(last) if row < last.number => return false,
            Some(last) if row == last.number => {
                if self.cells.last().is_some_and(|(before, _)| *before >= column) {
                    return false;
                }
            }
            _ => {
                let start = u32::try_from(self.cells.len()).expect("cells are capped far below u32::MAX");
                self.rows.push(RowSpan { number: row, start });
            }
        }
        self.cells.push((column, cell));
        true
    }

    /// Puts cells between those that are there; where there is one already, that one stays.
    pub fn insert(&mut self, mut more: BTreeMap<(u32, u16), Cell>) {
        for index in 0..self.row_count() {
            let number = self.row_number(index);
            more.extend(self.row(index).iter().map(|(column, cell)| ((number, *column), *cell)));
        }
        (self.rows, self.cells) = (Vec::new(), Vec::with_capacity(more.len()));
        for ((row, column), cell) in more {
            let in_order = self.push(row, column, cell);
            debug_assert!(in_order, "a map is in order");
        }
    }

    /// How many rows hold anything.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// How many cells hold anything.
    pub fn cell_count(&self) -> usize {
        self.cells.len()
    }

    /// The sheet's row number (from 0) of the `index`th row that holds anything.
    pub fn row_number(&self, index: usize) -> u32 {
        self.rows[index].number
    }

    /// The cells of the `index`th row that holds anything.
    pub fn row(&self, index: usize) -> &[(u16, Cell)] {
        let start = self.rows[index].start as usize;
        let end = self.rows.get(index + 1).map_or(self.cells.len(), |next| next.start as usize);
        &self.cells[start..end]
    }

    /// The index of the row with this number, if it holds anything.
    pub fn row_index(&self, number: u32) -> Option<usize> {
        self.rows.binary_search_by_key(&number, |row| row.number).ok()
    }

    /// The cell at a column of the `index`th row.
    pub fn cell(&self, index: usize, column: u16) -> Option<Cell> {
        let row = self.row(index);
        row.binary_search_by_key(&column, |(c, _)| *c).ok().map(|at| row[at].1)
    }
}

/// A workbook as it was read.
#[derive(Debug, Default)]
pub struct Workbook {
    /// Its sheets in order.
    pub sheets: Vec<Sheet>,
    /// The texts of all sheets.
    pub texts: Texts,
}

/// `F17` for row 16, column 5.
pub fn address(row: u32, column: u16) -> String {
    let mut letters = Vec::new();
    let mut rest = u32::from(column) + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b'A' + u8::try_from(rest % 26).expect("below 26"));
        rest /= 26;
    }
    letters.reverse();
    let letters: String = letters.into_iter().map(char::from).collect();
    format!("{letters}{}", row + 1)
}

/// Row and column of `F17`.
pub fn position(address: &str) -> Option<(u32, u16)> {
    let digits = address.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = address.split_at(digits);
    let mut column = 0u32;
    for letter in letters.bytes() {
        let place = letter.is_ascii_uppercase().then(|| u32::from(letter - b'A') + 1)?;
        column = column.checked_mul(26)?.checked_add(place)?;
    }
    Some((row.parse::<u32>().ok()?.checked_sub(1)?, u16::try_from(column.checked_sub(1)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_in_a_spreadsheet() {
        for (row, column, expected) in
            [(0, 0, "A1"), (16, 5, "F17"), (0, 25, "Z1"), (0, 26, "AA1"), (1, 701, "ZZ2"), (9, 702, "AAA10")]
        {
            assert_eq!(address(row, column), expected);
            assert_eq!(position(expected), Some((row, column)));
        }
    }
}
