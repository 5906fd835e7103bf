//! The frame of a return's sheet: form number, title, meta line, header, 栏次, notes, signatures, print set-up.

use importer::{
    seal::NOTES,
    workbook::write::{Out, Page, Print, Style, WriteError},
};
use sync_protocol::catalogue::{Content, ReturnColumn, ReturnForm, Sheet};

use super::{ReturnRequest, chinese_date};

/// First row of the header, from 0.
pub(super) const HEADER_ROW: u32 = 3;

/// A sheet and what stands around its rows.
pub(super) struct Frame<'a> {
    pub(super) form: &'a ReturnForm,
    pub(super) sheet: &'a Sheet,
    pub(super) period: &'a str,
    pub(super) request: &'a ReturnRequest,
}

/// The first row of a sheet's table, below the header and the row of numbers.
pub(super) fn first_row(sheet: &Sheet) -> u32 {
    HEADER_ROW + u32::try_from(sheet.header_depth()).unwrap_or(1) + 1
}

/// Height of a line of a header in points.
const LINE_HEIGHT: f64 = 14.5;

/// Width of a letter of the title, in characters of a cell.
const TITLE_WIDTH: f64 = 3.9;
/// Lines of a row at most.
const LINES_MAX: f64 = 8.0;

/// The height that a row of texts needs in points.
pub(super) fn row_height<'a>(texts: impl Iterator<Item = (&'a ReturnColumn, &'a str)>) -> f64 {
    let lines = texts.map(|(column, text)| {
        // A letter of Chinese is as wide as two characters.
        let units: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
        (units as f64 / width(column)).ceil()
    });
    LINE_HEIGHT * lines.fold(1.0, f64::max).min(LINES_MAX) + 3.0
}

/// Width in characters.
fn width(column: &ReturnColumn) -> f64 {
    column.width.unwrap_or(match column.content {
        Content::Sequence => 5.5,
        Content::Group | Content::Organisation => 18.0,
        Content::Unit | Content::Cell(_) | Content::Text { .. } | Content::Blank => 12.0,
        Content::Indicator(_) => 10.0,
        _ => 8.2,
    })
}

fn at(column: usize) -> u16 {
    u16::try_from(column).unwrap_or(u16::MAX)
}

impl Frame<'_> {
    fn depth(&self) -> u32 {
        u32::try_from(self.sheet.header_depth()).unwrap_or(1)
    }

    fn last(&self) -> u16 {
        at(self.sheet.columns.len().saturating_sub(1))
    }

    /// The first row below the header and the row of numbers.
    pub(super) fn first_row(&self) -> u32 {
        first_row(self.sheet)
    }

    /// `青山县分类定级汇总表（2012年首次定级）`; of a merged return that lacks units, that it is not complete.
    pub(super) fn title(&self) -> String {
        let lacks = if self.request.unreported.is_empty() { "" } else { "（不完整汇总）" };
        format!("{}{}（{}）{lacks}", self.request.top.name, self.form.title, self.period)
    }

    /// Everything above the rows.
    pub(super) fn head(&self, page: &mut Page<'_>) -> Result<(), WriteError> {
        let last = self.last();
        let third = ((last + 1) / 3).max(1);
        page.merge((0, last + 1 - third), (0, last), &self.form.form_number, Style::FormNumber)?;
        let title = self.title();
        page.merge((1, 0), (1, last), &title, Style::Title)?;
        let room: f64 = self.sheet.columns.iter().map(width).sum();
        let lines = (title.chars().count() as f64 * TITLE_WIDTH / room).ceil().clamp(1.0, 3.0);
        page.height(1, 32.0 * lines)?;
        let unit = format!("填报单位（盖章）：{}", self.request.top.name);
        let date = format!("统计截止日期：{}", chinese_date(self.request.date));
        let units = format!("单位：{}", self.form.units);
        if last < 3 {
            page.merge((2, 0), (2, last), &[unit, date, units].join("　"), Style::MetaLeft)?;
        } else {
            // The first column alone holds only a number.
            let left = (third - 1).max(1);
            page.merge((2, 0), (2, left), &unit, Style::MetaLeft)?;
            page.merge((2, left + 1), (2, last - third), &date, Style::MetaCentre)?;
            page.merge((2, last + 1 - third), (2, last), &units, Style::MetaRight)?;
        }
        self.header(page)
    }

    /// Header levels: equal neighbours under equal parents are merged, short paths reach down.
    fn header(&self, page: &mut Page<'_>) -> Result<(), WriteError> {
        let (columns, depth) = (&self.sheet.columns, self.depth());
        let mut heights = vec![1.0_f64; depth as usize];
        let path = |column: usize| -> Vec<&str> {
            match (&columns[column].content, &self.sheet.header) {
                (Content::Group, Some(header)) => vec![header],
                _ => columns[column].header.iter().map(String::as_str).collect(),
            }
        };
        for (level, height) in heights.iter_mut().enumerate() {
            let mut column = 0;
            while column < columns.len() {
                let own = path(column);
                let mut end = column;
                while own.len() > level + 1
                    && end + 1 < columns.len()
                    && path(end + 1).get(..=level) == own.get(..=level)
                    && path(end + 1).len() > level + 1
                {
                    end += 1;
                }
                if let Some(text) = own.get(level) {
                    let row = HEADER_ROW + u32::try_from(level).unwrap_or(0);
                    let bottom = if own.len() == level + 1 { HEADER_ROW + depth - 1 } else { row };
                    let room = columns[column..=end].iter().map(width).sum::<f64>() * f64::from(bottom - row + 1);
                    *height = height.max((2.0 * text.chars().count() as f64 / room).ceil());
                    page.merge((row, at(column)), (bottom, at(end)), text, Style::Header)?;
                }
                column = end + 1;
            }
        }
        for (row, lines) in (HEADER_ROW..).zip(heights) {
            page.height(row, LINE_HEIGHT * lines.min(4.0) + 3.0)?;
        }
        for (column, declared) in (0u16..).zip(columns) {
            page.put(HEADER_ROW + depth, column, &Out::Text(declared.number.clone()), Style::ColumnNumber)?;
        }
        Ok(())
    }

    /// Everything below the rows, of which `row` is the first, and how the sheet is seen and printed.
    pub(super) fn foot(&self, page: &mut Page<'_>, mut row: u32, more: &[String]) -> Result<(), WriteError> {
        let (last, room) = (self.last(), self.sheet.columns.iter().map(width).sum::<f64>());
        for (index, note) in self.form.notes.iter().chain(more).chain(&self.request.notes).enumerate() {
            let text = if index == 0 { format!("{NOTES}1. {note}") } else { format!("　　{}. {note}", index + 1) };
            page.merge((row, 0), (row, last), &text, Style::Note)?;
            let units: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
            page.height(row, LINE_HEIGHT * (units as f64 / room).ceil().clamp(1.0, LINES_MAX))?;
            row += 1;
        }
        let date = chinese_date(self.request.date);
        let gap = if last < 10 { "　　　" } else { "　　　　　　　　" };
        let parts = ["单位负责人（签字）：", "审核人：", "填表人：", "联系电话：", &format!("填报日期：{date}")];
        page.merge((row, 0), (row, last), &parts.join(gap), Style::MetaLeft)?;
        page.height(row, 28.0)?;
        for (column, declared) in (0u16..).zip(&self.sheet.columns) {
            page.width(column, width(declared))?;
        }
        let first_row = self.first_row();
        page.freeze(first_row, 2)?;
        page.print(Print { landscape: last > 8, repeat_rows: (1, first_row - 1), pages_wide: 1, repeat_columns: None })
    }
}
