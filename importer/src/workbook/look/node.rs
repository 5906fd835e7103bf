//! Elements of XML as they are looked at: names that belong to known vocabularies, everything else marked as foreign.

use quick_xml::{
    NsReader,
    events::{BytesStart, Event},
    name::ResolveResult,
};

use crate::workbook::{
    read::{ReadError, damaged},
    xml::push_text,
};

/// Elements in elements.
const DEPTH_MAX: usize = 64;
/// Vocabularies of which every element is known by its local name alone.
const KNOWN: [&str; 17] = [
    "http://purl.oclc.org/ooxml/",
    "http://schemas.microsoft.com/office/drawing/",
    "http://schemas.microsoft.com/office/spreadsheetml/",
    "urn:oasis:names:tc:opendocument:xmlns:office:",
    "urn:oasis:names:tc:opendocument:xmlns:table:",
    "urn:oasis:names:tc:opendocument:xmlns:text:",
    "urn:oasis:names:tc:opendocument:xmlns:style:",
    "urn:oasis:names:tc:opendocument:xmlns:drawing:",
    "urn:oasis:names:tc:opendocument:xmlns:datastyle:",
    "urn:oasis:names:tc:opendocument:xmlns:meta:",
    "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:",
    "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:",
    "urn:oasis:names:tc:opendocument:xmlns:config:",
    "urn:oasis:names:tc:opendocument:xmlns:script:",
    "urn:org:documentfoundation:names:experimental:",
    "urn:oasis:names:tc:opendocument:xmlns:manifest:",
    "http://openoffice.org/",
];

/// Vocabularies that are known by their whole address: of another one, some programs show nothing.
const EXACT: [&str; 15] = [
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://schemas.openxmlformats.org/package/2006/relationships",
    "http://schemas.openxmlformats.org/package/2006/content-types",
    "http://schemas.openxmlformats.org/package/2006/metadata/core-properties",
    "http://schemas.openxmlformats.org/officeDocument/2006/extended-properties",
    "http://schemas.openxmlformats.org/officeDocument/2006/custom-properties",
    "http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes",
    "http://schemas.openxmlformats.org/officeDocument/2006/customXml",
    "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "http://schemas.openxmlformats.org/drawingml/2006/main",
    "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing",
    "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "http://schemas.openxmlformats.org/drawingml/2006/chartDrawing",
    "http://schemas.openxmlformats.org/drawingml/2006/picture",
];

/// An element with all that is in it.
#[derive(Debug, Default, Clone)]
pub(super) struct Node {
    /// Its local name; `?` and the name, if it is of an unknown vocabulary.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// Vocabularies that it declares: `xmlns:a` and the address.
    pub(super) vocabularies: Vec<(String, String)>,
    pub(super) children: Vec<Node>,
    /// The text in it, up to its first child.
    pub(super) text: String,
    /// The text behind it, up to what follows it.
    pub(super) tail: String,
}

/// What comes next in a part.
pub(super) enum Token {
    /// An element begins.
    Start(Node),
    /// An element ends.
    End,
    /// Text.
    Text,
    /// The part is over.
    Over,
}

/// A part that is being read.
pub(super) struct Xml<'t> {
    reader: NsReader<&'t [u8]>,
    depth: usize,
    /// An element without content was given: its end comes next.
    is_empty: bool,
    /// Elements that may still be read.
    nodes_left: usize,
}

impl Node {
    /// An attribute by the name that it has in the file; prefixed ones by `:name`.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let is_it = |key: &str| if name.starts_with(':') { key.ends_with(name) } else { key == name };
        self.attributes.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value.as_str())
    }

    /// An attribute, or nothing.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.attribute(name).unwrap_or_default()
    }

    /// An attribute that is a number.
    pub(super) fn number_of<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.trim().parse().ok()
    }

    /// Whether an attribute says yes.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.attribute(name), Some("1" | "true" | "on"))
    }

    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of this name.
    pub(super) fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// It and everything in it.
    pub(super) fn walk(&self, look: &mut impl FnMut(&Node)) {
        look(self);
        for child in &self.children {
            child.walk(look);
        }
    }

    /// All text in it.
    pub(super) fn words(&self) -> String {
        let children = self.children.iter().map(|child| child.words() + &child.tail);
        children.fold(self.text.clone(), |words, child| words + &child)
    }

    /// The element again in a form in which equal ones are equal.
    pub(super) fn canonical(&self) -> String {
        let mut attributes = self.attributes.clone();
        attributes.sort();
        let attributes: Vec<String> = attributes.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        let attributes = attributes.concat();
        let children: String = self.children.iter().map(Node::canonical).collect();
        format!("<{}{attributes}>{}{children}", self.name, self.text.trim())
    }
}

impl<'t> Xml<'t> {
    pub(super) fn new(text: &'t str, nodes_max: usize) -> Self {
        Self { reader: NsReader::from_str(text), depth: 0, is_empty: false, nodes_left: nodes_max }
    }

    /// The root of a part, whole.
    pub(super) fn root(text: &str, nodes_max: usize) -> Result<Node, ReadError> {
        let mut xml = Xml::new(text, nodes_max);
        let mut root = None;
        loop {
            match xml.next(None)? {
                Token::Start(node) if root.is_none() => root = Some(xml.rest(node)?),
                Token::Start(_) | Token::End => return Err(damaged("two roots")),
                Token::Text => {}
                Token::Over => return root.ok_or_else(|| damaged("an empty part")),
            }
        }
    }

    /// What comes next; text goes to `into`.
    pub(super) fn next(&mut self, into: Option<&mut String>) -> Result<Token, ReadError> {
        if std::mem::take(&mut self.is_empty) {
            self.depth -= 1;
            return Ok(Token::End);
        }
        let (namespace, event) = self.reader.read_resolved_event().map_err(damaged)?;
        let is_known = match namespace {
            ResolveResult::Bound(namespace) => {
                let namespace: &str = namespace.as_ref();
                EXACT.contains(&namespace) || KNOWN.iter().any(|known| namespace.starts_with(known))
            }
            ResolveResult::Unbound => false,
            ResolveResult::Unknown(_) => return Err(damaged("a prefix without vocabulary")),
        };
        match event {
            Event::Start(tag) => self.begins(&tag, is_known, false),
            Event::Empty(tag) => self.begins(&tag, is_known, true),
            Event::End(_) => {
                self.depth = self.depth.checked_sub(1).ok_or_else(|| damaged("an end without a beginning"))?;
                Ok(Token::End)
            }
            Event::DocType(_) => Err(damaged("a document type")),
            // No program writes them between cells, and not every reader passes them by.
            Event::Comment(_) | Event::PI(_) if self.depth > 0 => Err(damaged("a comment")),
            Event::Eof if self.depth > 0 => Err(damaged("a part breaks off")),
            Event::Eof => Ok(Token::Over),
            event => {
                if let Some(into) = into {
                    push_text(&event, into)?;
                }
                Ok(Token::Text)
            }
        }
    }

    fn begins(&mut self, tag: &BytesStart<'_>, is_known: bool, is_empty: bool) -> Result<Token, ReadError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(damaged("elements in elements"));
        }
        let limit = self.nodes_left as u64;
        self.nodes_left =
            self.nodes_left.checked_sub(1).ok_or(ReadError::TooLarge { what: "元素 elements", limit })?;
        self.is_empty = is_empty;
        let local = tag.local_name();
        let local: &str = local.as_ref();
        let name = if is_known { local.to_owned() } else { format!("?{local}") };
        let (mut attributes, mut vocabularies) = (Vec::new(), Vec::new());
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(damaged)?;
            let key: &str = attribute.key.as_ref();
            let value = quick_xml::escape::unescape(&attribute.value).map_err(damaged)?;
            let is_vocabulary = key == "xmlns" || key.starts_with("xmlns:");
            let into = if is_vocabulary { &mut vocabularies } else { &mut attributes };
            into.push((key.to_owned(), value.into_owned()));
        }
        Ok(Token::Start(Node { name, attributes, vocabularies, ..Node::default() }))
    }

    /// The element that has just begun, whole.
    pub(super) fn rest(&mut self, mut node: Node) -> Result<Node, ReadError> {
        loop {
            let into = node.children.last_mut().map_or(&mut node.text, |child| &mut child.tail);
            match self.next(Some(into))? {
                Token::Start(child) => node.children.push(self.rest(child)?),
                Token::End => return Ok(node),
                Token::Text => {}
                Token::Over => return Err(damaged("a part breaks off")),
            }
        }
    }
}
