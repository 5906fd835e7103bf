//! The sheets of an .xlsb, looked over for cells that the reader passes by.

use std::io::{BufReader, Cursor, Read};

use super::read::{ReadError, ReadLimits, damaged};

/// Cells that give no column of their own, because they follow the one before: Excel writes none, other programs do.
const SHORT_CELLS: std::ops::RangeInclusive<u16> = 0x000c..=0x0012;

/// Refuses sheets of which a part would be lost.
pub fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), ReadError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let is_sheet = |name: &str| {
        let name = name.to_lowercase();
        name.starts_with("xl/worksheets/") && std::path::Path::new(&name).extension().is_some_and(|e| e == "bin")
    };
    let sheets: Vec<String> = archive.file_names().filter(|name| is_sheet(name)).map(str::to_owned).collect();
    for sheet in sheets {
        let part = archive.by_name(&sheet).map_err(damaged)?;
        let mut records = BufReader::new(part.take(limits.inflated_bytes_max));
        while let Some(kind) = varint(&mut records, 2)? {
            let size = varint(&mut records, 4)?.ok_or_else(|| damaged("a record without size"))?;
            if u16::try_from(kind).is_ok_and(|kind| SHORT_CELLS.contains(&kind)) {
                return Err(ReadError::NotAWorkbook(
                    "这种 .xlsb 的单元格写法不能读取 an .xlsb with short cell records",
                ));
            }
            std::io::copy(&mut (&mut records).take(u64::from(size)), &mut std::io::sink()).map_err(damaged)?;
        }
    }
    Ok(())
}

/// A number of at most so many bytes, seven bits in each, low ones first; `None` at the end.
fn varint(records: &mut impl Read, bytes_max: u32) -> Result<Option<u32>, ReadError> {
    let mut number = 0;
    for place in 0..bytes_max {
        let mut byte = [0];
        match records.read(&mut byte).map_err(damaged)? {
            0 if place == 0 => return Ok(None),
            0 => return Err(damaged("a record breaks off")),
            _ => {}
        }
        number |= u32::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    Ok(Some(number))
}
