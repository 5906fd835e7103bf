//! Reading workbooks: what may be read, why not, and what every reader shares.

use super::{
    delimited, excel,
    grid::{Cell, Merge, Sheet, Timestamp, Workbook},
    html, ods,
    sniff::{Format, OLE, ZIP, is_other, sniff},
    spreadsheetml,
};

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

impl ReadLimits {
    /// For files of people whom nobody knows.
    pub fn of_strangers() -> Self {
        Self {
            file_bytes_max: 4 << 20,
            inflated_bytes_max: 64 << 20,
            cells_max: 200_000,
            sheets_max: 200,
            merges_max: 20_000,
        }
    }
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
    /// No kind of workbook by content.
    #[error(
        "不是可识别的 Excel 文件（{0}）。请用 Excel 或 WPS 打开后另存为 .xlsx 再导入。 | not an Excel workbook ({0}): open it and save it as .xlsx"
    )]
    NotAWorkbook(&'static str),
    /// Excel 2.0 to 4.0.
    #[error(
        "文件是 Excel 2.0–4.0 的旧格式。请用 Excel 或 WPS 打开后另存为 .xlsx 再导入。 | a workbook of Excel 2.0 to 4.0: open it and save it as .xlsx"
    )]
    TooOld,
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
    /// The process that read it refused it, in these words.
    #[error("{0}")]
    Refused(String),
    /// The process that read it did not live to answer.
    #[error(
        "读取文件时超出内存或时间限制，已停止（{0}），系统不受影响。请用 Excel 或 WPS 打开检查后另存为 .xlsx，或拆分后再导入。 | reading went beyond the limits of memory or time and was ended ({0}); nothing else is harmed: open the file, check it, save it as .xlsx or split it"
    )]
    Failed(String),
    /// Damaged.
    #[error(
        "文件已损坏，无法读取（{0}）。请用 Excel 或 WPS 打开修复后另存为 .xlsx。 | damaged workbook ({0}): repair it in Excel or WPS and save it as .xlsx"
    )]
    Damaged(String),
}

/// Reads a workbook from its bytes; the file's name plays no part.
pub fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    if bytes.len() > limits.file_bytes_max {
        return Err(ReadError::TooLarge { what: "字节 bytes", limit: limits.file_bytes_max as u64 });
    }
    let bytes = without_preamble(bytes);
    // The readers are other people's code on other people's bytes: a panic is a damaged file, not a crash.
    let read = std::panic::catch_unwind(|| match sniff(bytes, limits)? {
        Format::Xlsx => excel::xlsx(bytes, limits),
        Format::Xlsb => excel::xlsb(bytes, limits),
        Format::Xls => excel::xls(bytes, limits),
        Format::Ods => ods::read(bytes, limits),
        Format::SpreadsheetMl(text) => spreadsheetml::read(&text, limits),
        Format::Html(text) => html::read(&text, limits),
        Format::Delimited(text) => delimited::read(&text, limits),
    });
    read.unwrap_or_else(|_| Err(ReadError::Damaged("reader failed".into())))
}

/// A number without the apostrophe that once told a spreadsheet to take it as a text.
fn unquoted_number(text: &str) -> &str {
    let is_digit = |c: char| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '-' | '.' | '/' | ' ');
    match text.trim_start().strip_prefix(APOSTROPHES) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) && rest.trim_end().chars().all(is_digit) => rest,
        _ => text,
    }
}

/// The marks that people and programs set before a number so that it stays a text.
pub(super) const APOSTROPHES: [char; 5] = ['\'', '\u{2019}', '\u{2018}', '\u{ff07}', '`'];

/// The bytes of a workbook without what a careless program sent ahead of them: a byte order mark, blank lines, a warning.
fn without_preamble(bytes: &[u8]) -> &[u8] {
    if is_other(bytes) {
        return bytes;
    }
    let head = &bytes[..bytes.len().min(PREAMBLE_MAX)];
    let at = |mark: &[u8]| head.windows(mark.len()).position(|window| window == mark);
    let starts = [ZIP, OLE].into_iter().filter_map(at);
    starts.min().map_or(bytes, |start| &bytes[start..])
}

/// Bytes ahead of a workbook in which its beginning is looked for.
const PREAMBLE_MAX: usize = 4096;

/// What a library says of bytes that it cannot read.
pub(super) fn damaged(error: impl std::fmt::Display) -> ReadError {
    ReadError::Damaged(error.to_string())
}

/// The last row of a sheet, counted from 0.
pub(super) const ROW_MAX: u32 = 1_048_575;

/// A workbook that is being read, and what it may still hold.
pub(super) struct Reading<'l> {
    limits: &'l ReadLimits,
    cells_left: usize,
    book: Workbook,
}

impl<'l> Reading<'l> {
    pub(super) fn new(limits: &'l ReadLimits) -> Self {
        Self { limits, cells_left: limits.cells_max, book: Workbook::default() }
    }

    /// The cell of a text; white space alone is an empty cell.
    pub(super) fn text(&mut self, text: &str) -> Option<Cell> {
        let text = unquoted_number(text);
        (!text.trim().is_empty()).then(|| Cell::Text(self.book.texts.intern(text)))
    }

    /// Puts a cell into a sheet; beyond the last row and column of any spreadsheet there is nothing to be read.
    pub(super) fn put(
        &mut self,
        sheet: &mut Sheet,
        row: u32,
        column: u32,
        value: Option<Cell>,
    ) -> Result<(), ReadError> {
        let (Some(value), Ok(column)) = (value, u16::try_from(column)) else { return Ok(()) };
        if row > ROW_MAX {
            return Ok(());
        }
        let limit = self.limits.cells_max as u64;
        self.cells_left =
            self.cells_left.checked_sub(1).ok_or(ReadError::TooLarge { what: "单元格 cells", limit })?;
        if sheet.push(row, column, value) {
            Ok(())
        } else {
            Err(ReadError::Damaged(format!("sheet `{}`: cells out of order at row {}", sheet.name, row + 1)))
        }
    }

    /// Notes a merged range; one of a single cell merges nothing.
    pub(super) fn merge(&self, sheet: &mut Sheet, merge: Merge) -> Result<(), ReadError> {
        if merge.top == merge.bottom && merge.left == merge.right {
            return Ok(());
        }
        if sheet.merges.len() >= self.limits.merges_max {
            let limit = self.limits.merges_max as u64;
            return Err(ReadError::TooLarge { what: "合并单元格 merged ranges", limit });
        }
        sheet.merges.push(merge);
        Ok(())
    }

    /// Adds a sheet.
    pub(super) fn add(&mut self, sheet: Sheet) -> Result<(), ReadError> {
        if self.book.sheets.len() >= self.limits.sheets_max {
            return Err(ReadError::TooLarge { what: "工作表 sheets", limit: self.limits.sheets_max as u64 });
        }
        self.book.sheets.push(sheet);
        Ok(())
    }

    pub(super) fn finish(self) -> Workbook {
        self.book
    }
}

/// `2012-03-15`, perhaps with `T10:30:00`: how XML formats write dates.
pub(super) fn iso_date(text: &str) -> Option<Cell> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
    let date: jiff::civil::Date = date.parse().ok()?;
    let mut parts = time.split(':').map(str::parse::<u16>);
    let (hours, minutes) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let small = |number: i8| u8::try_from(number).ok();
    Some(Cell::Date(Timestamp {
        year: u16::try_from(date.year()).ok()?,
        month: small(date.month())?,
        day: small(date.day())?,
        minutes: hours.checked_mul(60)?.checked_add(minutes)?,
    }))
}
