//! How cells look, as far as it changes what is read: number formats, and whatever makes a text hard to see.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    node::Node,
    number_format::{self, GENERAL},
    parts::Parts,
};
use crate::workbook::read::{ReadError, damaged};

/// A colour, by its parts.
pub(super) type Rgb = [u8; 3];

pub(super) const BLACK: Rgb = [0, 0, 0];
pub(super) const WHITE: Rgb = [255, 255, 255];
/// Letters of less contrast to what is behind them are not seen; letters of paper have 21.
const CONTRAST_MIN: f64 = 2.0;
/// Letters that are smaller, in points, are not seen.
const POINTS_MIN: f64 = 4.0;

/// Beginnings of the names of fonts in which a figure looks like itself.
const FONTS: [&str; 42] = [
    "宋体",
    "黑体",
    "楷体",
    "仿宋",
    "等线",
    "新宋体",
    "微软雅黑",
    "幼圆",
    "隶书",
    "方正",
    "华文",
    "思源",
    "文泉驿",
    "simsun",
    "simhei",
    "kaiti",
    "fangsong",
    "dengxian",
    "nsimsun",
    "microsoft yahei",
    "stsong",
    "stheiti",
    "calibri",
    "cambria",
    "aptos",
    "arial",
    "times new roman",
    "courier new",
    "tahoma",
    "verdana",
    "helvetica",
    "liberation",
    "dejavu",
    "noto",
    "wenquanyi",
    "source han",
    "carlito",
    "segoe ui",
    "ms sans serif",
    "georgia",
    "consolas",
    "sans",
];

/// The letters of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Letters {
    pub(super) font: String,
    pub(super) points: f64,
    /// None, if it cannot be told.
    pub(super) colour: Option<Rgb>,
    pub(super) is_struck: bool,
    pub(super) is_raised: bool,
}

impl Default for Letters {
    fn default() -> Self {
        Self { font: String::new(), points: 11.0, colour: Some(BLACK), is_struck: false, is_raised: false }
    }
}

impl Letters {
    /// What makes them hard to read before this colour, in words; nothing, if they are plain.
    pub(super) fn said(&self, behind: Option<Rgb>) -> String {
        let mut said = String::new();
        let font = self.font.to_lowercase();
        if !font.is_empty() && !FONTS.iter().any(|plain| font.starts_with(plain)) {
            said.push_str(" font:");
            said.push_str(&self.font);
        }
        if self.points < POINTS_MIN {
            said.push_str(" tiny");
        }
        let is_seen = self.colour.zip(behind).is_some_and(|(front, back)| contrast(front, back) >= CONTRAST_MIN);
        if !is_seen {
            said.push_str(" faint");
        }
        if self.is_struck {
            said.push_str(" struck");
        }
        if self.is_raised {
            said.push_str(" raised");
        }
        said
    }
}

/// The contrast of two colours, as WCAG 2 reckons it.
pub(super) fn contrast(one: Rgb, other: Rgb) -> f64 {
    let light = |colour: Rgb| {
        let part = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = colour;
        0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue)
    };
    let (one, other) = (light(one) + 0.05, light(other) + 0.05);
    one.max(other) / one.min(other)
}

/// `FF00AA11` or `00AA11`.
pub(super) fn rgb(hex: &str) -> Option<Rgb> {
    let hex = hex.trim().trim_start_matches('#');
    let hex = hex.get(hex.len().checked_sub(6)?..)?;
    let part = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

/// The styles of an .xlsx.
#[derive(Debug, Default)]
pub(super) struct Styles {
    /// For each style of cells, the code of its numbers and what else is to be said.
    looks: Vec<(String, String)>,
    /// For each style of cells, how it is dressed: what is given of letters, ground, lines and places.
    dresses: Vec<String>,
    fonts: Vec<Letters>,
    theme: Vec<Rgb>,
    /// Fonts of the theme: for headings, for the rest.
    theme_fonts: BTreeMap<String, String>,
    /// What was made of them: the same ones are stored once.
    made: std::cell::RefCell<BTreeMap<(usize, bool), Arc<str>>>,
}

impl Styles {
    pub(super) fn read(parts: &mut Parts<'_>, styles: Option<&str>, theme: Option<&str>) -> Result<Self, ReadError> {
        let mut read = Self::default();
        if let Some(root) = theme.map(|theme| parts.root(theme)).transpose()?.flatten() {
            read.take_theme(&root);
        }
        let Some(root) = styles.map(|styles| parts.root(styles)).transpose()?.flatten() else { return Ok(read) };
        let group = |name: &str| root.child(name).map(|group| group.children.as_slice()).unwrap_or_default();
        for name in ["numFmts", "fonts", "fills", "cellXfs", "cellStyleXfs", "colors"] {
            if root.all(name).count() > 1 {
                return Err(damaged("styles twice"));
            }
        }
        let mut codes: BTreeMap<u32, String> = BTreeMap::new();
        for format in group("numFmts") {
            let id: u32 = format.number_of("numFmtId").ok_or_else(|| damaged("a format without number"))?;
            let code = number_format::normalised(format.text_of("formatCode"));
            // What a program writes for a number that has a meaning already is told as what it is.
            let is_other = number_format::built_in(id).is_some_and(|known| known != code);
            codes.insert(id, if is_other { format!("{id}: {code}") } else { code });
        }
        let code = |node: &Node| {
            let id = node.number_of("numFmtId").unwrap_or(0);
            codes
                .get(&id)
                .cloned()
                .or_else(|| number_format::built_in(id).map(str::to_owned))
                .unwrap_or(format!("{id}"))
        };
        let has_palette = root.child("colors").is_some_and(|colours| colours.child("indexedColors").is_some());
        read.fonts = group("fonts").iter().map(|font| read.letters(font, has_palette)).collect();
        let fills: Vec<Option<Rgb>> = group("fills").iter().map(|fill| read.behind(fill, has_palette)).collect();
        let bases: Vec<String> = group("cellStyleXfs").iter().map(code).collect();
        let plain = Letters::default();
        for style in group("cellXfs") {
            let code = code(style);
            let letters = style.number_of::<usize>("fontId").and_then(|id| read.fonts.get(id)).unwrap_or(&plain);
            let behind =
                style.number_of::<usize>("fillId").and_then(|id| fills.get(id).copied()).unwrap_or(Some(WHITE));
            let mut said = letters.said(behind);
            // Where a style says that its number format is not its own, programs take that of the style below it.
            let base = style.number_of::<usize>("xfId").and_then(|id| bases.get(id)).map_or(GENERAL, String::as_str);
            let is_given_up = matches!(style.attribute("applyNumberFormat"), Some("0" | "false"));
            if *base != code && (is_given_up || base != GENERAL) {
                said.push_str(" below:");
                said.push_str(base);
            }
            said.push_str(&alignment(style.child("alignment")));
            if style.children.iter().any(|child| !matches!(child.name.as_str(), "alignment" | "protection")) {
                said.push_str(" more");
            }
            let part = |name: &str, id: &str| {
                let part = style.number_of::<usize>(id).and_then(|at| group(name).get(at));
                part.map(Node::canonical).unwrap_or_default()
            };
            let parts = [part("fonts", "fontId"), part("fills", "fillId"), part("borders", "borderId")];
            let place = style.child("alignment").map(Node::canonical).unwrap_or_default();
            read.dresses.push(format!("{}{place}", parts.concat()));
            read.looks.push((code, said));
        }
        Ok(read)
    }

    fn take_theme(&mut self, root: &Node) {
        root.walk(&mut |node| match node.name.as_str() {
            "clrScheme" => {
                let colour = |name: &str| {
                    let colour = node.child(name).and_then(|colour| colour.children.first());
                    colour.and_then(|c| rgb(c.attribute("lastClr").or(c.attribute("val"))?)).unwrap_or(WHITE)
                };
                // The first four stand in another order than they are counted in.
                self.theme = ["lt1", "dk1", "lt2", "dk2"].into_iter().map(colour).collect();
                self.theme.extend((1..=6).map(|number| colour(&format!("accent{number}"))));
            }
            "majorFont" | "minorFont" => {
                let latin = node.child("latin").map(|latin| latin.text_of("typeface").to_owned());
                let key = node.name.trim_end_matches("Font").to_owned();
                self.theme_fonts.insert(key, latin.unwrap_or_default());
            }
            _ => {}
        });
    }

    /// The letters of a font, or of a piece of text.
    pub(super) fn letters(&self, font: &Node, has_palette: bool) -> Letters {
        let of = |name: &str| font.child(name).map(|child| child.text_of("val"));
        let is = |name: &str| font.child(name).is_some_and(|child| child.attribute("val").is_none() || child.is("val"));
        let scheme = of("scheme").and_then(|scheme| self.theme_fonts.get(scheme)).filter(|font| !font.is_empty());
        let own = of("name").or(of("rFont")).unwrap_or_default();
        let plain = FONTS.iter().any(|plain| own.to_lowercase().starts_with(plain)) || own.is_empty();
        Letters {
            // Which of the two is taken is the program's: a strange one is told, whichever it is.
            font: scheme.filter(|_| plain).map_or(own, String::as_str).to_owned(),
            points: of("sz").and_then(|size| size.parse().ok()).unwrap_or(11.0),
            colour: font.child("color").map_or(Some(BLACK), |colour| self.colour(colour, has_palette)),
            is_struck: is("strike"),
            is_raised: of("vertAlign").is_some_and(|at| at != "baseline"),
        }
    }

    fn behind(&self, fill: &Node, has_palette: bool) -> Option<Rgb> {
        let Some(pattern) = fill.child("patternFill") else { return fill.children.is_empty().then_some(WHITE) };
        let colour = |name: &str| pattern.child(name).map(|colour| self.colour(colour, has_palette));
        match pattern.text_of("patternType") {
            "" | "none" => Some(WHITE),
            "solid" => colour("fgColor").unwrap_or(Some(BLACK)),
            // The second of every file, which no cell has.
            _ => None,
        }
    }

    fn colour(&self, colour: &Node, has_palette: bool) -> Option<Rgb> {
        let base = if let Some(hex) = colour.attribute("rgb") {
            rgb(hex)?
        } else if let Some(index) = colour.number_of::<u32>("indexed") {
            match index {
                0 | 8 | 64 if !has_palette || index == 64 => BLACK,
                1 | 9 | 65 if !has_palette || index == 65 => WHITE,
                _ => return None,
            }
        } else if let Some(index) = colour.number_of::<usize>("theme") {
            *self.theme.get(index).or([WHITE, BLACK].get(index).filter(|_| self.theme.is_empty()))?
        } else {
            // Automatic.
            BLACK
        };
        let tint = colour.number_of::<f64>("tint").unwrap_or(0.0);
        Some(base.map(|part| tinted(part, tint)))
    }

    /// How cells of a style are dressed.
    pub(super) fn dress(&self, style: usize) -> &str {
        self.dresses.get(style).map_or("", String::as_str)
    }

    /// The code of a style, and what else is to be said of it: once for each.
    pub(super) fn look(&self, style: usize, says: &str) -> Result<Arc<str>, ReadError> {
        let key = (style, says.starts_with('t'));
        if let Some(made) = self.made.borrow().get(&key) {
            return Ok(made.clone());
        }
        let look = match self.looks.get(style) {
            Some((code, said)) => format!("{}{said}", number_format::of_value(code, says)),
            None if style == 0 => String::new(),
            None => return Err(damaged("a style that is not there")),
        };
        let made: Arc<str> = look.trim().into();
        self.made.borrow_mut().insert(key, made.clone());
        Ok(made)
    }
}

fn tinted(part: u8, tint: f64) -> u8 {
    let part = f64::from(part);
    let tinted = if tint < 0.0 { part * (1.0 + tint) } else { part + (255.0 - part) * tint };
    // In range, since a share of the way to either end.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let tinted = tinted.clamp(0.0, 255.0) as u8;
    tinted
}

/// Where letters stand, as far as it changes what is read.
fn alignment(alignment: Option<&Node>) -> String {
    let Some(alignment) = alignment else { return String::new() };
    let mut said = String::new();
    if alignment.text_of("horizontal") == "fill" {
        said.push_str(" repeated");
    }
    if alignment.number_of::<i32>("textRotation").unwrap_or(0) != 0 {
        said.push_str(" turned");
    }
    if alignment.text_of("readingOrder") == "2" {
        said.push_str(" from the right");
    }
    if alignment.number_of::<u32>("indent").unwrap_or(0) > 15 {
        said.push_str(" moved in");
    }
    said
}
