//! What a file is, by its content.

use std::io::{Cursor, Read};

use super::read::{ReadError, ReadLimits, damaged};

/// A kind of workbook, with its text where it is one.
#[derive(Debug)]
pub(super) enum Format {
    Xlsx,
    Xlsb,
    Xls,
    Ods,
    SpreadsheetMl(String),
    Html(String),
    Delimited(String),
}

/// How an .xls begins.
pub(super) const OLE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
/// How a zip archive begins.
pub(super) const ZIP: &[u8] = b"PK\x03\x04";
/// The first records of BIFF streams without a container: Excel 2, 3 and 4.
const RAW_BIFF: [&[u8]; 3] = [&[0x09, 0x00, 0x04, 0x00], &[0x09, 0x02, 0x06, 0x00], &[0x09, 0x04, 0x06, 0x00]];
/// Other things that people rename to .xls.
const OTHERS: [(&[u8], &str); 6] = [
    (b"%PDF", "PDF 文件 a PDF"),
    (b"\x89PNG", "图片 a picture"),
    (b"\xff\xd8\xff", "图片 a picture"),
    (b"Rar!", "RAR 压缩包，请先解压 an archive: unpack it first"),
    (b"7z\xbc\xaf", "7z 压缩包，请先解压 an archive: unpack it first"),
    (b"{\\rtf", "RTF 文档 an RTF document"),
];
const WORD: &str = "Word 文档，请把表格复制到 Excel a Word document: copy its table into Excel";

/// Whether it is something that holds or carries other files, and no workbook itself.
pub(super) fn is_other(bytes: &[u8]) -> bool {
    OTHERS.iter().any(|(start, _)| bytes.starts_with(start))
}

/// Parts above this size are looked at for their ratio.
const BOMB_BYTES_MIN: u64 = 32 << 20;
/// Inflated over compressed size above which a part is a bomb.
const BOMB_RATIO_MIN: u64 = 200;
/// How much of a text is looked at to know its kind.
const HEAD: usize = 4096;

/// Tells what a file is, or why it is no workbook.
pub(super) fn sniff(bytes: &[u8], limits: &ReadLimits) -> Result<Format, ReadError> {
    if bytes.starts_with(ZIP) {
        return zip(bytes, limits);
    }
    if bytes.starts_with(OLE) {
        return ole(bytes);
    }
    if bytes.is_empty() {
        return Err(ReadError::NotAWorkbook("空文件 empty file"));
    }
    if RAW_BIFF.iter().any(|start| bytes.starts_with(start)) {
        return Err(ReadError::TooOld);
    }
    if let Some((_, what)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(ReadError::NotAWorkbook(what));
    }
    text(decode(bytes).ok_or(ReadError::NotAWorkbook("文件头不符 unknown signature"))?)
}

fn text(text: String) -> Result<Format, ReadError> {
    let head: String = text.chars().take(HEAD).collect::<String>().to_lowercase();
    if !head.trim_start().starts_with('<') {
        return Ok(Format::Delimited(text));
    }
    if head.contains("urn:schemas-microsoft-com:office:spreadsheet") && head.contains("<workbook") {
        Ok(Format::SpreadsheetMl(text))
    } else if ["<html", "<!doctype html", "<table", "<meta"].iter().any(|tag| head.contains(tag)) {
        Ok(Format::Html(text))
    } else {
        Err(ReadError::NotAWorkbook("XML 文件中没有工作表 an XML file without sheets"))
    }
}

/// The text of a file: by its byte order mark, by the encoding that it names, else by what it looks like.
fn decode(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(HEAD)];
    let marked = encoding_rs::Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let encoding = marked.or_else(|| utf16(head)).or_else(|| named(head)).unwrap_or_else(|| guessed(bytes));
    let (text, _, damaged) = encoding.decode(bytes);
    let is_binary = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{1a}' | '\u{b}' | '\u{c}');
    (!damaged && !text.chars().any(is_binary)).then(|| text.into_owned())
}

/// UTF-16 without a mark: the zeros of separators, digits and markup are at odd, or at even places, where only
/// characters like 一 (U+4E00) have the others.
fn utf16(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let many = head.len() / 16;
    let (even, odd) = (zeros(0), zeros(1));
    if odd > many && odd > 4 * even {
        Some(encoding_rs::UTF_16LE)
    } else if even > many && even > 4 * odd {
        Some(encoding_rs::UTF_16BE)
    } else {
        None
    }
}

/// The encoding that a page or an XML declaration names.
fn named(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let head = String::from_utf8_lossy(head).to_lowercase();
    if !head.trim_start().starts_with('<') {
        return None;
    }
    let (_, name) = head.split_once("charset=").or_else(|| head.split_once("encoding="))?;
    let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = name.trim_start_matches(['"', '\'']).chars().take_while(is_part).collect();
    encoding_rs::Encoding::for_label(name.as_bytes())
}

/// UTF-8 if it is; else what Chinese offices write, if it can be: GB18030 contains GBK and GB2312.
fn guessed(bytes: &[u8]) -> &'static encoding_rs::Encoding {
    if std::str::from_utf8(bytes).is_ok() {
        return encoding_rs::UTF_8;
    }
    if !encoding_rs::GB18030.decode(bytes).2 {
        return encoding_rs::GB18030;
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(Some(b"cn"), chardetng::Utf8Detection::Allow)
}

/// Which of the zip formats; refuses what declares to inflate beyond the limit before anything is inflated.
fn zip(bytes: &[u8], limits: &ReadLimits) -> Result<Format, ReadError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut total = 0u64;
    for index in 0..archive.len() {
        let part = archive.by_index_raw(index).map_err(damaged)?;
        total = total.saturating_add(part.size());
        // Sheets of offices shrink ten- to thirtyfold; only bombs shrink like this.
        if part.size() > BOMB_BYTES_MIN && part.size() / part.compressed_size().max(1) > BOMB_RATIO_MIN {
            return Err(ReadError::Bomb);
        }
    }
    if total > limits.inflated_bytes_max {
        return Err(ReadError::TooLarge {
            what: "字节（解压后）bytes inflated", limit: limits.inflated_bytes_max
        });
    }
    let names: Vec<String> = archive.file_names().map(str::to_lowercase).collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("xl/workbook.bin") {
        return Ok(Format::Xlsb);
    }
    if has("content.xml") {
        let mut manifest = String::new();
        if let Ok(part) = archive.by_name("META-INF/manifest.xml") {
            part.take(1 << 20).read_to_string(&mut manifest).map_err(damaged)?;
        }
        return if manifest.contains("encryption-data") { Err(ReadError::Encrypted) } else { Ok(Format::Ods) };
    }
    if has("word/document.xml") {
        return Err(ReadError::NotAWorkbook(WORD));
    }
    // Odd producers put the parts of an .xlsx anywhere.
    if has("[content_types].xml") || has("_rels/.rels") {
        Ok(Format::Xlsx)
    } else {
        Err(ReadError::NotAWorkbook("压缩包，请先解压 an archive: unpack it first"))
    }
}

fn ole(bytes: &[u8]) -> Result<Format, ReadError> {
    let has = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(name.len()).any(|window| window == name)
    };
    // An encrypted .xlsx is an OLE file with this stream.
    if has("EncryptedPackage") {
        Err(ReadError::Encrypted)
    } else if has("WordDocument") {
        Err(ReadError::NotAWorkbook(WORD))
    } else {
        Ok(Format::Xls)
    }
}
