//! Forging sealed returns: parts of a workbook edited in its archive, and what another reader makes of the result.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read, Write},
};

use anyhow::{Context, Result};
use calamine::{DataRef, Reader, SheetVisible, Xlsx};
use importer::{ReadLimits, seal};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The parts of a workbook by name, in order.
pub type Parts = Vec<(String, Vec<u8>)>;

/// Takes a workbook apart.
pub fn unpacked(bytes: &[u8]) -> Result<Parts> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut parts = Vec::new();
    for index in 0..archive.len() {
        let mut part = archive.by_index(index)?;
        let mut content = Vec::new();
        part.read_to_end(&mut content)?;
        parts.push((part.name().to_owned(), content));
    }
    Ok(parts)
}

/// Puts it together again.
pub fn packed(parts: &Parts) -> Result<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        archive.start_file(name, zip::write::SimpleFileOptions::default())?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// What becomes of a part of a workbook.
pub type Edit<'a> = &'a dyn Fn(&str) -> String;

/// A workbook with the texts of some parts edited.
pub fn edited(bytes: &[u8], edits: &[(&str, Edit<'_>)]) -> Result<Vec<u8>> {
    let mut parts = unpacked(bytes)?;
    for (name, edit) in edits {
        let part = parts.iter_mut().find(|(known, _)| known == name);
        match part {
            Some((_, content)) => *content = edit(std::str::from_utf8(content)?).into_bytes(),
            None => parts.push(((*name).to_owned(), edit("").into_bytes())),
        }
    }
    packed(&parts)
}

/// A cell as another reader sees it: what it says, its formula, its number format.
type Cell = (String, String, String);

/// What another reader sees of a workbook: its sheets in order, whether people see them, and their cells.
pub type Seen = Vec<(String, bool, BTreeMap<(u32, u32), Cell>)>;

/// What another reader sees.
pub fn seen(bytes: &[u8]) -> Result<Seen> {
    let mut book = Xlsx::new(Cursor::new(bytes))?;
    let mut seen = Vec::new();
    for sheet in book.sheets_metadata().to_vec() {
        let mut cells: BTreeMap<(u32, u32), Cell> = BTreeMap::new();
        let mut reader = book.worksheet_cells_reader(&sheet.name)?;
        let codes: Vec<String> = reader
            .styles()
            .iter()
            .map(|style| style.number_format.as_ref().map(|format| format.format_code.clone()).unwrap_or_default())
            .collect();
        while let Some((cell, style)) = reader.next_cell_with_style_id()? {
            let says = match cell.get_value() {
                DataRef::Empty => continue,
                DataRef::Int(number) => format!("{:.9e}", *number as f64),
                DataRef::Float(number) => format!("{number:.9e}"),
                DataRef::SharedString(text) => text.trim().to_owned(),
                DataRef::String(text) => text.trim().to_owned(),
                other => format!("{other:?}"),
            };
            let code = codes.get(style).cloned().unwrap_or_default();
            if !says.is_empty() {
                cells.insert(cell.get_position(), (says, String::new(), code));
            }
        }
        drop(reader);
        let formulas = book.worksheet_formula(&sheet.name)?;
        let (top, left) = formulas.start().unwrap_or_default();
        for (row, column, formula) in formulas.used_cells() {
            if !formula.is_empty() {
                let place = (top + u32::try_from(row)?, left + u32::try_from(column)?);
                cells.entry(place).or_default().1 = formula.split_whitespace().collect();
            }
        }
        seen.push((sheet.name, sheet.visible == SheetVisible::Visible, cells));
    }
    Ok(seen)
}

/// What is put into parts: what forgers need.
const SNIPPETS: [&str; 16] = [
    " hidden=\"1\"",
    "<f>1+1</f>",
    "<v>19</v>",
    " s=\"3\"",
    " t=\"str\"",
    " state=\"hidden\"",
    " ht=\"0\"",
    " width=\"0\"",
    " numFmtId=\"2\"",
    "<c r=\"B9\"><v>19</v></c>",
    "19",
    " t=\"shared\" si=\"0\"",
    "<!-- -->",
    "<is><t>19</t></is>",
    " r=\"C9\"",
    "]]>",
];

/// A part with something in it changed.
fn mutated(text: &str, random: &mut StdRng) -> String {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    if places.is_empty() {
        return text.to_owned();
    }
    let place = places[random.random_range(0..places.len())];
    let (head, tail) = text.split_at(place);
    let tag = |text: &str| text.find('>').map_or(text.len(), |end| end + 1);
    match random.random_range(0..7) {
        // Another digit where the next one stands.
        0 | 1 => match tail.find(|c: char| c.is_ascii_digit()) {
            Some(at) => format!("{head}{}{}{}", &tail[..at], random.random_range(0..10), &tail[at + 1..]),
            None => format!("{head}7{tail}"),
        },
        // Something left out.
        2 => {
            let length = random.random_range(1..20);
            let end = tail.char_indices().nth(length).map_or(tail.len(), |(at, _)| at);
            format!("{head}{}", &tail[end..])
        }
        // The next element, or the next tag, is left out.
        3 => match tail.find('<') {
            Some(at) => format!("{head}{}{}", &tail[..at], &tail[at + tag(&tail[at..])..]),
            None => head.to_owned(),
        },
        // … or stands twice.
        4 => match tail.find('<') {
            Some(at) => {
                let end = at + tag(&tail[at..]);
                format!("{head}{}{}", &tail[..end], &tail[at..])
            }
            None => format!("{head}{head}"),
        },
        // Something of a forger's, behind the next name of an element or behind the next tag.
        _ => {
            let snippet = SNIPPETS[random.random_range(0..SNIPPETS.len())];
            let end =
                if snippet.starts_with(' ') { tail.find([' ', '>', '/']) } else { tail.find('>').map(|at| at + 1) };
            let at = end.unwrap_or(tail.len());
            format!("{head}{}{snippet}{}", &tail[..at], &tail[at..])
        }
    }
}

/// What has become of so many mutations.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Told as altered, or as of no seal of ours, or refused.
    pub found: usize,
    /// Nothing that another reader sees has changed.
    pub same: usize,
    /// Another reader cannot read it, and we are content.
    pub unreadable: usize,
    /// Another reader sees something else, and we are content: what it is.
    pub missed: Vec<String>,
}

/// Mutates a sealed workbook so many times.
pub fn mutate(sealed: &[u8], key: &seal::Key, mutations: u64, seed: u64) -> Result<Outcome> {
    let limits = ReadLimits::default();
    let whole = seal::examine(sealed, &[*key], &limits)?.context("a seal")?;
    anyhow::ensure!(whole.is_exact, "{:?}", whole.differences);
    let (parts, mut before) = (unpacked(sealed)?, seen(sealed)?);
    // The seal itself is hidden, and signed.
    let hidden = before.pop().context("a sheet")?;
    let texts: Vec<usize> = (0..parts.len()).filter(|at| std::str::from_utf8(&parts[*at].1).is_ok()).collect();
    let mut outcome = Outcome::default();
    for number in 0..mutations {
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(number));
        let mut parts = parts.clone();
        let at = texts[random.random_range(0..texts.len())];
        let text = std::str::from_utf8(&parts[at].1)?.to_owned();
        parts[at].1 = mutated(&text, &mut random).into_bytes();
        let bytes = packed(&parts)?;
        let examined = seal::examine(&bytes, &[*key], &limits).ok().flatten();
        let is_content = examined
            .is_some_and(|own| own.statement == whole.statement && own.signature == whole.signature && own.count == 0);
        if !is_content {
            outcome.found += 1;
            continue;
        }
        match seen(&bytes) {
            Err(_) => outcome.unreadable += 1,
            Ok(mut after) => {
                after.retain(|sheet| sheet.0 != hidden.0);
                if after == before {
                    outcome.same += 1;
                } else {
                    outcome.missed.push(format!(
                        "{} of {}: {}",
                        seed + number,
                        parts[at].0,
                        difference(&before, &after)
                    ));
                }
            }
        }
    }
    Ok(outcome)
}

fn difference(before: &Seen, after: &Seen) -> String {
    for (was, is) in before.iter().zip(after) {
        if (&was.0, was.1) != (&is.0, is.1) {
            return format!("{} {} / {} {}", was.0, was.1, is.0, is.1);
        }
        let places: std::collections::BTreeSet<_> = was.2.keys().chain(is.2.keys()).collect();
        if let Some(place) = places.into_iter().find(|place| was.2.get(place) != is.2.get(place)) {
            return format!("{} {place:?}: {:?} / {:?}", was.0, was.2.get(place), is.2.get(place));
        }
    }
    format!("{} / {} sheets", before.len(), after.len())
}
