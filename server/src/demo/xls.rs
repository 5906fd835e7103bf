//! A small writer of real .xls files (BIFF8 in an OLE container), as old offices still send them.
//!
//! Only what the demonstration needs: texts, numbers, dates, merged ranges. [MS-XLS] names the records.

use std::io::{Cursor, Write};

use super::messy::{MessyCell, MessySheet};

const BOF: u16 = 0x0809;
const EOF: u16 = 0x000a;
const CODEPAGE: u16 = 0x0042;
const WINDOW1: u16 = 0x003d;
const FONT: u16 = 0x0031;
const XF: u16 = 0x00e0;
const BOUNDSHEET: u16 = 0x0085;
const DIMENSIONS: u16 = 0x0200;
const NUMBER: u16 = 0x0203;
const LABEL: u16 = 0x0204;
const MERGEDCELLS: u16 = 0x00e5;
const WINDOW2: u16 = 0x023e;

/// Index of the format for ordinary cells, after the 15 style formats that every file has.
const XF_GENERAL: u16 = 15;
/// Index of the format for dates.
const XF_DATE: u16 = 16;
/// Merged ranges in one record.
const MERGES_PER_RECORD: usize = 1000;

/// The bytes of a workbook.
pub(super) fn write(sheets: &[MessySheet]) -> std::io::Result<Vec<u8>> {
    let bodies: Vec<Vec<u8>> = sheets.iter().map(sheet).collect();
    let globals = |offsets: &[usize]| -> Vec<u8> {
        let mut out = Vec::new();
        record(&mut out, BOF, &words(&[0x0600, 0x0005, 0x0dbb, 0x07cc, 0, 0, 0x0006, 0]));
        record(&mut out, CODEPAGE, &words(&[1200]));
        record(&mut out, WINDOW1, &words(&[0, 0, 0x4000, 0x2000, 0x0038, 0, 0, 1, 0x0258]));
        for _ in 0..4 {
            record(&mut out, FONT, &font());
        }
        for index in 0..=XF_DATE {
            record(&mut out, XF, &format(index));
        }
        for (sheet, offset) in sheets.iter().zip(offsets) {
            let mut body = u32::try_from(*offset).unwrap_or(u32::MAX).to_le_bytes().to_vec();
            body.extend([0, 0]);
            let name: Vec<u16> = sheet.name.encode_utf16().take(31).collect();
            body.push(u8::try_from(name.len()).unwrap_or(31));
            body.push(1);
            body.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
            record(&mut out, BOUNDSHEET, &body);
        }
        record(&mut out, EOF, &[]);
        out
    };
    // The offsets do not change the length of the globals.
    let mut offset = globals(&vec![0; sheets.len()]).len();
    let mut offsets = Vec::new();
    for body in &bodies {
        offsets.push(offset);
        offset += body.len();
    }
    let mut stream = globals(&offsets);
    stream.extend(bodies.concat());
    let mut container = cfb::CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new()))?;
    container.create_stream("/Workbook")?.write_all(&stream)?;
    container.flush()?;
    Ok(container.into_inner().into_inner())
}

fn sheet(sheet: &MessySheet) -> Vec<u8> {
    let mut out = Vec::new();
    record(&mut out, BOF, &words(&[0x0600, 0x0010, 0x0dbb, 0x07cc, 0, 0, 0x0006, 0]));
    let rows = u32::try_from(sheet.rows.len()).unwrap_or(u32::MAX);
    let columns = sheet.rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut dimensions = [0u32.to_le_bytes(), rows.to_le_bytes()].concat();
    dimensions.extend(words(&[0, u16::try_from(columns).unwrap_or(u16::MAX), 0]));
    record(&mut out, DIMENSIONS, &dimensions);
    for (row, cells) in (0u16..).zip(&sheet.rows) {
        for (column, cell) in (0u16..).zip(cells) {
            match cell {
                MessyCell::Blank => {}
                MessyCell::Text(text) => {
                    let units: Vec<u16> = text.encode_utf16().collect();
                    let mut body = words(&[row, column, XF_GENERAL, u16::try_from(units.len()).unwrap_or(u16::MAX)]);
                    body.push(1);
                    body.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
                    record(&mut out, LABEL, &body);
                }
                MessyCell::Number(number) => value(&mut out, row, column, XF_GENERAL, *number),
                MessyCell::Date(serial) => value(&mut out, row, column, XF_DATE, *serial),
            }
        }
    }
    for merges in sheet.merges.chunks(MERGES_PER_RECORD) {
        let mut body = words(&[u16::try_from(merges.len()).unwrap_or(0)]);
        for ((top, left), (bottom, right)) in merges {
            let small = |row: &u32| u16::try_from(*row).unwrap_or(u16::MAX);
            body.extend(words(&[small(top), small(bottom), *left, *right]));
        }
        record(&mut out, MERGEDCELLS, &body);
    }
    record(&mut out, WINDOW2, &words(&[0x00b6, 0, 0, 0x0040, 0, 0, 0, 0, 0]));
    record(&mut out, EOF, &[]);
    out
}

fn value(out: &mut Vec<u8>, row: u16, column: u16, format: u16, number: f64) {
    let mut body = words(&[row, column, format]);
    body.extend(number.to_le_bytes());
    record(out, NUMBER, &body);
}

fn record(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend(u16::try_from(body.len()).expect("records of the demonstration are short").to_le_bytes());
    out.extend(body);
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// 宋体, 11 points.
fn font() -> Vec<u8> {
    let mut body = words(&[220, 0, 0x7fff, 400, 0]);
    let name: Vec<u16> = "宋体".encode_utf16().collect();
    body.extend([0, 0, 134, 0, u8::try_from(name.len()).unwrap_or(0), 1]);
    body.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
    body
}

/// A cell format; the first fifteen are the style formats that readers expect.
fn format(index: u16) -> Vec<u8> {
    let number_format = if index == XF_DATE { 14 } else { 0 };
    let kind = if index < XF_GENERAL { 0xfff5 } else { 0x0001 };
    let mut body = words(&[0, number_format, kind]);
    body.extend([0x20, 0, 0, 0]);
    body.extend([0; 8]);
    body.extend(words(&[0x20c0]));
    body
}
