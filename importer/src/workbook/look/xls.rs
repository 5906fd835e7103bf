//! Looking at an .xls of Excel 97 or later: what cells say comes from the reader of records, how they look from the file's
//! own records.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read},
    sync::Arc,
};

use super::{
    CellLook, Look, Room, SheetLook, ZERO, formula, number,
    number_format::{self, GENERAL},
    page,
    parts::digest,
    styles::{BLACK, Letters, Rgb, WHITE},
    text,
    xls_drawing::{self, Drawings},
    xls_formula::{self, Shared},
    xlsx_sheet::{HEIGHT_MIN, hidden_column, hidden_row, merged, page_name},
};
use crate::workbook::{
    excel,
    grid::{Cell, address},
    ole,
    read::{ReadError, ReadLimits, damaged},
};

/// Widths of columns are counted in parts of a character, heights of rows in parts of a point.
const WIDTH_PARTS: f64 = 256.0;
const HEIGHT_PARTS: f64 = 20.0;
const WIDTH_MIN: f64 = 0.5;

/// Records whose contents show or hide something that is not told otherwise.
const TOLD: [(u16, &str); 10] = [
    (0x01b0, "条件格式 conditional formats"),
    (0x087a, "条件格式 conditional formats"),
    (0x01b8, "链接 hyperlink"),
    (0x00b0, "数据透视表 pivot table"),
    (0x0022, "1904 日期 dates from 1904"),
    (0x000e, "按显示精度计算 computed as displayed"),
    (0x00e9, "背景 background"),
    (0x01ae, "外部链接 external links"),
    (0x00d3, "宏 macros"),
    (0x0236, "模拟运算表 data table"),
];

/// The records of a stream: kind and contents, those that go on joined.
struct Records<'b>(&'b [u8]);

impl<'b> Iterator for Records<'b> {
    type Item = (usize, u16, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [k0, k1, l0, l1, rest @ ..] = self.0 else { return None };
        let length = usize::from(u16::from_le_bytes([*l0, *l1]));
        let (data, next) = rest.split_at_checked(length)?;
        self.0 = next;
        Some((next.len(), u16::from_le_bytes([*k0, *k1]), data))
    }
}

pub(super) fn word(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes([*data.get(at)?, *data.get(at + 1)?]))
}

fn double(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(word(data, at)?) | u32::from(word(data, at + 2)?) << 16)
}

/// A text with its length before it, in one byte or two.
pub(super) fn string(data: &[u8], wide: bool) -> Option<String> {
    let (length, rest) = if wide {
        (usize::from(word(data, 0)?), data.get(2..)?)
    } else {
        (usize::from(*data.first()?), data.get(1..)?)
    };
    let (flags, rest) = rest.split_first()?;
    if flags & 1 == 0 {
        return Some(rest.get(..length)?.iter().map(|byte| char::from(*byte)).collect());
    }
    let units: Vec<u16> = rest.get(..2 * length)?.chunks(2).filter_map(|pair| word(pair, 0)).collect();
    Some(String::from_utf16_lossy(&units))
}

/// What is said once for the workbook.
#[derive(Default)]
struct Globals {
    fonts: Vec<Letters>,
    codes: BTreeMap<u16, String>,
    /// For each style of cells: font, format, what else is to be said, what is behind.
    styles: Vec<(usize, u16, String, Option<Rgb>)>,
    has_palette: bool,
    /// Where each sheet begins, and whether it is seen.
    sheets: Vec<(usize, bool, u8)>,
    /// Pictures by their number from 1.
    drawings: Vec<u8>,
    facts: BTreeSet<String>,
}

impl Globals {
    fn read(stream: &[u8]) -> Self {
        let mut own = Self::default();
        let mut before = 0;
        for (_, kind, data) in Records(stream) {
            match kind {
                0x000a => break,
                0x0085 => {
                    let at = double(data, 0).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
                    let state = data.get(4).copied().unwrap_or(0) & 3;
                    own.sheets.push((at, state == 0, data.get(5).copied().unwrap_or(0)));
                }
                0x0031 => own.font(data),
                0x041e => {
                    if let (Some(id), Some(code)) = (word(data, 0), data.get(2..).and_then(|rest| string(rest, true))) {
                        own.codes.insert(id, number_format::normalised(&code));
                    }
                }
                0x00e0 => own.style(data),
                0x0092 => own.has_palette = true,
                0x00eb => own.drawings.extend_from_slice(data),
                0x003c if before == 0x00eb => {
                    own.drawings.extend_from_slice(data);
                    continue;
                }
                _ => own.facts.extend(fact(kind, data)),
            }
            before = kind;
        }
        own
    }

    fn font(&mut self, data: &[u8]) {
        let number = |at| word(data, at).unwrap_or(0);
        // There is no fourth font: what follows it is counted as the fifth.
        if self.fonts.len() == 4 {
            self.fonts.push(Letters::default());
        }
        let colour = number(4);
        self.fonts.push(Letters {
            font: data.get(14..).and_then(|rest| string(rest, false)).unwrap_or_default(),
            points: f64::from(number(0)) / HEIGHT_PARTS,
            colour: Self::colour(colour),
            is_struck: number(2) & 0x08 != 0,
            is_raised: number(8) != 0,
        });
    }

    /// The colours that every file has; a palette comes behind the fonts, and then none of the others can be told.
    fn colour(index: u16) -> Option<Rgb> {
        match index {
            0 | 8 | 64 | 0x7fff => Some(BLACK),
            1 | 9 | 65 => Some(WHITE),
            _ => None,
        }
    }

    fn style(&mut self, data: &[u8]) {
        let number = |at| word(data, at).unwrap_or(0);
        let mut said = String::new();
        let alignment = number(6);
        if alignment & 7 == 4 {
            said.push_str(" repeated");
        }
        if alignment >> 8 != 0 {
            said.push_str(" turned");
        }
        if number(8) >> 6 & 3 == 2 {
            said.push_str(" from the right");
        }
        let pattern = double(data, 14).unwrap_or(0) >> 26;
        let colours = number(18);
        let behind = match pattern {
            0 => Some(WHITE),
            1 => Self::colour(colours & 0x7f),
            _ => None,
        };
        self.styles.push((usize::from(number(0)), number(2), said, behind));
    }

    fn look(&self, style: u16, says: &str) -> Result<Arc<str>, ReadError> {
        let (font, format, said, behind) =
            self.styles.get(usize::from(style)).ok_or_else(|| damaged("a style that is not there"))?;
        let code = match self.codes.get(format) {
            Some(code) => code.clone(),
            None => number_format::built_in(u32::from(*format)).map_or_else(|| format.to_string(), str::to_owned),
        };
        let plain = Letters::default();
        let letters = self.fonts.get(*font).unwrap_or(&plain);
        // A palette of one's own gives every colour another meaning, the first and last ones not.
        let letters = letters.said(*behind);
        let code = if code.is_empty() { GENERAL } else { &code };
        Ok(format!("{}{letters}{said}", number_format::of_value(code, says)).trim().into())
    }
}

fn fact(kind: u16, data: &[u8]) -> Option<String> {
    // Two of them say by a number whether they mean anything.
    match kind {
        0x0022 if word(data, 0) != Some(1) => return None,
        0x000e if word(data, 0) != Some(0) => return None,
        // The workbook itself.
        0x01ae if data.get(2..4) == Some(&[0x01, 0x04]) => return None,
        _ => {}
    }
    TOLD.iter().find(|(told, _)| *told == kind).map(|(_, what)| (*what).to_owned())
}

pub(super) fn look(bytes: &[u8], limits: &ReadLimits) -> Result<Look, ReadError> {
    ole::check(bytes)?;
    let mut container = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(damaged)?;
    let is_book = |name: &str| name.eq_ignore_ascii_case("workbook");
    let found: Vec<_> = container.walk().filter(cfb::Entry::is_stream).map(|entry| entry.path().to_owned()).collect();
    let mut books = found.iter().filter(|path| path.file_name().is_some_and(|name| is_book(&name.to_string_lossy())));
    let path = books.next().ok_or_else(|| damaged("no workbook in it"))?;
    if books.next().is_some() || found.iter().any(|path| path.to_string_lossy().to_lowercase().contains("vba")) {
        return Err(damaged("more than a workbook in it"));
    }
    let mut stream = Vec::new();
    let reader = container.open_stream(path).map_err(damaged)?;
    reader.take(limits.file_bytes_max as u64).read_to_end(&mut stream).map_err(damaged)?;
    let globals = Globals::read(&stream);
    let workbook = excel::xls(bytes, limits)?;
    let mut look = Look { facts: globals.facts.clone(), ..Look::default() };
    let mut room = Room::new(limits);
    let pictures = xls_drawing::pictures(&globals.drawings, digest);
    for (sheet, (at, is_visible, kind)) in workbook.sheets.iter().zip(&globals.sheets) {
        let records = stream.get(*at..).ok_or_else(|| damaged("a sheet that is not there"))?;
        let mut own = SheetLook { name: sheet.name.clone(), is_visible: *is_visible, ..SheetLook::default() };
        if *kind != 0 {
            own.facts.insert("不是普通工作表 no sheet of cells".to_owned());
        }
        let styled = Styled::read(records, &mut own.facts, &pictures)?;
        own.facts.extend(sheet.merges.iter().map(|merge| {
            let end = address(merge.bottom, u16::try_from(merge.right).unwrap_or(u16::MAX));
            merged(&format!("{}:{end}", address(merge.top, u16::try_from(merge.left).unwrap_or(u16::MAX))))
        }));
        for index in 0..sheet.row_count() {
            let row = sheet.row_number(index);
            for (column, cell) in sheet.row(index) {
                let says = match cell {
                    Cell::Text(id) => text(workbook.texts.get(*id)),
                    Cell::Number { value, .. } => number(*value),
                    Cell::Date(stamp) => number(stamp.serial()),
                    Cell::Bool(flag) => format!("b{}", u8::from(*flag)),
                    Cell::Error => "e".to_owned(),
                    Cell::Uncomputed => String::new(),
                };
                room.cell(says.len())?;
                let place = (row, *column);
                let says = styled.results.get(&place).cloned().unwrap_or(says);
                let says = if styled.is_shared(place) && says == number(0.0) { ZERO.to_owned() } else { says };
                let formula = styled.formula(place);
                let looks = globals.look(styled.styles.get(&place).copied().unwrap_or(15), &says)?;
                own.cells.insert(place, CellLook { says: says.into(), formula, looks });
            }
        }
        styled.tell(&mut own);
        look.sheets.push(own);
    }
    if workbook.sheets.len() != globals.sheets.len() {
        return Err(damaged("sheets that cannot be looked at"));
    }
    Ok(look)
}

/// What the records of a sheet say of its cells besides what they hold.
#[derive(Default)]
struct Styled {
    styles: BTreeMap<(u32, u16), u16>,
    /// The tokens of formulas.
    formulas: BTreeMap<(u32, u16), Vec<u8>>,
    shared: Shared,
    /// Texts that formulas come to.
    results: BTreeMap<(u32, u16), String>,
    hidden_rows: BTreeSet<u32>,
    hidden_columns: Vec<(u16, u16)>,
}

impl Styled {
    fn read(stream: &[u8], facts: &mut BTreeSet<String>, pictures: &[String]) -> Result<Self, ReadError> {
        let mut own = Self::default();
        let mut drawings = Drawings::default();
        let (mut depth, mut before) = (0, 0);
        let mut last = (0, 0);
        for (_, kind, data) in Records(stream) {
            let number = |at| word(data, at).unwrap_or(0);
            match kind {
                0x0809 => depth += 1,
                0x000a => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                // Charts have streams of their own inside.
                _ if depth > 1 => {}
                0x0006 | 0x0201 | 0x0203 | 0x0204 | 0x0205 | 0x027e | 0x00fd | 0x00d6 => {
                    let place = (u32::from(number(0)), number(2));
                    own.styles.insert(place, number(4));
                    if kind == 0x0006 {
                        last = (number(0), number(2));
                        // A text that it comes to stands in a record of its own.
                        if number(12) == 0xffff && data.get(6) == Some(&0) {
                            own.results.insert(place, String::new());
                        }
                        let end = 22 + usize::from(number(20));
                        own.formulas.insert(place, data.get(22..end).unwrap_or_default().to_vec());
                    }
                }
                0x0207 => {
                    let place = (u32::from(last.0), last.1);
                    own.results.insert(place, text(&string(data, true).unwrap_or_default()));
                }
                // It follows the first of the cells that it is for.
                0x04bc => {
                    let end = 10 + usize::from(number(8));
                    own.shared.insert(last, data.get(10..end).unwrap_or_default().to_vec());
                }
                0x00bd => {
                    let cells = data.get(4..data.len().saturating_sub(2)).unwrap_or_default();
                    for (column, cell) in (number(2)..).zip(cells.chunks(6)) {
                        own.styles.insert((u32::from(number(0)), column), word(cell, 0).unwrap_or(15));
                    }
                }
                0x0208 => {
                    let (height, flags) = (number(6) & 0x7fff, number(12));
                    if flags & 0x20 != 0 || f64::from(height) / HEIGHT_PARTS < HEIGHT_MIN {
                        own.hidden_rows.insert(u32::from(number(0)));
                    }
                }
                0x007d => {
                    if number(8) & 1 != 0 || f64::from(number(4)) / WIDTH_PARTS < WIDTH_MIN {
                        own.hidden_columns.push((number(0), number(2)));
                    }
                }
                0x0225 if number(0) & 2 != 0 => drop(facts.insert("各行被隐藏 rows are hidden".to_owned())),
                0x0014 | 0x0015 if !data.is_empty() => {
                    let said = page::normalised(&string(data, true).unwrap_or_default());
                    if said != "||" {
                        let name = page_name(if kind == 0x0014 { "oddHeader" } else { "oddFooter" });
                        facts.insert(format!("{name}: {said}"));
                    }
                }
                0x023e => {
                    let flags = number(0);
                    let said = [(0x01, true, "showFormulas"), (0x10, false, "showZeros"), (0x40, true, "rightToLeft")];
                    for (bit, is_told_if_set, name) in said {
                        if (flags & bit != 0) == is_told_if_set {
                            facts.insert(format!("视图 view: {name}"));
                        }
                    }
                }
                0x00ec => drawings.shapes(data),
                0x003c if before == 0x00ec => {
                    drawings.shapes(data);
                    continue;
                }
                0x005d => drawings.object(data),
                0x001c => drop(facts.insert("批注 note".to_owned())),
                _ => facts.extend(fact(kind, data)),
            }
            before = kind;
        }
        drawings.tell(pictures, facts)?;
        Ok(own)
    }

    /// Whether its formula is written for several cells.
    fn is_shared(&self, place: (u32, u16)) -> bool {
        self.formulas.get(&place).is_some_and(|tokens| tokens.first() == Some(&0x01))
    }

    fn formula(&self, place: (u32, u16)) -> Option<String> {
        let tokens = self.formulas.get(&place)?;
        let cell = (u16::try_from(place.0).unwrap_or(u16::MAX), place.1);
        Some(formula::normalised(&xls_formula::said(tokens, cell, &self.shared)))
    }

    fn tell(&self, sheet: &mut SheetLook) {
        let rows: BTreeSet<u32> = sheet.cells.keys().map(|(row, _)| *row).collect();
        let columns: BTreeSet<u16> = sheet.cells.keys().map(|(_, column)| *column).collect();
        sheet.facts.extend(rows.intersection(&self.hidden_rows).map(|row| hidden_row(*row)));
        for column in columns {
            if self.hidden_columns.iter().any(|(from, to)| (*from..=*to).contains(&column)) {
                sheet.facts.insert(hidden_column(column));
            }
        }
    }
}
