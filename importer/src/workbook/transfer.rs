//! A workbook as bytes between the process that reads it and the one that imports it.

use minicbor::{Decoder, Encoder, data::Type, decode, encode};

use super::grid::{Cell, Merge, Sheet, Texts, Timestamp, Workbook};

/// Writes a workbook.
pub fn write<W: encode::Write>(workbook: &Workbook, to: W) -> Result<(), encode::Error<W::Error>> {
    let mut out = Encoder::new(to);
    out.array(workbook.texts.len() as u64)?;
    for text in workbook.texts.iter() {
        out.str(text)?;
    }
    out.array(workbook.sheets.len() as u64)?;
    for sheet in &workbook.sheets {
        out.str(&sheet.name)?.bool(sheet.hidden)?.array(sheet.merges.len() as u64)?;
        for merge in &sheet.merges {
            out.u32(merge.top)?.u32(merge.left)?.u32(merge.bottom)?.u32(merge.right)?;
        }
        out.array(sheet.struck.len() as u64)?;
        for (row, column) in &sheet.struck {
            out.u32(*row)?.u16(*column)?;
        }
        out.array(sheet.row_count() as u64)?;
        for index in 0..sheet.row_count() {
            let cells = sheet.row(index);
            out.u32(sheet.row_number(index))?.array(cells.len() as u64)?;
            for (column, cell) in cells {
                out.u16(*column)?;
                match cell {
                    Cell::Text(id) => out.u64(Texts::index(*id) as u64)?,
                    Cell::Number { value, percent: false } => out.f64(*value)?,
                    Cell::Number { value, percent: true } => out.array(1)?.f64(*value)?,
                    Cell::Date(at) => out.array(4)?.u16(at.year)?.u8(at.month)?.u8(at.day)?.u16(at.minutes)?,
                    Cell::Bool(flag) => out.bool(*flag)?,
                    Cell::Error => out.null()?,
                    Cell::Uncomputed => out.undefined()?,
                };
            }
        }
    }
    Ok(())
}

/// Reads it back.
pub fn read(bytes: &[u8]) -> Result<Workbook, decode::Error> {
    let mut from = Decoder::new(bytes);
    let mut workbook = Workbook::default();
    let mut ids = Vec::new();
    for _ in 0..length(&mut from)? {
        ids.push(workbook.texts.intern(from.str()?));
    }
    for _ in 0..length(&mut from)? {
        let mut sheet = Sheet::new(from.str()?, from.bool()?);
        for _ in 0..length(&mut from)? {
            let (top, left, bottom, right) = (from.u32()?, from.u32()?, from.u32()?, from.u32()?);
            sheet.merges.push(Merge { top, left, bottom, right });
        }
        for _ in 0..length(&mut from)? {
            sheet.struck.push((from.u32()?, from.u16()?));
        }
        for _ in 0..length(&mut from)? {
            let row = from.u32()?;
            for _ in 0..length(&mut from)? {
                let column = from.u16()?;
                let cell = match from.datatype()? {
                    Type::F64 => Cell::Number { value: from.f64()?, percent: false },
                    Type::Bool => Cell::Bool(from.bool()?),
                    Type::Null => {
                        from.null()?;
                        Cell::Error
                    }
                    Type::Undefined => {
                        from.undefined()?;
                        Cell::Uncomputed
                    }
                    Type::Array if length(&mut from)? == 1 => Cell::Number { value: from.f64()?, percent: true },
                    Type::Array => {
                        let (year, month, day, minutes) = (from.u16()?, from.u8()?, from.u8()?, from.u16()?);
                        Cell::Date(Timestamp { year, month, day, minutes })
                    }
                    _ => {
                        let index = usize::try_from(from.u64()?).unwrap_or(usize::MAX);
                        Cell::Text(*ids.get(index).ok_or_else(|| decode::Error::message("no such text"))?)
                    }
                };
                if !sheet.push(row, column, cell) {
                    return Err(decode::Error::message("cells out of order"));
                }
            }
        }
        workbook.sheets.push(sheet);
    }
    Ok(workbook)
}

fn length(from: &mut Decoder<'_>) -> Result<u64, decode::Error> {
    from.array()?.ok_or_else(|| decode::Error::message("an array without length"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbook::read::{ReadLimits, read as read_file};

    /// Everything in a workbook, in words.
    fn dump(workbook: &Workbook) -> Vec<String> {
        let mut lines = Vec::new();
        for sheet in &workbook.sheets {
            lines.push(format!("{} {} {:?} {:?}", sheet.name, sheet.hidden, sheet.merges, sheet.struck));
            for index in 0..sheet.row_count() {
                for (column, cell) in sheet.row(index) {
                    let text = if let Cell::Text(id) = cell { workbook.texts.get(*id) } else { "" };
                    lines.push(format!("{} {column} {cell:?} {text}", sheet.row_number(index)));
                }
            }
        }
        lines
    }

    #[test]
    fn a_workbook_arrives_as_it_left() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workbooks");
        let mut cells = 0;
        for file in std::fs::read_dir(folder).expect("the folder") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("bytes");
            let Ok(workbook) = read_file(&bytes, &ReadLimits::default()) else { continue };
            let mut sent = Vec::new();
            write(&workbook, &mut sent).expect("written");
            let arrived = read(&sent).expect("read");
            assert_eq!(dump(&arrived), dump(&workbook));
            assert!(sent.is_empty() || read(&sent[..sent.len() - 1]).is_err(), "half an answer is none");
            cells += workbook.sheets.iter().map(Sheet::cell_count).sum::<usize>();
        }
        assert!(cells > 50_000, "{cells}");
    }
}
