//! Comma- or tab-separated text.

use super::{
    grid::{Sheet, Workbook},
    read::{ReadError, ReadLimits, Reading},
};

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Lines that are looked at to find the delimiter.
const LINES: usize = 20;

pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let mut reading = Reading::new(limits);
    let mut sheet = Sheet::new("Sheet1", false);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| ReadError::Damaged(error.to_string()))? {
        // The line of the file, so that a finding names the row that Excel shows; lines inside quotes make it differ.
        let line = record.position().map_or(1, csv::Position::line);
        let row = u32::try_from(line.saturating_sub(1)).unwrap_or(u32::MAX);
        for (column, text) in (0..).zip(&record) {
            // Excel writes ="0012" to keep zeros.
            let text = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text);
            let cell = reading.text(text);
            reading.put(&mut sheet, row, column, cell)?;
        }
    }
    reading.add(sheet)?;
    Ok(reading.finish())
}

/// The one that most of the first lines have equally often; of several, the one that is there more often.
fn delimiter(text: &str) -> u8 {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(LINES).collect();
    let score = |delimiter: u8| {
        let count = |line: &&str| line.bytes().filter(|byte| *byte == delimiter).count();
        let counts: Vec<usize> = lines.iter().map(count).collect();
        let lines_with = |count: usize| counts.iter().filter(|other| **other == count).count();
        counts.iter().filter(|count| **count > 0).map(|count| (lines_with(*count), *count)).max()
    };
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| score(*delimiter)).unwrap_or(b',')
}
