//! What a reader sees of a workbook: its sheets in their order, every cell with what it says, how it is computed and how
//! it looks, and all else that shows or hides something. Other than the reader of records it knows no kindness: what it does
//! not know, it names.

mod chart;
mod drawing;
mod formula;
mod node;
mod number_format;
mod ods;
mod ods_styles;
mod page;
mod parts;
mod styles;
mod xls;
mod xls_drawing;
mod xls_formula;
mod xlsx;
mod xlsx_sheet;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::{
    grid::address,
    read::{ReadError, ReadLimits},
    sniff::{OLE, ZIP},
};

pub use xlsx::{part_of_sheet, parts_digest};

/// A cell that says something.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CellLook {
    /// What it says: a letter for its kind, then the value. Empty, if the file does not say.
    #[n(0)]
    #[cbor(with = "shared_text")]
    pub says: Arc<str>,
    /// How it is computed, if it is.
    #[n(1)]
    pub formula: Option<String>,
    /// How it looks, as far as that changes what is read.
    #[n(2)]
    #[cbor(with = "shared_text")]
    pub looks: Arc<str>,
}

/// A text that many cells share, as bytes.
mod shared_text {
    use std::sync::Arc;

    use minicbor::{
        Decoder, Encoder,
        decode::Error as DecodeError,
        encode::{Error as EncodeError, Write},
    };

    pub(super) fn encode<C, W: Write>(
        text: &Arc<str>,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        to.str(text)?.ok()
    }

    pub(super) fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<Arc<str>, DecodeError> {
        from.str().map(Arc::from)
    }
}

/// A sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct SheetLook {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Whether people see it.
    #[n(1)]
    pub is_visible: bool,
    /// Its cells, by row and column from 0.
    #[n(2)]
    pub cells: BTreeMap<(u32, u16), CellLook>,
    /// What else there is to be seen, or keeps something from being seen.
    #[n(3)]
    pub facts: BTreeSet<String>,
    /// A digest of how it is dressed (letters, lines, widths, pages), which changes nothing that is read; of an .xlsx only.
    #[n(4)]
    pub dress: Option<String>,
}

/// A workbook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Look {
    /// Its sheets in order.
    #[n(0)]
    pub sheets: Vec<SheetLook>,
    /// What holds for all of it.
    #[n(1)]
    pub facts: BTreeSet<String>,
}

/// What kind of thing is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A cell says something else.
    Value,
    /// A cell is computed in another way.
    Formula,
    /// A cell looks different: its number format, or it can hardly be seen.
    Format,
    /// A cell that was empty.
    Added,
    /// A cell that is empty now.
    Gone,
    /// A sheet is missing.
    SheetGone,
    /// There is another sheet.
    SheetAdded,
    /// Sheets stand in another order.
    SheetOrder,
    /// A sheet is hidden that was not.
    SheetHidden,
    /// A sheet is shown that was hidden.
    SheetShown,
    /// Something else that shows or hides: rows, columns, merged cells, pictures, notes, the foot of a page.
    Other,
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// What kind.
    pub what: What,
    /// On which sheet; empty, if of the whole workbook.
    pub sheet: String,
    /// `F17`; empty, if it is of no cell.
    pub cell: String,
    /// What it was.
    pub was: String,
    /// What it is.
    pub is: String,
}

/// Characters of what it was and is that are told.
const TOLD_MAX: usize = 60;

impl Difference {
    /// `按填报单位!D8`.
    pub fn place(&self) -> String {
        match (self.sheet.as_str(), self.cell.as_str()) {
            ("", _) => "工作簿 workbook".to_owned(),
            (sheet, "") => sheet.to_owned(),
            (sheet, cell) => format!("{sheet}!{cell}"),
        }
    }

    /// In a sentence.
    pub fn sentence(&self) -> String {
        let (chinese, english) = match self.what {
            What::Value => ("数值或文字被改", "says something else"),
            What::Formula => ("公式被改", "is computed in another way"),
            What::Format => ("显示格式被改", "looks different"),
            What::Added => ("原为空白，现有内容", "was empty, and is not"),
            What::Gone => ("内容被删", "says nothing any more"),
            What::SheetGone => ("工作表缺失", "the sheet is missing"),
            What::SheetAdded => ("多出的工作表", "a sheet that was not there"),
            What::SheetOrder => ("工作表顺序被改", "the sheets stand in another order"),
            What::SheetHidden => ("工作表被隐藏", "the sheet was hidden"),
            What::SheetShown => ("隐藏的工作表被显示", "a hidden sheet is shown"),
            What::Other => ("影响阅读的内容被增删", "something that shows or hides was changed"),
        };
        let place = self.place();
        let told = match (self.was.is_empty(), self.is.is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!("（原 was {}）", self.was),
            (true, false) => format!("（现 is {}）", self.is),
            (false, false) => format!("（{} → {}）", self.was, self.is),
        };
        format!("{place}：{chinese}{told} | {place}: {english}")
    }
}

/// Whether a file is of a kind that can bear a seal: the others are not looked at.
pub fn may_be_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP) || bytes.starts_with(OLE)
}

/// Looks at a workbook. A format in which not everything can be looked at is refused.
pub fn look(bytes: &[u8], limits: &ReadLimits) -> Result<Look, ReadError> {
    if bytes.len() > limits.file_bytes_max {
        return Err(ReadError::TooLarge { what: "字节 bytes", limit: limits.file_bytes_max as u64 });
    }
    let looked = std::panic::catch_unwind(|| {
        if bytes.starts_with(ZIP) {
            // One of the two is there.
            return match ods::look(bytes, limits)? {
                Some(look) => Ok(look),
                None => xlsx::look(bytes, limits),
            };
        }
        if bytes.starts_with(OLE) {
            return xls::look(bytes, limits);
        }
        Err(ReadError::NotAWorkbook("能核对的是 .xlsx、.xls、.et、.ods only .xlsx, .xls, .et and .ods can be checked"))
    });
    looked.unwrap_or_else(|_| Err(ReadError::Damaged("reader failed".into())))
}

/// What the formula of an .xls says that comes to a zero, or to a text that the program has not written: LibreOffice does so
/// where one formula is written for several cells.
const ZERO: &str = "z0";

fn is_text_or_zero(says: &str) -> bool {
    says.starts_with('t') || says == number(0.0)
}

/// A number as cells show it: what is behind the tenth digit is the program's that saved it.
pub(crate) fn number(value: f64) -> String {
    // There is one zero.
    format!("n{:.9e}", value + 0.0)
}

/// A text as cells show it: blanks around it are not seen.
fn text(text: &str) -> String {
    format!("t{}", text.trim_matches([' ', '\n', '\r', '\t']))
}

/// What a cell says, for people.
fn told(says: &str) -> String {
    let value = says.get(1..).unwrap_or_default();
    let told = match says.as_bytes().first() {
        Some(b'n') => value.parse::<f64>().map_or_else(|_| value.to_owned(), |number| number.to_string()),
        _ => value.to_owned(),
    };
    told.chars().take(TOLD_MAX).collect()
}

impl CellLook {
    /// What it says, for people.
    pub fn words(&self) -> String {
        told(&self.says)
    }

    /// What it says as its number format shows it, for the formats that returns have.
    pub fn printed(&self) -> String {
        let Some(value) = self.says.strip_prefix('n').and_then(|number| number.parse::<f64>().ok()) else {
            return self.says.get(1..).unwrap_or_default().to_owned();
        };
        match &*self.looks {
            "0.0%" => format!("{:.1}%", value * 100.0),
            "0" => format!("{value:.0}"),
            "0.0" => format!("{value:.1}"),
            "0.00" => format!("{value:.2}"),
            _ => value.to_string(),
        }
    }
}

/// Room for what cells say: a text that is stored once may stand in every cell.
struct Room {
    cells: usize,
    bytes: u64,
    limits: ReadLimits,
}

impl Room {
    fn new(limits: &ReadLimits) -> Self {
        Self { cells: limits.cells_max, bytes: limits.inflated_bytes_max, limits: *limits }
    }

    /// Takes room for a cell.
    fn cell(&mut self, bytes: usize) -> Result<(), ReadError> {
        let limit = self.limits.cells_max as u64;
        self.cells = self.cells.checked_sub(1).ok_or(ReadError::TooLarge { what: "单元格 cells", limit })?;
        let limit = self.limits.inflated_bytes_max;
        let left = self.bytes.checked_sub(bytes as u64);
        self.bytes = left.ok_or(ReadError::TooLarge { what: "字节（文字）bytes of texts", limit })?;
        Ok(())
    }
}

impl Look {
    /// A digest of everything.
    pub fn digest(&self) -> String {
        let bytes = minicbor::to_vec(self).unwrap_or_default();
        data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
    }

    /// Whether another one is dressed in the same way, as far as both say.
    pub fn is_dressed_like(&self, other: &Look) -> bool {
        let pairs = self.sheets.iter().filter_map(|own| {
            let other = other.sheets.iter().find(|sheet| sheet.name == own.name)?;
            own.dress.as_ref().zip(other.dress.as_ref())
        });
        pairs.into_iter().all(|(own, other)| own == other)
    }

    /// What another one says differently, in order; what of it is only passed by is not told.
    pub fn differences(&self, other: &Look) -> Vec<Difference> {
        let mut found = Vec::new();
        let facts = |sheet: &str, was: &BTreeSet<String>, is: &BTreeSet<String>, found: &mut Vec<Difference>| {
            let fact = |was: &str, is: &str| Difference {
                what: What::Other,
                sheet: sheet.to_owned(),
                cell: String::new(),
                was: was.chars().take(TOLD_MAX).collect(),
                is: is.chars().take(TOLD_MAX).collect(),
            };
            found.extend(is.difference(was).map(|is| fact("", is)));
            found.extend(was.difference(is).map(|was| fact(was, "")));
        };
        facts("", &self.facts, &other.facts, &mut found);
        let of_sheet = |what, sheet: &SheetLook| Difference {
            what,
            sheet: sheet.name.clone(),
            cell: String::new(),
            was: String::new(),
            is: String::new(),
        };
        let named = |look: &Look, name: &str| look.sheets.iter().position(|sheet| sheet.name == name);
        let mut places = Vec::new();
        for sheet in &self.sheets {
            let Some(at) = named(other, &sheet.name) else {
                found.push(of_sheet(What::SheetGone, sheet));
                continue;
            };
            places.push(at);
            let is = &other.sheets[at];
            if sheet.is_visible != is.is_visible {
                found.push(of_sheet(if is.is_visible { What::SheetShown } else { What::SheetHidden }, sheet));
            }
            facts(&sheet.name, &sheet.facts, &is.facts, &mut found);
            sheet.compare(is, &mut found);
        }
        for sheet in other.sheets.iter().filter(|sheet| named(self, &sheet.name).is_none()) {
            found.push(of_sheet(What::SheetAdded, sheet));
        }
        if !places.is_sorted() {
            found.extend(self.sheets.first().map(|first| of_sheet(What::SheetOrder, first)));
        }
        found
    }
}

impl SheetLook {
    fn compare(&self, other: &SheetLook, found: &mut Vec<Difference>) {
        let difference = |what, (row, column): (u32, u16), was: String, is: String| Difference {
            what,
            sheet: self.name.clone(),
            cell: address(row, column),
            was,
            is,
        };
        let nothing = String::new;
        for (place, was) in &self.cells {
            let Some(is) = other.cells.get(place) else {
                found.push(difference(What::Gone, *place, was.words(), nothing()));
                continue;
            };
            // What computes the same from the same cells comes to the same, whether or not the file says to what.
            let is_computed = is.formula.is_some() && was.formula == is.formula;
            let is_left_out = is_computed && (is.says.is_empty() || &*is.says == ZERO && is_text_or_zero(&was.says));
            if was.says != is.says && !is_left_out {
                found.push(difference(What::Value, *place, was.words(), is.words()));
            }
            if was.formula != is.formula {
                let of = |cell: &CellLook| cell.formula.as_deref().unwrap_or_default().chars().take(TOLD_MAX).collect();
                found.push(difference(What::Formula, *place, of(was), of(is)));
            }
            if was.looks != is.looks {
                found.push(difference(What::Format, *place, was.looks.to_string(), is.looks.to_string()));
            }
        }
        for (place, is) in other.cells.iter().filter(|(place, _)| !self.cells.contains_key(place)) {
            found.push(difference(What::Added, *place, nothing(), is.words()));
        }
    }
}
