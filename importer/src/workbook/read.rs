//! Reading workbooks: the only file that names calamine.

use std::{collections::HashMap, io::Cursor};

use calamine::{Data, DataRef, ExcelDateTime, Reader, SheetVisible, Xls, XlsError, Xlsx, XlsxError};

use super::grid::{Cell, Merge, Sheet, Texts, Timestamp, Workbook};

/// How much a workbook may hold.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Bytes of the file.
    pub file_bytes_max: usize,
    /// Declared bytes of all parts of an .xlsx after inflating.
    pub inflated_bytes_max: u64,
    /// Cells that hold something, over all sheets.
    pub cells_max: usize,
    /// Sheets.
    pub sheets_max: usize,
    /// Merged ranges of one sheet.
    pub merges_max: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            file_bytes_max: 256 << 20,
            inflated_bytes_max: 1 << 30,
            cells_max: 20_000_000,
            sheets_max: 500,
            merges_max: 100_000,
        }
    }
}

/// Why a file cannot be read; each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither .xlsx nor .xls by content.
    #[error(
        "不是可识别的 Excel 文件（{0}）。请用 Excel 或 WPS 打开后另存为 .xlsx 再导入。 | not an Excel workbook ({0}): open it and save it as .xlsx"
    )]
    NotAWorkbook(&'static str),
    /// Needs a password.
    #[error(
        "文件有打开密码。请打开后取消密码、另存为 .xlsx 再导入。 | the workbook is encrypted: remove its password and save it as .xlsx"
    )]
    Encrypted,
    /// Over a limit.
    #[error("文件过大：{what}超过{limit}。请拆分后导入。 | too large: more than {limit} {what}; split the workbook")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A part that inflates out of all proportion.
    #[error(
        "文件压缩比异常，可能是恶意文件，已拒绝。如确需导入，请用 Excel 或 WPS 打开后另存。 | the file inflates out of all proportion and was refused: open it and save it again if it is honest"
    )]
    Bomb,
    /// Damaged.
    #[error(
        "文件已损坏，无法读取（{0}）。请用 Excel 或 WPS 打开修复后另存为 .xlsx。 | damaged workbook ({0}): repair it in Excel or WPS and save it as .xlsx"
    )]
    Damaged(String),
}

/// Parts above this size are looked at for their ratio.
const BOMB_BYTES_MIN: u64 = 32 << 20;
/// Inflated over compressed size above which a part is a bomb.
const BOMB_RATIO_MIN: u64 = 200;

const OLE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
const ZIP: &[u8] = b"PK\x03\x04";

/// Reads a workbook from its bytes; the file's name plays no part.
pub fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    if bytes.len() > limits.file_bytes_max {
        return Err(ReadError::TooLarge { what: "字节 bytes", limit: limits.file_bytes_max as u64 });
    }
    // The readers are other people's code on other people's bytes: a panic is a damaged file, not a crash.
    let read = std::panic::catch_unwind(|| {
        if bytes.starts_with(ZIP) {
            xlsx(bytes, limits)
        } else if bytes.starts_with(OLE) {
            xls(bytes, limits)
        } else if bytes.is_empty() {
            Err(ReadError::NotAWorkbook("空文件 empty file"))
        } else {
            Err(ReadError::NotAWorkbook("文件头不符 unknown signature"))
        }
    });
    read.unwrap_or_else(|_| Err(ReadError::Damaged("reader failed".into())))
}

fn xlsx(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    check_inflated(bytes, limits)?;
    // Merged ranges stand behind all cells of a sheet: finding them means reading it a second time, which another core does.
    std::thread::scope(|scope| {
        let merges = scope.spawn(|| xlsx_merges(bytes, limits));
        let mut workbook = xlsx_cells(bytes, limits)?;
        let mut merges = merges.join().map_err(|_| ReadError::Damaged("reader failed".into()))??;
        for sheet in &mut workbook.sheets {
            sheet.merges = merges.remove(&sheet.name).unwrap_or_default();
        }
        Ok(workbook)
    })
}

fn xlsx_merges(bytes: &[u8], limits: &ReadLimits) -> Result<HashMap<String, Vec<Merge>>, ReadError> {
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(xlsx_error)?;
    let mut all = HashMap::new();
    for (name, _) in sheet_list(&book, limits)? {
        let merges = book.merge_cells_by_sheet_name(&name).unwrap_or_default();
        all.insert(name, merges_of(merges.iter().map(|d| (d.start, d.end)), limits)?);
    }
    Ok(all)
}

fn xlsx_cells(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(xlsx_error)?;
    let sheets = sheet_list(&book, limits)?;
    let mut texts = Texts::default();
    let mut read = Vec::with_capacity(sheets.len());
    let mut budget = limits.cells_max;
    for (name, hidden) in sheets {
        let mut sheet = Sheet::new(&name, hidden);
        let mut cells = match book.worksheet_cells_reader(&name) {
            Ok(cells) => cells,
            // A chart sheet or a sheet whose part is missing holds no ledger; the others still do.
            Err(XlsxError::WorksheetNotFound(_) | XlsxError::NotAWorksheet(_)) => continue,
            Err(error) => return Err(xlsx_error(error)),
        };
        let percent: Vec<bool> = cells.styles().iter().map(is_percent).collect();
        while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(xlsx_error)? {
            let percent = percent.get(style).copied().unwrap_or(false);
            let value = match cell.get_value() {
                DataRef::SharedString(text) => text_cell(&mut texts, text),
                DataRef::Int(number) => Some(Cell::Number { value: *number as f64, percent }),
                DataRef::Float(number) => Some(Cell::Number { value: *number, percent }),
                DataRef::Bool(flag) => Some(Cell::Bool(*flag)),
                DataRef::DateTime(serial) => Some(date_cell(serial)),
                DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                    text_cell(&mut texts, text)
                }
                DataRef::Error(_) => Some(Cell::Error),
                DataRef::Empty => None,
            };
            put(&mut sheet, cell.get_position(), value, &mut budget, limits)?;
        }
        read.push(sheet);
    }
    Ok(Workbook { sheets: read, texts })
}

fn xls(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let mut book = Xls::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsError::Password => ReadError::Encrypted,
        XlsError::Cfb(_) if is_encrypted_package(bytes) => ReadError::Encrypted,
        error => ReadError::Damaged(error.to_string()),
    })?;
    let sheets = sheet_list(&book, limits)?;
    let mut texts = Texts::default();
    let mut read = Vec::with_capacity(sheets.len());
    let mut budget = limits.cells_max;
    for (name, hidden) in sheets {
        let mut sheet = Sheet::new(&name, hidden);
        let merges = book.merge_cells_by_sheet_name(&name).unwrap_or_default();
        sheet.merges = merges_of(merges.iter().map(|d| (d.start, d.end)), limits)?;
        let Ok(range) = book.worksheet_range(&name) else { continue };
        let (top, left) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            let position =
                (top + u32::try_from(row).unwrap_or(u32::MAX), left + u32::try_from(column).unwrap_or(u32::MAX));
            let value = match value {
                Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text_cell(&mut texts, text),
                Data::Int(number) => Some(Cell::Number { value: *number as f64, percent: false }),
                Data::Float(number) => Some(Cell::Number { value: *number, percent: false }),
                Data::Bool(flag) => Some(Cell::Bool(*flag)),
                Data::DateTime(serial) => Some(date_cell(serial)),
                Data::Error(_) => Some(Cell::Error),
                Data::Empty => None,
            };
            put(&mut sheet, position, value, &mut budget, limits)?;
        }
        read.push(sheet);
    }
    Ok(Workbook { sheets: read, texts })
}

/// An encrypted .xlsx is an OLE file with this stream.
fn is_encrypted_package(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(name.len()).any(|window| window == name)
}

/// Refuses what declares to inflate beyond the limit before anything is inflated.
fn check_inflated(bytes: &[u8], limits: &ReadLimits) -> Result<(), ReadError> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| ReadError::Damaged(error.to_string()))?;
    let mut total = 0u64;
    for index in 0..archive.len() {
        let part = archive.by_index_raw(index).map_err(|error| ReadError::Damaged(error.to_string()))?;
        total = total.saturating_add(part.size());
        // Sheets of offices shrink ten- to thirtyfold; only bombs shrink like this.
        if part.size() > BOMB_BYTES_MIN && part.size() / part.compressed_size().max(1) > BOMB_RATIO_MIN {
            return Err(ReadError::Bomb);
        }
    }
    if total > limits.inflated_bytes_max {
        return Err(ReadError::TooLarge {
            what: "字节（解压后）bytes inflated", limit: limits.inflated_bytes_max
        });
    }
    Ok(())
}

fn sheet_list<R, B: Reader<R>>(book: &B, limits: &ReadLimits) -> Result<Vec<(String, bool)>, ReadError>
where
    R: std::io::Read + std::io::Seek,
{
    let sheets = book.sheets_metadata();
    if sheets.len() > limits.sheets_max {
        return Err(ReadError::TooLarge { what: "工作表 sheets", limit: limits.sheets_max as u64 });
    }
    Ok(sheets.iter().map(|sheet| (sheet.name.clone(), sheet.visible != SheetVisible::Visible)).collect())
}

type Corner = (u32, u32);

fn merges_of(
    ranges: impl ExactSizeIterator<Item = (Corner, Corner)>,
    limits: &ReadLimits,
) -> Result<Vec<Merge>, ReadError> {
    if ranges.len() > limits.merges_max {
        return Err(ReadError::TooLarge { what: "合并单元格 merged ranges", limit: limits.merges_max as u64 });
    }
    Ok(ranges.map(|((top, left), (bottom, right))| Merge { top, left, bottom, right }).collect())
}

fn put(
    sheet: &mut Sheet,
    (row, column): Corner,
    value: Option<Cell>,
    budget: &mut usize,
    limits: &ReadLimits,
) -> Result<(), ReadError> {
    let (Some(value), Ok(column)) = (value, u16::try_from(column)) else { return Ok(()) };
    *budget =
        budget.checked_sub(1).ok_or(ReadError::TooLarge { what: "单元格 cells", limit: limits.cells_max as u64 })?;
    if sheet.push(row, column, value) {
        Ok(())
    } else {
        Err(ReadError::Damaged(format!("sheet `{}`: cells out of order at row {}", sheet.name, row + 1)))
    }
}

fn text_cell(texts: &mut Texts, text: &str) -> Option<Cell> {
    (!text.trim().is_empty()).then(|| Cell::Text(texts.intern(text)))
}

fn date_cell(serial: &ExcelDateTime) -> Cell {
    // Serials below 61 fall on the 1900 leap-year error, and durations are no dates: both stay numbers.
    if serial.is_duration() || serial.as_f64() < 61.0 {
        return Cell::Number { value: serial.as_f64(), percent: false };
    }
    let (year, month, day, hours, minutes, _, _) = serial.to_ymd_hms_milli();
    Cell::Date(Timestamp { year, month, day, minutes: u16::from(hours) * 60 + u16::from(minutes) })
}

fn is_percent(style: &calamine::Style) -> bool {
    style.number_format.as_ref().is_some_and(|format| format.format_code.contains('%'))
}

fn xlsx_error(error: XlsxError) -> ReadError {
    match error {
        XlsxError::Password => ReadError::Encrypted,
        error => ReadError::Damaged(error.to_string()),
    }
}
