//! The streams of an .xls, looked over before a reader allocates what they ask for.

use std::io::{Cursor, Read};

use super::read::{ReadError, ReadLimits, damaged};

/// Cells of the box around all cells of one sheet: a reader takes memory for each.
const BOX_MAX: u64 = 4_000_000;

const SECTOR: usize = 512;
/// The record that begins a stream of Excel 5 or later.
const BEGIN: [u8; 2] = [0x09, 0x08];
/// Rows of a sheet in this format.
const ROWS_MAX: u32 = 65_536;

const DIMENSIONS: u16 = 0x0200;
const EOF: u16 = 0x000a;
const FILEPASS: u16 = 0x002f;
const MULRK: u16 = 0x00bd;
/// Records that begin with the row and column of a cell that holds something.
const CELLS: [u16; 9] = [0x0003, 0x0004, 0x0006, 0x00d6, 0x00fd, 0x0203, 0x0204, 0x0205, 0x027e];

/// Refuses what needs a password or would take too much memory.
pub fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), ReadError> {
    let Ok(mut container) = cfb::CompoundFile::open(Cursor::new(bytes)) else { return unpacked(bytes) };
    let is_book = |name: &str| ["workbook", "book"].contains(&name.to_lowercase().as_str());
    let streams: Vec<_> = container
        .walk()
        .filter(|entry| entry.is_stream() && is_book(entry.name()))
        .map(|e| e.path().to_owned())
        .collect();
    for path in streams {
        let mut stream = Vec::new();
        let reader = container.open_stream(path).map_err(damaged)?;
        reader.take(limits.file_bytes_max as u64).read_to_end(&mut stream).map_err(damaged)?;
        records(&stream)?;
    }
    Ok(())
}

/// Containers that only some readers can open, SheetJS's among them, hold their stream in one piece.
fn unpacked(bytes: &[u8]) -> Result<(), ReadError> {
    let sectors = (0..bytes.len()).step_by(SECTOR).filter_map(|at| bytes.get(at..));
    sectors.filter(|sector| sector.starts_with(&BEGIN)).try_for_each(records)
}

/// The used range as the file declares it: a reader takes room for all of it.
fn dimensions(data: &[u8]) -> Result<(), ReadError> {
    // Two numbers of two bytes in Excel 5, of four later.
    let size = if data.len() == 10 { 2 } else { 4 };
    let Some((numbers, _)) = data.split_at_checked(2 * size) else { return Ok(()) };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |number, byte| (number << 8) | u32::from(*byte));
    let (first, last) = (number(&numbers[..size]), number(&numbers[size..]));
    if first <= last && last <= ROWS_MAX { Ok(()) } else { Err(damaged("impossible number of rows")) }
}

fn records(mut stream: &[u8]) -> Result<(), ReadError> {
    // First and last row, first and last column.
    let mut around: Option<[u16; 4]> = None;
    while let [k0, k1, l0, l1, rest @ ..] = stream {
        let (kind, length) = (u16::from_le_bytes([*k0, *k1]), usize::from(u16::from_le_bytes([*l0, *l1])));
        let Some((data, next)) = rest.split_at_checked(length) else { break };
        stream = next;
        match kind {
            FILEPASS => return Err(ReadError::Encrypted),
            EOF => around = None,
            DIMENSIONS => dimensions(data)?,
            _ if kind == MULRK || CELLS.contains(&kind) => {
                let [r0, r1, c0, c1, ..] = data else { continue };
                let (row, first) = (u16::from_le_bytes([*r0, *r1]), u16::from_le_bytes([*c0, *c1]));
                let last = match data {
                    [.., a, b] if kind == MULRK => u16::from_le_bytes([*a, *b]),
                    _ => first,
                };
                let [top, bottom, left, right] = around.unwrap_or([row, row, first, last]);
                let [top, bottom, left, right] = [top.min(row), bottom.max(row), left.min(first), right.max(last)];
                around = Some([top, bottom, left, right]);
                let size = (u64::from(bottom - top) + 1) * (u64::from(right.saturating_sub(left)) + 1);
                if size > BOX_MAX {
                    return Err(ReadError::TooLarge {
                        what: "单元格区域 cells in the used range", limit: BOX_MAX
                    });
                }
            }
            _ => {}
        }
    }
    Ok(())
}
