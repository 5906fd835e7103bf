//! The parts of a zipped workbook, each with one meaning for every reader: nothing twice, nothing beside the archive.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read},
};

use sha2::{Digest, Sha256};

use super::node::{Node, Xml};
use crate::workbook::read::{ReadError, ReadLimits, damaged};

/// The record at the end of an archive, if nothing stands behind it.
const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;

/// A relation of a part to another.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) id: String,
    /// The last word of its type: `worksheet`.
    pub(super) kind: String,
    /// The other part's name; an address, if it is outside.
    pub(super) target: String,
    pub(super) is_external: bool,
}

pub(super) struct Parts<'b> {
    archive: zip::ZipArchive<Cursor<&'b [u8]>>,
    /// Places by names in small letters.
    places: BTreeMap<String, usize>,
    bytes_left: u64,
    limit: u64,
    pub(super) nodes_max: usize,
}

impl<'b> Parts<'b> {
    pub(super) fn open(bytes: &'b [u8], limits: &ReadLimits) -> Result<Self, ReadError> {
        let end = bytes.len().checked_sub(END_BYTES).and_then(|at| bytes.get(at..));
        if !end.is_some_and(|end| end.starts_with(END) && end.ends_with(&[0, 0])) {
            return Err(damaged("something stands behind the archive"));
        }
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        let mut places = BTreeMap::new();
        for index in 0..archive.len() {
            let part = archive.by_index_raw(index).map_err(damaged)?;
            let name = part.name().replace('\\', "/").trim_start_matches('/').to_lowercase();
            if !part.is_dir() && places.insert(name, index).is_some() {
                return Err(damaged("a part twice"));
            }
        }
        // A cell is three elements, of a kind.
        let nodes_max = limits.cells_max.saturating_mul(6).saturating_add(100_000);
        let limit = limits.inflated_bytes_max;
        Ok(Self { archive, places, bytes_left: limit, limit, nodes_max })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(index) = self.places.get(&name.to_lowercase()) else { return Ok(None) };
        let part = self.archive.by_index(*index).map_err(damaged)?;
        let mut bytes = Vec::new();
        part.take(self.bytes_left + 1).read_to_end(&mut bytes).map_err(damaged)?;
        let too_large = ReadError::TooLarge { what: "字节（解压后）bytes inflated", limit: self.limit };
        self.bytes_left = self.bytes_left.checked_sub(bytes.len() as u64).ok_or(too_large)?;
        Ok(Some(bytes))
    }

    /// The text of a part.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| damaged("a part that is no UTF-8"))?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        if !is_declared(&text) {
            return Err(damaged("a part of another encoding"));
        }
        if has_loose_end(&text) {
            return Err(damaged("the end of a text that did not begin"));
        }
        Ok(Some(text))
    }

    /// The root of a part.
    pub(super) fn root(&mut self, name: &str) -> Result<Option<Node>, ReadError> {
        let nodes_max = self.nodes_max;
        self.text(name)?.map(|text| Xml::root(&text, nodes_max)).transpose()
    }

    /// What a part is, whatever its name.
    pub(super) fn digest(&mut self, name: &str) -> Result<String, ReadError> {
        let bytes = self.bytes(name)?;
        Ok(bytes.map_or_else(|| "missing".to_owned(), |bytes| digest(&bytes)))
    }

    /// The relations of a part; of the whole archive, if it has no name.
    pub(super) fn relations(&mut self, of: &str) -> Result<Vec<Relation>, ReadError> {
        let (folder, file) = of.rsplit_once('/').unwrap_or(("", of));
        let name = if folder.is_empty() { format!("_rels/{file}.rels") } else { format!("{folder}/_rels/{file}.rels") };
        let Some(root) = self.root(&name)? else { return Ok(Vec::new()) };
        let mut ids = BTreeSet::new();
        for node in &root.children {
            if node.name != "Relationship" || !ids.insert(node.text_of("Id").to_owned()) {
                return Err(damaged("a relation that is none, or is there twice"));
            }
        }
        if root.name != "Relationships" {
            return Err(damaged("relations that are none"));
        }
        let relation = |node: &Node| {
            let is_external = node.text_of("TargetMode").eq_ignore_ascii_case("external");
            let target = node.text_of("Target");
            Relation {
                id: node.text_of("Id").to_owned(),
                kind: kind(node.text_of("Type")),
                target: if is_external { target.to_owned() } else { resolved(folder, target) },
                is_external,
            }
        };
        Ok(root.children.iter().map(relation).collect())
    }
}

/// Beginnings of the types of relations that programs know.
const TYPES: [&str; 4] = [
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships/",
    "http://schemas.openxmlformats.org/package/2006/relationships/",
    "http://purl.oclc.org/ooxml/officeDocument/relationships/",
    "http://schemas.microsoft.com/office/",
];

/// The last word of the type of a relation; all of it, if it is not of a kind that programs know.
fn kind(name: &str) -> String {
    let is_known = TYPES.iter().any(|known| name.starts_with(known)) || name.ends_with("/metadata/core-properties");
    if is_known { name.rsplit('/').next().unwrap_or_default().to_owned() } else { format!("?{name}") }
}

/// Whether a part begins as each program reads it: without a declaration, or with one of UTF-8.
fn is_declared(text: &str) -> bool {
    let Some((declaration, _)) = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) else {
        return !text.starts_with("<?");
    };
    let words = declaration.to_lowercase().replace('\'', "\"").replace(" =", "=").replace("= ", "=");
    let mut words = words.split_whitespace();
    let mut next = words.next();
    if !matches!(next, Some("version=\"1.0\"" | "version=\"1.1\"")) {
        return false;
    }
    next = words.next();
    if next == Some("encoding=\"utf-8\"") {
        next = words.next();
    }
    if matches!(next, Some("standalone=\"yes\"" | "standalone=\"no\"")) {
        next = words.next();
    }
    next.is_none()
}

/// Whether `]]>` stands where no text has begun with `<![CDATA[`: some programs read no further.
fn has_loose_end(text: &str) -> bool {
    const BEGIN: &str = "<![CDATA[";
    const END: &str = "]]>";
    let mut rest = text;
    while let Some(end) = rest.find(END) {
        if rest.find(BEGIN).is_none_or(|begin| begin > end) {
            return true;
        }
        rest = &rest[end + END.len()..];
    }
    false
}

/// The digest of some bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    data_encoding::HEXLOWER.encode(&digest[..16])
}

/// A target as seen from a folder.
fn resolved(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut path: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.retain(|step| !step.is_empty());
    path.join("/")
}

#[cfg(test)]
mod tests {
    use super::{has_loose_end, is_declared, kind};

    #[test]
    fn a_part_is_read_only_as_every_program_reads_it() {
        for (text, is_read) in [
            (r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><a/>"#, true),
            ("<?xml version='1.0' encoding='utf-8'?><a/>", true),
            ("<a/>", true),
            (r#"<?xml version="7.0" encoding="UTF-8"?><a/>"#, false),
            (r#"<?xml v="1.0" encoding="UTF-8"?><a/>"#, false),
            (r#"<?xml version="1.0"ng="UTF-8"?><a/>"#, false),
            (r#"<?xml version="1.0" encoding="GBK"?><a/>"#, false),
        ] {
            assert_eq!(is_declared(text), is_read, "{text}");
        }
        for (text, is_loose) in
            [("<a>]]></a>", true), ("<a><![CDATA[x]]></a>", false), ("<a><![CDATA[x]]>]]></a>", true), ("<a/>", false)]
        {
            assert_eq!(has_loose_end(text), is_loose, "{text}");
        }
        let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles";
        assert_eq!((kind(office), kind(&office.replace("2006", "6006")).starts_with('?')), ("styles".into(), true));
    }
}
