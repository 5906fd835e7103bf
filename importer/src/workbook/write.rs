//! Writing workbooks: the only file that names rust_xlsxwriter.
//!
//! With a fixed creation time the same calls give the same bytes.

use std::collections::{BTreeMap, HashMap};

use rust_xlsxwriter::{
    Color, DataValidation, DataValidationErrorStyle, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder,
    Formula, Image, Note, Workbook, Worksheet, XlsxError,
};

use crate::seal::{Cells, number};

/// Why a workbook could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the workbook cannot be written: {0}")]
pub struct WriteError(#[from] XlsxError);

/// How a cell looks, by its role in the frame of a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// Title of the sheet.
    Title,
    /// Form number, top right.
    FormNumber,
    /// 填报单位, 统计截止日期, 单位.
    MetaLeft,
    /// The middle one.
    MetaCentre,
    /// The right one.
    MetaRight,
    /// Header.
    Header,
    /// 栏次.
    ColumnNumber,
    /// Text.
    Text,
    /// Text on as many lines as it needs.
    Wrapped,
    /// Centred text.
    TextCentre,
    /// A word where a figure is missing.
    Missing,
    /// `0`.
    Count,
    /// `0.0%`.
    Percent,
    /// Decimal as it is.
    Decimal,
    /// `0.0`.
    Tenths,
    /// `0.00`.
    Hundredths,
    /// The same four in the total row.
    TotalText,
    /// Total of a count.
    TotalCount,
    /// Ratio of totals.
    TotalPercent,
    /// Mean of totals.
    TotalTenths,
    /// Total of money.
    TotalHundredths,
    /// Notes below the table.
    Note,
    /// No format at all: what messy people write.
    Plain,
    /// A text that stays the text that it is, whoever types over it: `007`, `340099198001010013`.
    PlainText,
    /// A date cell.
    Date,
    /// A cell with something wrong in it: an error or else a warning; a date, a percentage or else a text.
    Marked {
        /// An error.
        error: bool,
        /// A date.
        date: bool,
        /// A percentage.
        percent: bool,
    },
}

impl Style {
    /// This style, or that of a cell with something wrong in it: an error or a warning.
    #[must_use]
    pub fn marked(mark: Option<bool>, plain: Self) -> Self {
        let (date, percent) = (plain == Style::Date, plain == Style::Percent);
        mark.map_or(plain, |error| Style::Marked { error, date, percent })
    }

    fn format(self) -> Format {
        let base =
            |size: f64| Format::new().set_font_name("宋体").set_font_size(size).set_align(FormatAlign::VerticalCenter);
        let boxed = |size: f64| base(size).set_border(FormatBorder::Thin);
        match self {
            Style::Title => base(20.0).set_bold().set_align(FormatAlign::Center).set_text_wrap(),
            Style::FormNumber | Style::MetaRight => base(11.0).set_align(FormatAlign::Right),
            Style::MetaLeft => base(11.0).set_align(FormatAlign::Left),
            Style::MetaCentre => base(11.0).set_align(FormatAlign::Center),
            Style::Header => boxed(11.0).set_font_name("黑体").set_align(FormatAlign::Center).set_text_wrap(),
            Style::ColumnNumber => boxed(9.0).set_align(FormatAlign::Center),
            Style::Text => boxed(10.5).set_num_format("@").set_align(FormatAlign::Left),
            Style::Wrapped => Style::Text.format().set_text_wrap(),
            Style::TextCentre => boxed(10.5).set_num_format("@").set_align(FormatAlign::Center),
            Style::Missing => Style::TextCentre.format().set_shrink().set_background_color(Color::RGB(0x00EF_EFEF)),
            Style::Count => boxed(10.5).set_num_format("0").set_align(FormatAlign::Right),
            Style::Percent => boxed(10.5).set_num_format("0.0%").set_align(FormatAlign::Right),
            Style::Decimal => boxed(10.5).set_align(FormatAlign::Right),
            Style::Tenths => boxed(10.5).set_num_format("0.0").set_align(FormatAlign::Right),
            Style::Hundredths => boxed(10.5).set_num_format("0.00").set_align(FormatAlign::Right),
            Style::TotalText => Style::TextCentre.format().set_bold(),
            Style::TotalCount => Style::Count.format().set_bold(),
            Style::TotalPercent => Style::Percent.format().set_bold(),
            Style::TotalTenths => Style::Tenths.format().set_bold(),
            Style::TotalHundredths => Style::Hundredths.format().set_bold(),
            Style::Note => base(10.0).set_align(FormatAlign::Left).set_text_wrap(),
            Style::Plain => Format::new(),
            Style::PlainText => Format::new().set_num_format("@"),
            Style::Date => Format::new().set_num_format("yyyy/m/d"),
            Style::Marked { error, date, percent } => {
                let colour = if error { 0x00FF_C7CE } else { 0x00FF_EB9C };
                let number = match (date, percent) {
                    (true, _) => "yyyy/m/d",
                    (_, true) => "0.0%",
                    _ => "@",
                };
                Format::new().set_background_color(Color::RGB(colour)).set_num_format(number)
            }
        }
    }
}

/// A style, and whether the text in it is one that a spreadsheet would take for a formula.
type Look = (Style, bool);

fn look((style, is_live): Look) -> Format {
    let format = style.format();
    if is_live { format.set_num_format("@").set_quote_prefix() } else { format }
}

/// Whether a spreadsheet takes this text for a formula as soon as somebody opens its cell and leaves it again.
fn is_live(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// Rows that a chart stands in front of, and its width.
const CHART_ROWS: usize = 16;
const CHART_PIXELS: u32 = 960;

/// What is written into a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// A text; one that begins with `=` stays a text.
    Text(String),
    /// A number.
    Number(f64),
    /// A formula and the value it has.
    Formula {
        /// With its `=`.
        text: String,
        /// What a reader shows that does not recalculate.
        cached: String,
    },
    /// Days since 1899-12-30 under a date format.
    Serial(f64),
    /// Only the style.
    Blank,
}

/// Figures as bars, beside the labels in the second column of their sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Its title.
    pub title: String,
    /// The sheet of the figures.
    pub sheet: String,
    /// Their rows, inclusive.
    pub rows: (u32, u32),
    /// Their column.
    pub column: u16,
}

/// Print set-up of a sheet.
#[derive(Debug, Clone, Copy)]
pub struct Print {
    /// A4 on its side.
    pub landscape: bool,
    /// Rows repeated on every page, inclusive.
    pub repeat_rows: (u32, u32),
    /// Pages beside each other.
    pub pages_wide: u16,
    /// Columns repeated on every page, inclusive.
    pub repeat_columns: Option<(u16, u16)>,
}

/// A workbook that is being written.
pub struct Book {
    workbook: Workbook,
    formats: HashMap<Look, Format>,
    /// What was written, where it is to be sealed.
    cells: Option<Cells>,
    has_pictures: bool,
    properties: DocProperties,
    footer: String,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Book").finish_non_exhaustive()
    }
}

/// The foot of each page.
const PAGES: &str = "&C第 &P 页 共 &N 页";

/// Days and seconds of the creation time.
#[derive(Debug, Clone, Copy)]
pub struct Created {
    /// Seconds since 1970.
    pub unix_s: i64,
}

impl Book {
    /// A workbook that says it was made by Taizhang at this time.
    pub fn new(title: &str, created: Created) -> Result<Self, WriteError> {
        let mut workbook = Workbook::new();
        let created = ExcelDateTime::from_timestamp(created.unix_s)?;
        let properties =
            DocProperties::new().set_title(title).set_author("台账通 Taizhang").set_creation_datetime(&created);
        workbook.set_properties(&properties);
        let footer = PAGES.to_owned();
        Ok(Self { workbook, formats: HashMap::new(), cells: None, has_pictures: false, properties, footer })
    }

    /// Says in the properties of the file, and in the foot of each page written from now on, whom it is handed to.
    pub fn hand_to(&mut self, reader: &str) {
        self.workbook.set_properties(&self.properties.clone().set_comment(reader));
        self.footer = format!("&L{}{PAGES}", reader.replace('&', "&&"));
    }

    /// Notes from now on what is written, to be sealed.
    pub fn record(&mut self) {
        self.cells = Some(Cells::new());
    }

    /// What was written since, and nothing is noted any more.
    pub fn recorded(&mut self) -> Cells {
        self.cells.take().unwrap_or_default()
    }

    /// A sheet that was written before.
    pub fn reopened(&mut self, name: &str) -> Result<Page<'_>, WriteError> {
        let sheet = self.workbook.worksheet_from_name(name)?;
        Ok(Page { sheet, formats: &mut self.formats, cells: None, footer: &self.footer })
    }

    /// A sheet of charts.
    pub fn charts(&mut self, name: &str, charts: &[Chart]) -> Result<(), WriteError> {
        let sheet = self.workbook.add_worksheet();
        sheet.set_name(name)?;
        for (row, chart) in (0u32..).step_by(CHART_ROWS).zip(charts) {
            let (first, last) = chart.rows;
            let mut drawn = rust_xlsxwriter::Chart::new(rust_xlsxwriter::ChartType::Column);
            drawn.add_series().set_categories((chart.sheet.as_str(), first, 1, last, 1)).set_values((
                chart.sheet.as_str(),
                first,
                chart.column,
                last,
                chart.column,
            ));
            drawn.title().set_name(&chart.title);
            drawn.legend().set_hidden();
            drawn.set_width(CHART_PIXELS).set_height(300);
            sheet.insert_chart(row, 0, &drawn)?;
        }
        sheet.set_paper_size(9).set_landscape().set_print_fit_to_pages(1, 0);
        Ok(())
    }

    /// A picture on a sheet that was written before, so many pixels wide.
    pub fn picture(
        &mut self,
        sheet: &str,
        (row, column): (u32, u16),
        png: &[u8],
        pixels: u32,
    ) -> Result<(), WriteError> {
        let image = Image::new_from_buffer(png)?.set_scale_to_size(pixels, pixels, true);
        self.workbook.worksheet_from_name(sheet)?.insert_image(row, column, &image)?;
        self.has_pictures = true;
        Ok(())
    }

    /// A sheet that is kept in memory until the workbook is saved; cells in any order.
    pub fn sheet(&mut self, name: &str) -> Result<Page<'_>, WriteError> {
        let sheet = self.workbook.add_worksheet();
        sheet.set_name(name)?;
        let cells = self.cells.as_mut().map(|cells| cells.entry(name.to_owned()).or_default());
        Ok(Page { sheet, formats: &mut self.formats, cells, footer: &self.footer })
    }

    /// A sheet for long lists: rows are written in order and leave memory at once.
    pub fn long_sheet(&mut self, name: &str) -> Result<Page<'_>, WriteError> {
        let sheet = self.workbook.add_worksheet_with_constant_memory()?;
        sheet.set_name(name)?;
        Ok(Page { sheet, formats: &mut self.formats, cells: None, footer: &self.footer })
    }

    /// Writes the file whole, or not at all: a temporary file beside it takes its name at the end.
    pub fn save(mut self, path: &std::path::Path) -> Result<(), WriteError> {
        let temporary = path.with_extension("xlsx.part");
        if self.has_pictures {
            std::fs::write(&temporary, self.bytes()?).map_err(XlsxError::IoError)?;
        } else {
            self.workbook.save(&temporary)?;
        }
        std::fs::rename(&temporary, path).map_err(XlsxError::IoError)?;
        Ok(())
    }

    /// The file in memory.
    pub fn bytes(mut self) -> Result<Vec<u8>, WriteError> {
        let bytes = self.workbook.save_to_buffer()?;
        if !self.has_pictures {
            return Ok(bytes);
        }
        Ok(packed_again(bytes).map_err(|e| XlsxError::IoError(std::io::Error::other(e)))?)
    }
}

/// The same archive with the size of each file in front of it: written as a stream, an uncompressed file has no size there,
/// and not every reader finds its end.
fn packed_again(bytes: Vec<u8>) -> zip::result::ZipResult<Vec<u8>> {
    let mut from = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut to = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for file in 0..from.len() {
        to.raw_copy_file(from.by_index_raw(file)?)?;
    }
    Ok(to.finish()?.into_inner())
}

/// A sheet that is being written.
pub struct Page<'a> {
    sheet: &'a mut Worksheet,
    formats: &'a mut HashMap<Look, Format>,
    cells: Option<&'a mut BTreeMap<(u32, u16), String>>,
    footer: &'a str,
}

impl std::fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

impl Page<'_> {
    /// Writes one cell.
    pub fn put(&mut self, row: u32, column: u16, value: &Out, style: Style) -> Result<(), WriteError> {
        self.note_down(row, column, value);
        let is_live = matches!(value, Out::Text(text) if is_live(text));
        let format = self.formats.entry((style, is_live)).or_insert_with(|| look((style, is_live)));
        match value {
            Out::Text(text) if text.is_empty() => self.sheet.write_blank(row, column, format)?,
            // A cell holds at most 32,767 characters.
            Out::Text(text) if text.chars().count() > 32_000 => {
                let cut: String = text.chars().take(32_000).collect();
                self.sheet.write_string_with_format(row, column, format!("{cut}…(过长，见系统)"), format)?
            }
            Out::Text(text) => self.sheet.write_string_with_format(row, column, text, format)?,
            Out::Number(number) | Out::Serial(number) => {
                self.sheet.write_number_with_format(row, column, *number, format)?
            }
            Out::Formula { text, cached } => {
                let formula = Formula::new(text).set_result(cached);
                self.sheet.write_formula_with_format(row, column, formula, format)?
            }
            Out::Blank => self.sheet.write_blank(row, column, format)?,
        };
        Ok(())
    }

    fn note_down(&mut self, row: u32, column: u16, value: &Out) {
        let Some(cells) = &mut self.cells else { return };
        let text = match value {
            Out::Text(text) => text.trim().to_owned(),
            Out::Number(value) | Out::Serial(value) => number(*value),
            Out::Formula { cached, .. } => cached.parse().map_or_else(|_| cached.clone(), number),
            Out::Blank => String::new(),
        };
        if !text.is_empty() {
            cells.insert((row, column), text);
        }
    }

    /// Merges a range and writes its text; a range of one cell is only written.
    pub fn merge(&mut self, from: (u32, u16), to: (u32, u16), text: &str, style: Style) -> Result<(), WriteError> {
        if from == to {
            return self.put(from.0, from.1, &Out::Text(text.to_owned()), style);
        }
        self.note_down(from.0, from.1, &Out::Text(text.to_owned()));
        let is_live = is_live(text);
        let format = self.formats.entry((style, is_live)).or_insert_with(|| look((style, is_live))).clone();
        self.sheet.merge_range(from.0, from.1, to.0, to.1, text, &format)?;
        Ok(())
    }

    /// A note on a cell.
    pub fn note(&mut self, row: u32, column: u16, text: &str) -> Result<(), WriteError> {
        let note = Note::new(text).add_author_prefix(false).set_width(240).set_height(90);
        self.sheet.insert_note(row, column, &note)?;
        Ok(())
    }

    /// Columns as wide as what they hold, within reason.
    pub fn fit(&mut self) {
        self.sheet.set_autofit_max_width(160).autofit();
    }

    /// Width in characters.
    pub fn width(&mut self, column: u16, characters: f64) -> Result<(), WriteError> {
        self.sheet.set_column_width(column, characters)?;
        Ok(())
    }

    /// Height in points.
    pub fn height(&mut self, row: u32, points: f64) -> Result<(), WriteError> {
        self.sheet.set_row_height(row, points)?;
        Ok(())
    }

    /// Offers a list to choose from: `"甲,乙"` in quotes, or a range of cells. Other texts may be typed, too.
    pub fn choice(&mut self, from: (u32, u16), to: (u32, u16), list: &str) -> Result<(), WriteError> {
        let validation = DataValidation::new()
            .allow_list_formula(Formula::new(list))
            .set_error_style(DataValidationErrorStyle::Information);
        self.sheet.add_data_validation(from.0, from.1, to.0, to.1, &validation)?;
        Ok(())
    }

    /// Hides the sheet.
    pub fn hide(&mut self) {
        self.sheet.set_hidden(true);
    }

    /// Shows this sheet when the workbook is opened: the first may be a hidden one.
    pub fn show_first(&mut self) {
        self.sheet.set_active(true);
        self.sheet.set_first_tab(true);
    }

    /// Hides a column.
    pub fn hide_column(&mut self, column: u16) -> Result<(), WriteError> {
        self.sheet.set_column_hidden(column)?;
        Ok(())
    }

    /// Hides a row.
    pub fn hide_row(&mut self, row: u32) -> Result<(), WriteError> {
        self.sheet.set_row_hidden(row)?;
        Ok(())
    }

    /// Keeps the rows above and the columns left of a cell in view.
    pub fn freeze(&mut self, row: u32, column: u16) -> Result<(), WriteError> {
        self.sheet.set_freeze_panes(row, column)?;
        Ok(())
    }

    /// A4, header repeated, pages numbered; margins of annexed tables (GB/T 9704).
    pub fn print(&mut self, print: Print) -> Result<(), WriteError> {
        let inch = |mm: f64| mm / 25.4;
        self.sheet.set_paper_size(9);
        if print.landscape {
            self.sheet.set_landscape();
            self.sheet.set_margins(inch(35.0), inch(37.0), inch(28.0), inch(26.0), inch(12.0), inch(12.0));
        } else {
            self.sheet.set_margins(inch(28.0), inch(26.0), inch(37.0), inch(35.0), inch(12.0), inch(12.0));
        }
        self.sheet.set_print_fit_to_pages(print.pages_wide, 0);
        if let Some((from, to)) = print.repeat_columns {
            self.sheet.set_repeat_columns(from, to)?;
        }
        self.sheet.set_repeat_rows(print.repeat_rows.0, print.repeat_rows.1)?;
        self.sheet.set_footer(self.footer);
        Ok(())
    }
}
