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
            // None is the general one, and so is that of text, for a text.
            let is_text = matches!(cell.get_value(), DataRef::SharedString(_) | DataRef::String(_));
            let code = codes.get(style).filter(|code| !(code.is_empty() || is_text && *code == "@"));
            let code = code.cloned().unwrap_or_else(|| "General".to_owned());
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

/// A workbook with an edit that was not found.
#[derive(Debug)]
pub struct Kept {
    /// The number that the edit follows from.
    pub number: u64,
    /// What was edited.
    pub edit: String,
    /// The workbook.
    pub bytes: Vec<u8>,
}

/// What has become of so many mutations.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Told as altered or dressed otherwise, or as of no seal of ours, or refused.
    pub found: usize,
    /// Nothing that another reader sees has changed.
    pub same: usize,
    /// Another reader cannot read it, and we are content.
    pub unreadable: usize,
    /// Another reader sees something else, and we are content: what it is.
    pub missed: Vec<String>,
    /// Some of the workbooks in which nothing has changed for us.
    pub kept: Vec<Kept>,
}

/// Mutates a sealed workbook so many times, and keeps so many of those that were not found, to be looked at.
pub fn mutate(sealed: &[u8], key: &seal::Key, (mutations, seed): (u64, u64), keep: usize) -> Result<Outcome> {
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
        let edited = mutated(&text, &mut random);
        let edit = format!("{}: {}", parts[at].0, edit(&text, &edited));
        parts[at].1 = edited.into_bytes();
        let bytes = packed(&parts)?;
        let examined = seal::examine(&bytes, &[*key], &limits).ok().flatten();
        let is_content = examined.is_some_and(|own| {
            own.statement == whole.statement && own.signature == whole.signature && own.count == 0 && !own.is_restyled
        });
        if !is_content {
            outcome.found += 1;
            continue;
        }
        let other = seen(&bytes);
        // Out of all of them alike, and not the first.
        if (outcome.kept.len() as u64) < (number + 1).saturating_mul(keep as u64) / mutations {
            outcome.kept.push(Kept { number: seed + number, edit: edit.clone(), bytes: bytes.clone() });
        }
        match other {
            Err(_) => outcome.unreadable += 1,
            Ok(mut after) => {
                after.retain(|sheet| sheet.0 != hidden.0);
                if is_alike(&before, &after) {
                    outcome.same += 1;
                } else {
                    let difference = difference(&before, &after);
                    outcome.missed.push(format!("{}: {difference}, by {edit}", seed + number));
                }
            }
        }
    }
    Ok(outcome)
}

/// Whether a reader sees the same. A formula without the value that it last had is computed by whoever opens the file.
fn is_alike(before: &Seen, after: &Seen) -> bool {
    let alike = |was: Option<&Cell>, is: Option<&Cell>| {
        let is_computed = |was: &Cell, is: &Cell| !is.1.is_empty() && is.1 == was.1 && is.0.is_empty();
        was == is || was.zip(is).is_some_and(|(was, is)| is_computed(was, is))
    };
    before.len() == after.len()
        && before.iter().zip(after).all(|(was, is)| {
            let mut places = was.2.keys().chain(is.2.keys());
            (&was.0, was.1) == (&is.0, is.1) && places.all(|place| alike(was.2.get(place), is.2.get(place)))
        })
}

/// What a mutation has done, with what stands around it.
fn edit(before: &str, after: &str) -> String {
    const AROUND: usize = 60;
    let (was, is): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    let head = was.iter().zip(&is).take_while(|(a, b)| a == b).count();
    let most = was.len().min(is.len()) - head;
    let tail = was.iter().rev().zip(is.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let part = |text: &[char]| -> String {
        text[head.saturating_sub(AROUND)..(text.len() - tail + AROUND).min(text.len())].iter().collect()
    };
    format!("`{}` → `{}`", part(&was), part(&is))
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
