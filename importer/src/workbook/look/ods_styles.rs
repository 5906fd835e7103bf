//! How the cells of an OpenDocument spreadsheet look, in the words of the other formats.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    node::Node,
    number_format::{self, GENERAL},
    styles::{BLACK, Letters, Rgb, WHITE, rgb},
};

/// Styles below styles.
const DEPTH_MAX: usize = 12;

#[derive(Debug, Default, Clone)]
struct Style {
    parent: Option<String>,
    /// The format of its numbers, by name.
    numbers: Option<String>,
    font: Option<String>,
    points: Option<f64>,
    colour: Option<Colour>,
    behind: Option<Colour>,
    is_struck: Option<bool>,
    is_raised: Option<bool>,
    said: String,
    master: Option<String>,
    is_hidden: bool,
    /// Width of a column or height of a row, in points.
    size: Option<f64>,
}

/// A colour that a style names; absent where it cannot be told.
#[derive(Debug, Clone, Copy)]
struct Colour(Option<Rgb>);

/// All styles.
#[derive(Debug, Default)]
pub(super) struct OdsStyles {
    styles: BTreeMap<(String, String), Style>,
    codes: BTreeMap<String, String>,
    fonts: BTreeMap<String, String>,
    /// Heads and feet of pages by the name of the page.
    pages: BTreeMap<String, BTreeSet<String>>,
}

/// `0.611in` in points.
fn points(length: &str) -> Option<f64> {
    let at = length.find(|c: char| c.is_ascii_alphabetic() || c == '%')?;
    let (number, unit) = length.split_at(at);
    let factor = match unit {
        "pt" => 1.0,
        "in" => 72.0,
        "cm" => 72.0 / 2.54,
        "mm" => 72.0 / 25.4,
        "pc" => 12.0,
        "px" => 0.75,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn colour(text: &str) -> Colour {
    Colour(if text == "transparent" { Some(WHITE) } else { rgb(text) })
}

impl OdsStyles {
    /// Takes a group of styles.
    pub(super) fn take(&mut self, group: &Node) {
        for node in &group.children {
            let name = node.text_of("style:name").to_owned();
            match node.name.as_str() {
                "font-face" => drop(self.fonts.insert(name, node.text_of("svg:font-family").to_owned())),
                "style" | "default-style" => self.style(name, node),
                "number-style" | "percentage-style" | "currency-style" | "date-style" | "time-style" | "text-style"
                | "boolean-style" => drop(self.codes.insert(name, code(node))),
                "master-page" => drop(self.pages.insert(name, pages(node))),
                _ => {}
            }
        }
    }

    fn style(&mut self, name: String, node: &Node) {
        let of = |attribute: &str| node.attribute(attribute).map(str::to_owned);
        let mut style = Style {
            parent: of("style:parent-style-name"),
            numbers: of("style:data-style-name"),
            master: of("style:master-page-name"),
            ..Style::default()
        };
        for properties in &node.children {
            let of = |attribute: &str| properties.attribute(attribute);
            match properties.name.as_str() {
                "text-properties" => {
                    style.font = of("style:font-name").or(of("fo:font-family")).map(str::to_owned);
                    style.points = of("fo:font-size").and_then(points);
                    style.colour = of("fo:color").map(colour);
                    if of("style:use-window-font-color") == Some("true") {
                        style.colour = Some(Colour(Some(BLACK)));
                    }
                    let line = of("style:text-line-through-style").or(of("style:text-line-through-type"));
                    style.is_struck = line.map(|line| line != "none");
                    style.is_raised = of("style:text-position").map(|at| !at.starts_with("0%"));
                    if of("text:display") == Some("none") || of("loext:opacity") == Some("0%") {
                        style.said.push_str(" faint");
                    }
                }
                "table-cell-properties" => {
                    style.behind = of("fo:background-color").map(colour);
                    if of("style:repeat-content") == Some("true") {
                        style.said.push_str(" repeated");
                    }
                    if !matches!(of("style:rotation-angle"), None | Some("0")) {
                        style.said.push_str(" turned");
                    }
                }
                "table-properties" => {
                    style.is_hidden = of("table:display") == Some("false");
                    if of("style:writing-mode") == Some("rl-tb") {
                        style.said.push_str(" from the right");
                    }
                }
                "table-column-properties" => style.size = of("style:column-width").and_then(points),
                "table-row-properties" => style.size = of("style:row-height").and_then(points),
                // A condition gives a cell the looks of another style.
                "map" => style.said.push_str(" conditional"),
                _ => {}
            }
        }
        let family = node.text_of("style:family").to_owned();
        self.styles.insert((family, name), style);
    }

    fn resolved(&self, family: &str, name: &str) -> Style {
        let mut style = Style::default();
        let mut next = Some(name.to_owned());
        let mut steps = 0;
        // What is under all of them has no name.
        while let Some(name) = next.take().or_else(|| (steps < DEPTH_MAX).then(String::new)) {
            let Some(own) = self.styles.get(&(family.to_owned(), name.clone())) else {
                if name.is_empty() {
                    break;
                }
                continue;
            };
            style.numbers = style.numbers.or_else(|| own.numbers.clone());
            style.font = style.font.or_else(|| own.font.clone());
            style.points = style.points.or(own.points);
            style.colour = style.colour.or(own.colour);
            style.behind = style.behind.or(own.behind);
            style.is_struck = style.is_struck.or(own.is_struck);
            style.is_raised = style.is_raised.or(own.is_raised);
            style.master = style.master.or_else(|| own.master.clone());
            style.size = style.size.or(own.size);
            style.is_hidden |= own.is_hidden;
            style.said.push_str(&own.said);
            if name.is_empty() {
                break;
            }
            steps += 1;
            next = own.parent.clone().filter(|_| steps < DEPTH_MAX);
        }
        style
    }

    fn letters(&self, style: &Style) -> Letters {
        let font = style.font.as_ref().map(|name| self.fonts.get(name).unwrap_or(name).trim_matches('\'').to_owned());
        Letters {
            font: font.unwrap_or_default(),
            points: style.points.unwrap_or(10.0),
            colour: style.colour.map_or(Some(BLACK), |colour| colour.0),
            is_struck: style.is_struck.unwrap_or(false),
            is_raised: style.is_raised.unwrap_or(false),
        }
    }

    /// How a cell of a style looks.
    pub(super) fn look(&self, name: &str, says: &str) -> String {
        let style = self.resolved("table-cell", name);
        let code = style.numbers.as_ref().map_or(GENERAL, |name| self.codes.get(name).map_or("?", String::as_str));
        let said = self.letters(&style).said(style.behind.map_or(Some(WHITE), |colour| colour.0));
        format!("{}{said}{}", number_format::of_value(code, says), style.said).trim().to_owned()
    }

    /// What is to be said of a piece of a text.
    pub(super) fn piece(&self, name: &str) -> String {
        let style = self.resolved("text", name);
        // What a piece does not say of itself, its cell does.
        let plain = Style { points: style.points.or(Some(10.0)), ..style };
        self.letters(&plain).said(Some(WHITE)) + &plain.said
    }

    /// Whether a sheet is seen, what its pages bear, and what else is to be said.
    pub(super) fn table(&self, name: &str) -> (bool, BTreeSet<String>, String) {
        let style = self.resolved("table", name);
        let pages = style.master.and_then(|master| self.pages.get(&master).cloned()).unwrap_or_default();
        (!style.is_hidden, pages, style.said)
    }

    /// Width of a column or height of a row, in points.
    pub(super) fn size(&self, family: &str, name: &str) -> Option<f64> {
        self.resolved(family, name).size
    }
}

/// A format of numbers as a code.
fn code(node: &Node) -> String {
    let whole = || node.children.iter().map(Node::canonical).collect::<String>();
    let mut code = String::new();
    for child in &node.children {
        match child.name.as_str() {
            "number" => {
                let Some(places) = child.number_of::<usize>("number:decimal-places") else { return GENERAL.to_owned() };
                let digits = child.number_of::<usize>("number:min-integer-digits").unwrap_or(0);
                let least = child.number_of("number:min-decimal-places").unwrap_or(places);
                if least != places || digits == 0 || places > 20 || digits > 20 {
                    return whole();
                }
                code.push_str(if child.is("number:grouping") { "#,##" } else { "" });
                code.push_str(&"0".repeat(digits));
                if places > 0 {
                    code.push('.');
                    code.push_str(&"0".repeat(places));
                }
            }
            "text" if child.text == "%" => code.push('%'),
            "text-content" if node.children.len() == 1 => return "@".to_owned(),
            _ => return whole(),
        }
    }
    number_format::normalised(&code)
}

/// What the pages of a name bear.
fn pages(master: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for node in &master.children {
        let name = match node.name.as_str() {
            "header" => "oddHeader",
            "footer" => "oddFooter",
            "header-left" => "evenHeader",
            "footer-left" => "evenFooter",
            "header-first" => "firstHeader",
            "footer-first" => "firstFooter",
            _ => continue,
        };
        if node.text_of("style:display") == "false" {
            continue;
        }
        let region = |name: &str| node.child(name).map(page_text).unwrap_or_default();
        let middle: String = node.all("p").map(page_text).collect::<Vec<_>>().join("\n");
        let middle = if middle.is_empty() { region("region-center") } else { middle };
        let regions = [region("region-left"), middle, region("region-right")];
        let said = regions.map(|region| region.split_whitespace().collect::<Vec<_>>().join(" ")).join("|");
        if said != "||" {
            found.insert(format!("{}: {said}", super::xlsx_sheet::page_name(name)));
        }
    }
    found
}

/// A text with the fields of a page.
fn page_text(node: &Node) -> String {
    let mut text = match node.name.as_str() {
        "page-number" => return "&P".to_owned(),
        "page-count" => return "&N".to_owned(),
        "sheet-name" => return "&A".to_owned(),
        "date" => return "&D".to_owned(),
        "time" => return "&T".to_owned(),
        "file-name" => return "&F".to_owned(),
        "s" => return " ".repeat(node.number_of("text:c").unwrap_or(1usize).min(1000)),
        _ => node.text.clone(),
    };
    for child in &node.children {
        text.push_str(&page_text(child));
        text.push_str(&child.tail);
    }
    text
}
