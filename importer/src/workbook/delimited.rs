//! Comma- or tab-separated text: as Excel and WPS write it, with whatever ends their lines.

use super::{
    grid::{Sheet, Workbook},
    read::{APOSTROPHES, ReadError, ReadLimits, Reading},
};

const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];
/// Lines that are looked at to find the delimiter.
const LINES: usize = 20;

pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let mut reading = Reading::new(limits);
    let mut sheet = Sheet::new("Sheet1", false);
    let text = text.trim_start_matches('\u{feff}').trim_end_matches('\u{1a}');
    let (delimiter, text) = declared(text).unwrap_or_else(|| (likely_delimiter(text), text));
    let mut fields = Fields::new(text, delimiter);
    // Blank lines are rows, too: a finding names the row that Excel shows.
    let mut row = 0u32;
    while let Some((field, is_last)) = fields.next() {
        let cell = reading.text(plain(&field));
        reading.put(&mut sheet, row, fields.column, cell)?;
        fields.column = if is_last { 0 } else { fields.column.saturating_add(1) };
        row = row.saturating_add(u32::from(is_last));
    }
    reading.add(sheet)?;
    Ok(reading.finish())
}

/// What a field says: without the marks by which spreadsheets keep it a text.
fn plain(field: &str) -> &str {
    // Excel writes ="0012" to keep zeros.
    if let Some(text) = field.trim().strip_prefix("=\"").and_then(|text| text.strip_suffix('"')) {
        return text;
    }
    match field.strip_prefix(APOSTROPHES) {
        // Not the first of two around a word.
        Some(rest) if !rest.contains(APOSTROPHES) => rest,
        _ => field,
    }
}

/// The delimiter that a line `sep=;` declares, and the text below it.
fn declared(text: &str) -> Option<(char, &str)> {
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    let line = text[..end].trim_matches('"');
    let (name, delimiter) = line.split_at_checked(4)?;
    let mut delimiter = delimiter.chars();
    let declared = name.eq_ignore_ascii_case("sep=").then(|| delimiter.next())??;
    // Some programs fill the line up with the delimiter.
    if delimiter.any(|c| c != declared && c != ',') {
        return None;
    }
    let rest = &text[end..];
    Some((declared, rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix(['\r', '\n'])).unwrap_or(rest)))
}

/// The one that most of the first lines have equally often; of several, the one that is there more often.
fn likely_delimiter(text: &str) -> char {
    let score = |delimiter: char| {
        let mut counts = vec![0usize];
        let mut fields = Fields::new(text, delimiter);
        let mut is_blank = true;
        while let Some((field, is_last)) = fields.next() {
            is_blank &= field.trim().is_empty();
            if !is_last {
                *counts.last_mut().expect("never empty") += 1;
                continue;
            }
            if counts.len() == LINES {
                break;
            }
            if is_blank {
                *counts.last_mut().expect("never empty") = 0;
            } else {
                counts.push(0);
            }
            is_blank = true;
        }
        let lines_with = |count: usize| counts.iter().filter(|other| **other == count).count();
        counts.iter().filter(|count| **count > 0).map(|count| (lines_with(*count), *count)).max()
    };
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| score(*delimiter)).unwrap_or(',')
}

/// The fields of a text, one after the other.
struct Fields<'t> {
    rest: &'t str,
    delimiter: char,
    column: u32,
    /// Set when a quotation mark was opened that nothing closes: from there on they are characters like others.
    plain_quotes: bool,
}

impl<'t> Fields<'t> {
    fn new(text: &'t str, delimiter: char) -> Self {
        Self { rest: text, delimiter, column: 0, plain_quotes: false }
    }

    /// The next field, and whether it is the last of its line.
    fn next(&mut self) -> Option<(std::borrow::Cow<'t, str>, bool)> {
        if self.rest.is_empty() && self.column == 0 {
            return None;
        }
        let mut quoted = String::new();
        let mut is_quoted = false;
        if let Some(inside) = self.rest.strip_prefix('"').filter(|_| !self.plain_quotes) {
            match closed(inside, &mut quoted) {
                Some(after) => {
                    self.rest = after;
                    is_quoted = true;
                }
                None => self.plain_quotes = true,
            }
        }
        let end = self.rest.find([self.delimiter, '\r', '\n']).unwrap_or(self.rest.len());
        let (text, after) = self.rest.split_at(end);
        let mut next = after.chars();
        let is_last = match next.next() {
            Some('\r') => {
                self.rest = next.as_str().strip_prefix('\n').unwrap_or(next.as_str());
                true
            }
            Some('\n') | None => {
                self.rest = next.as_str();
                true
            }
            Some(_) => {
                self.rest = next.as_str();
                false
            }
        };
        if !is_quoted {
            return Some((text.into(), is_last));
        }
        quoted.push_str(text);
        Some((quoted.into(), is_last))
    }
}

/// Takes the inside of a quoted field; what is behind the mark that closes it.
fn closed<'t>(mut text: &'t str, into: &mut String) -> Option<&'t str> {
    loop {
        let (before, after) = text.split_once('"')?;
        // A line break inside a cell is one, however it was written.
        let mut lines = before.replace("\r\n", "\n");
        if lines.contains('\r') {
            lines = lines.replace('\r', "\n");
        }
        into.push_str(&lines);
        match after.strip_prefix('"') {
            Some(more) => {
                into.push('"');
                text = more;
            }
            None => return Some(after),
        }
    }
}
