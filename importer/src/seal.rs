//! What a drawn return says of itself: of what it was drawn, and what a reader sees of it, signed. Whoever has the file
//! can have it checked, and is told what is not as it was drawn, whichever program has saved it since.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read, Write},
};

use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce, aead::Aead};
use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::workbook::{
    grid::{Cell, Sheet, Workbook},
    look::{Difference, Look, look, may_be_sealed, part_of_sheet, parts_digest},
    read::{ReadError, ReadLimits},
    write::{Book, Out, Style, WriteError},
};

/// The hidden sheet.
const SHEET: &str = "台账通签章";
const MARK: &str = "taizhang return ";
const FIRST_LINE: &str = "taizhang return 2";
/// The first line of seals that covered no more than what cells say.
const FIRST_LINE_OF_OLD: &str = "taizhang return 1";
/// What the first note below a table begins with.
pub const NOTES: &str = "注：";
/// What the line with a checkpoint of the audit log begins with.
const CHECKPOINT: &str = "checkpoint ";
/// Characters of one cell: spreadsheets hold 32,767.
const LINE_MAX: usize = 30_000;
/// Differences that are told; of more it is only said how many.
const TOLD_MAX: usize = 200;

/// Shuts what a seal holds: whoever takes cells out of a return before passing it on does not pass them on in the seal.
#[derive(Clone, Copy)]
pub struct Key(pub [u8; KEY_BYTES]);

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The same content gives the same bytes, as the same return does: its nonce follows from it.
    fn shut(&self, content: &[u8]) -> Option<Vec<u8>> {
        let digest = Sha256::new().chain_update(self.0).chain_update(content).finalize();
        let nonce: &[u8; NONCE_BYTES] = digest.first_chunk()?;
        let shut = XChaCha20Poly1305::new(&self.0.into()).encrypt(&XNonce::from(*nonce), content).ok()?;
        Some([nonce, shut.as_slice()].concat())
    }

    fn open(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (nonce, shut) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        XChaCha20Poly1305::new(&self.0.into()).decrypt(&XNonce::from(*nonce), shut).ok()
    }
}

/// Of what a return was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// `R03`.
    pub number: String,
    /// Its title.
    pub title: String,
    /// Id of the unit at the top.
    pub unit: String,
    /// Its name.
    pub unit_name: String,
    /// Statistics date.
    pub date: String,
    /// What was chosen.
    pub choices: Vec<(String, String)>,
    /// The highest class of data that was written in clear.
    pub class: String,
    /// The last change that it knows, by its number in the feed.
    pub seq: i64,
    /// To whom it was handed, as the foot of each page says.
    #[serde(default)]
    pub reader: Option<String>,
    /// The period of the submitted copies that it was merged from, if it was.
    #[serde(default)]
    pub copies: Option<String>,
    /// The year that it is of; what earlier versions have sealed does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
}

/// Cells by place.
pub type Cells = BTreeMap<String, BTreeMap<(u32, u16), String>>;

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Of what it is.
    pub drawn: Drawn,
    /// The code that is printed.
    pub code: String,
    /// What a reader sees, without the seal itself.
    pub look: Look,
    /// A digest of the parts of the file, without the seal's own.
    parts: String,
    /// A checkpoint of the audit log of when it was sealed: the file is a witness of it.
    checkpoint: Option<String>,
}

/// Why a workbook was not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What was written cannot be looked at.
    #[error("a drawn workbook cannot be looked at: {0}")]
    Look(#[from] ReadError),
    /// It cannot be packed again.
    #[error("a drawn workbook cannot be packed: {0}")]
    Pack(String),
}

/// What somebody's file says of itself, and whether it is so. Whether the seal is ours is not asked here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// What is signed.
    pub statement: String,
    /// The signature, whoever's.
    pub signature: Vec<u8>,
    /// Of what it says it was drawn.
    pub drawn: Drawn,
    /// The code of its seal.
    pub code: String,
    /// The seal is of a kind that covers less than is asked for today.
    pub is_old: bool,
    /// Each part of the file is as it was written.
    pub is_exact: bool,
    /// Letters, lines, widths or pages are not as they were drawn; what is read is.
    #[serde(default)]
    pub is_restyled: bool,
    /// What is not as it was drawn: the first of it.
    pub differences: Vec<Difference>,
    /// How much that is.
    pub count: usize,
}

/// A number as codes and cells hold it: what is behind the tenth digit is the program's that saved it.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.9e}")
}

/// The code of what is drawn: `K3QF-7XWA-…`.
pub fn code(drawn: &Drawn, cells: &Cells) -> String {
    let mut all = Sha256::new();
    all.update(serde_json::to_string(drawn).unwrap_or_default());
    for (sheet, cells) in cells {
        all.update(format!("\0{sheet}"));
        for ((row, column), text) in cells {
            all.update(format!("\0{row},{column},{}", text.trim()));
        }
    }
    let text = BASE32_NOPAD.encode(&all.finalize()[..10]);
    let parts: Vec<&str> = [0, 4, 8, 12].iter().map(|at| &text[*at..at + 4]).collect();
    parts.join("-")
}

/// A code as somebody has typed it, as it is printed; none, if it cannot be one.
pub fn typed_code(text: &str) -> Option<String> {
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
    // What is printed has neither of these digits: who reads them means the letters.
    let letters = letters.replace('0', "O").replace('1', "I").replace('8', "B");
    let is_code = letters.len() == 16 && BASE32_NOPAD.decode(letters.as_bytes()).is_ok();
    let parts: Vec<&str> = is_code.then(|| [0, 4, 8, 12].iter().map(|at| &letters[*at..at + 4]).collect())?;
    Some(parts.join("-"))
}

/// Seals a workbook: adds the hidden sheet, and gives the file.
pub fn finish(
    mut book: Book,
    (drawn, code): (&Drawn, &str),
    checkpoint: Option<String>,
    key: &Key,
    sign: impl Fn(&[u8]) -> [u8; 64],
) -> Result<Vec<u8>, SealError> {
    let mut page = book.long_sheet(SHEET)?;
    page.put(0, 0, &Out::Text(FIRST_LINE.to_owned()), Style::Plain)?;
    page.hide();
    let bytes = book.bytes()?;
    let limits = ReadLimits::default();
    let part = part_of_sheet(&bytes, SHEET)?.ok_or_else(|| SealError::Pack("no sheet for the seal".into()))?;
    let look = without_seal(look(&bytes, &limits)?);
    let parts = parts_digest(&bytes, &part, &limits)?;
    let seal = Seal { drawn: drawn.clone(), code: code.to_owned(), look, parts, checkpoint };
    let mut lines = seal.lines(key).map_err(|error| SealError::Pack(error.to_string()))?;
    lines.push(format!("signature {}", HEXLOWER.encode(&sign(lines.join("\n").as_bytes()))));
    put_lines(bytes, &part, &lines).map_err(|error| SealError::Pack(error.to_string()))
}

/// What is seen of a workbook besides the seal.
fn without_seal(mut look: Look) -> Look {
    for sheet in look.sheets.iter_mut().filter(|sheet| sheet.name == SHEET) {
        (sheet.cells, sheet.facts, sheet.dress) = (BTreeMap::new(), std::collections::BTreeSet::new(), None);
    }
    look
}

/// The same file, with these lines on the seal's sheet.
fn put_lines(bytes: Vec<u8>, part: &str, lines: &[String]) -> zip::result::ZipResult<Vec<u8>> {
    let mut from = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut to = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..from.len() {
        let file = from.by_index_raw(index)?;
        if file.name() != part {
            to.raw_copy_file(file)?;
            continue;
        }
        drop(file);
        let mut text = String::new();
        from.by_index(index)?.read_to_string(&mut text)?;
        let head = text.split("<sheetData").next().unwrap_or_default();
        let foot = text.split("</sheetData>").nth(1).unwrap_or_default();
        let options = zip::write::SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
        to.start_file(part, options)?;
        write!(to, "{head}<sheetData>")?;
        for (row, line) in (1..).zip(lines) {
            let line = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            write!(to, r#"<row r="{row}"><c r="A{row}" t="inlineStr"><is><t>{line}</t></is></c></row>"#)?;
        }
        write!(to, "</sheetData>{foot}")?;
    }
    Ok(to.finish()?.into_inner())
}

impl Seal {
    /// The figures that were sealed.
    pub fn figures(&self) -> BTreeMap<(String, u32, u16), String> {
        printed(&self.look, &code_line(&self.code, self.drawn.seq))
    }

    fn lines(&self, key: &Key) -> std::io::Result<Vec<String>> {
        // Spreadsheets take `_x0041_` for a character.
        let drawn = serde_json::to_string(&self.drawn).map_err(std::io::Error::other)?.replace("_x", "\\u005fx");
        let mut lines =
            vec![FIRST_LINE.to_owned(), drawn, format!("code {}", self.code), format!("parts {}", self.parts)];
        lines.extend(self.checkpoint.iter().map(|text| format!("{CHECKPOINT}{}", BASE64.encode(text.as_bytes()))));
        let look = minicbor::to_vec(&self.look).map_err(std::io::Error::other)?;
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&look)?;
        let shut = key.shut(&packer.finish()?).ok_or_else(|| std::io::Error::other("the seal cannot be shut"))?;
        let text = BASE64.encode(&shut);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, next) = rest.split_at(rest.len().min(LINE_MAX));
            lines.push(format!("look {line}"));
            rest = next;
        }
        Ok(lines)
    }

    /// The seal that a statement is of; none, if it is of none that one of these keys opens.
    pub fn parse(statement: &str, keys: &[Key], limits: &ReadLimits) -> Option<Self> {
        let mut lines = statement.split('\n');
        lines.next().filter(|line| *line == FIRST_LINE)?;
        let drawn = serde_json::from_str(lines.next()?).ok()?;
        let code = lines.next()?.strip_prefix("code ")?.to_owned();
        let parts = lines.next()?.strip_prefix("parts ")?.to_owned();
        let packed: String = lines.filter_map(|line| line.strip_prefix("look ")).collect();
        let packed = BASE64.decode(packed.as_bytes()).ok()?;
        let packed = keys.iter().find_map(|key| key.open(&packed))?;
        let mut look = Vec::new();
        let limit = limits.inflated_bytes_max;
        flate2::read::DeflateDecoder::new(packed.as_slice()).take(limit).read_to_end(&mut look).ok()?;
        Some(Self { drawn, code, look: minicbor::decode(&look).ok()?, parts, checkpoint: checkpoint(statement) })
    }
}

/// The checkpoint of the audit log in what a seal signs.
pub fn checkpoint(statement: &str) -> Option<String> {
    let text = statement.split('\n').find_map(|line| line.strip_prefix(CHECKPOINT))?;
    String::from_utf8(BASE64.decode(text.as_bytes()).ok()?).ok()
}

/// Examines somebody's file; nothing, if it bears no seal.
pub fn examine(bytes: &[u8], keys: &[Key], limits: &ReadLimits) -> Result<Option<Examined>, ReadError> {
    if !may_be_sealed(bytes) {
        return Ok(None);
    }
    let look = look(bytes, limits)?;
    let mut lines = lines_of(&look);
    let signature = lines.pop().and_then(|last| HEXLOWER.decode(last.strip_prefix("signature ")?.as_bytes()).ok());
    let (Some(first), Some(signature)) = (lines.first(), signature) else { return Ok(None) };
    let is_old = first == FIRST_LINE_OF_OLD;
    let statement = lines.join("\n");
    if is_old {
        let Some(drawn) = lines.get(1).and_then(|line| serde_json::from_str(line).ok()) else { return Ok(None) };
        let (code, differences) = (String::new(), Vec::new());
        let old = Examined {
            statement,
            signature,
            drawn,
            code,
            is_old,
            is_exact: false,
            is_restyled: false,
            differences,
            count: 0,
        };
        return Ok(Some(old));
    }
    let Some(seal) = Seal::parse(&statement, keys, limits) else { return Ok(None) };
    let look = without_seal(look);
    let is_restyled = !seal.look.is_dressed_like(&look);
    let mut differences = seal.look.differences(&look);
    let count = differences.len();
    differences.truncate(TOLD_MAX);
    let is_exact = count == 0 && is_as_written(bytes, &seal.parts, limits);
    let Seal { drawn, code, .. } = seal;
    Ok(Some(Examined { statement, signature, drawn, code, is_old, is_exact, is_restyled, differences, count }))
}

/// The lines of the seal.
fn lines_of(look: &Look) -> Vec<String> {
    let sheet = look.sheets.iter().find(|sheet| sheet.name == SHEET);
    let lines = sheet.iter().flat_map(|sheet| &sheet.cells).filter(|((_, column), _)| *column == 0);
    lines.map(|(_, cell)| cell.says.strip_prefix('t').unwrap_or_default().to_owned()).collect()
}

/// Whether the parts of a file are those that were written.
fn is_as_written(bytes: &[u8], parts: &str, limits: &ReadLimits) -> bool {
    let part = part_of_sheet(bytes, SHEET).ok().flatten();
    part.is_some_and(|part| parts_digest(bytes, &part, limits).is_ok_and(|digest| digest == parts))
}

/// The figures of a workbook as a person reads them: sheet, row and column from 0, text. Without the line of the code,
/// which is another one each time, and without the notes, which say how they were counted: how many drafts there are today
/// makes no figure another one.
fn printed(look: &Look, line: &str) -> BTreeMap<(String, u32, u16), String> {
    let mut printed = BTreeMap::new();
    for sheet in &look.sheets {
        let is_note = |says: &str| says.get(1..).is_some_and(|words| words.starts_with(NOTES));
        let notes = sheet.cells.iter().filter(|(_, cell)| is_note(&cell.says)).map(|((row, _), _)| *row).min();
        for ((row, column), cell) in sheet.cells.iter().filter(|((row, _), _)| notes.is_none_or(|notes| *row < notes)) {
            // Shares have four digits that anybody looks at.
            let rounded = |value: f64| format!("{}", (value * 1e4).round() / 1e4);
            let words = match cell.says.strip_prefix('n') {
                Some(number) => number.parse().map_or_else(|_| number.to_owned(), rounded),
                None => cell.says.get(1..).unwrap_or_default().to_owned(),
            };
            if words != line {
                printed.insert((sheet.name.clone(), *row, *column), words);
            }
        }
    }
    printed
}

/// The figures of a workbook that was drawn here, whether or not it bears a seal that says them.
pub fn figures(bytes: &[u8], limits: &ReadLimits) -> Result<BTreeMap<(String, u32, u16), String>, ReadError> {
    let look = look(bytes, limits)?;
    let lines = lines_of(&look);
    let drawn = lines.get(1).and_then(|line| serde_json::from_str::<Drawn>(line).ok());
    let code = lines.get(2).and_then(|line| line.strip_prefix("code ")).unwrap_or_default();
    let line = code_line(code, drawn.map(|drawn| drawn.seq).unwrap_or_default());
    Ok(printed(&without_seal(look), &line))
}

/// The line below each table.
pub fn code_line(code: &str, seq: i64) -> String {
    format!("校验码：{code}　　回执号：{seq}")
}

pub(crate) fn is_seal(workbook: &Workbook, sheet: &Sheet) -> bool {
    matches!(sheet.row_count().checked_sub(1).and_then(|_| sheet.cell(0, 0)),
        Some(Cell::Text(id)) if workbook.texts.get(id).trim().starts_with(MARK))
}

#[cfg(test)]
mod tests {
    use super::typed_code;

    #[test]
    fn a_code_is_typed_as_people_type() {
        for typed in ["K3QF-7XWA-ABCD-EFGO", " k3qf 7xwa abcd efg0 ", "k3qf7xwaabcdefgo"] {
            assert_eq!(typed_code(typed).as_deref(), Some("K3QF-7XWA-ABCD-EFGO"), "{typed}");
        }
        for typed in ["", "K3QF-7XWA-ABCD", "K3QF-7XWA-ABCD-EFG9", "校验码"] {
            assert_eq!(typed_code(typed), None, "{typed}");
        }
    }
}
