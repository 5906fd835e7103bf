//! The gate: the only way for a change from outside into automerge.
//!
//! A change is checked as bytes first (size, kind, inflated size, what it unfolds to), then decoded, then each of its
//! operations must fit the document model. Only then does it become an [`AdmittedChange`], the one
//! type that [`super::Document::apply`] takes. What needs the network or the store (who may write
//! where, quarantine) is decided by the caller around it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
};

use automerge::legacy;
use sha2::{Digest, Sha256};

use super::{
    RowKey,
    fields::Fields,
    text::text_of,
    weight::{Weight, weigh},
};
use crate::{
    catalogue::{Catalogue, Kind},
    conflict::{Means, Provenance},
    ids::{Book, ChangeHash, Identity},
    row::{Address, PHOTO, REMOVED, STATE, is_name},
};

/// Limits on what comes from outside. The defaults admit the largest honest import of one document.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateLimits {
    /// Bytes as received.
    pub change_bytes_max: usize,
    /// Bytes after inflating.
    pub inflated_bytes_max: usize,
    /// Operations in one change, and those that they replace. So many may all changes of one request have beyond one for each
    /// of their bytes.
    pub ops_max: usize,
    /// Bytes of one text value.
    pub text_bytes_max: usize,
    /// Bytes of one message of automerge's sync protocol.
    pub sync_bytes_max: usize,
    /// Hashes that it names.
    pub sync_hashes_max: u64,
    /// Bloom filters in it.
    pub sync_filters_max: u64,
    /// Changes in it.
    pub sync_changes_max: u64,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            change_bytes_max: 4 << 20,
            inflated_bytes_max: 16 << 20,
            ops_max: 200_000,
            text_bytes_max: 64 << 10,
            sync_bytes_max: 8 << 20,
            sync_hashes_max: 16_384,
            sync_filters_max: 8,
            sync_changes_max: 50_000,
        }
    }
}

/// Why a change was refused; the code is stable, the sentence is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// Over a limit on size or count.
    TooLarge,
    /// Not a change, or a damaged one.
    Malformed,
    /// An operation that the document model does not have.
    ForeignOperation,
    /// A cell that belongs into another book.
    WrongBook,
    /// A value of the wrong kind for its column.
    WrongValue,
    /// Earlier changes are not here.
    MissingDependencies,
    /// The sender may not write to this document.
    Forbidden,
    /// Its actor is another device's.
    ForeignActor,
    /// The year that it belongs to is sealed.
    Sealed,
}

impl RefusalCode {
    /// All codes in the order of their wire numbers.
    pub const ALL: [RefusalCode; 9] = [
        RefusalCode::TooLarge,
        RefusalCode::Malformed,
        RefusalCode::ForeignOperation,
        RefusalCode::WrongBook,
        RefusalCode::WrongValue,
        RefusalCode::MissingDependencies,
        RefusalCode::Forbidden,
        RefusalCode::ForeignActor,
        RefusalCode::Sealed,
    ];

    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            RefusalCode::TooLarge => "too-large",
            RefusalCode::Malformed => "malformed",
            RefusalCode::ForeignOperation => "foreign-operation",
            RefusalCode::WrongBook => "wrong-book",
            RefusalCode::WrongValue => "wrong-value",
            RefusalCode::MissingDependencies => "missing-dependencies",
            RefusalCode::Forbidden => "forbidden",
            RefusalCode::ForeignActor => "foreign-actor",
            RefusalCode::Sealed => "sealed",
        }
    }

    /// Whether a change that is refused for this may hold a person's work. What cannot be decoded, or is of a size that
    /// no person writes, holds none.
    pub const fn may_hold_work(self) -> bool {
        !matches!(self, RefusalCode::TooLarge | RefusalCode::Malformed)
    }
}

/// A refused change: what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// The stable code.
    pub code: RefusalCode,
    /// The sentence for people.
    pub sentence: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: RefusalCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }
}

/// A change that passed the gate.
#[derive(Debug, Clone)]
pub struct AdmittedChange {
    change: automerge::Change,
    writes: Writes,
}

/// What a change writes to.
#[derive(Debug, Clone, Default)]
pub(super) struct Writes {
    /// Rows of which it writes cells.
    pub(super) rows: BTreeSet<RowKey>,
    /// Long texts of which it writes letters.
    pub(super) texts: BTreeSet<automerge::ObjId>,
    /// Cells of which it takes values away, and the operations that wrote those. Official clients do so when somebody settles
    /// a conflict with the value in force: the others are deleted. A cell that is left with nothing was not settled, though:
    /// only an undo empties cells, and only of what imports wrote.
    pub(super) deleted: BTreeMap<Address, Vec<automerge::ObjId>>,
    /// Whether it takes an import back.
    pub(super) is_undo: bool,
}

impl AdmittedChange {
    /// Its hash.
    pub fn hash(&self) -> ChangeHash {
        ChangeHash(self.change.hash().0)
    }

    /// Its uncompressed chunk, as it is stored.
    pub fn bytes(&self) -> &[u8] {
        self.change.raw_bytes()
    }

    /// When it was written by its writer's clock, in seconds since 1970.
    pub fn time_s(&self) -> i64 {
        self.change.timestamp()
    }

    /// Its actor's bytes.
    pub fn actor(&self) -> Vec<u8> {
        self.change.actor_id().to_bytes().to_vec()
    }

    /// What it says of who has made it, and how.
    pub fn provenance(&self) -> Option<Provenance> {
        serde_json::from_str(self.change.message()?).ok()
    }

    pub(super) fn into_inner(self) -> (automerge::Change, Writes) {
        (self.change, self.writes)
    }
}

/// Changes of a document that are looked through for what it says of itself.
const MARKED_CHANGES_MAX: usize = 8;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHUNK_CHANGE: u8 = 1;
const CHUNK_COMPRESSED: u8 = 2;

/// Times that one change may write to one cell. Whoever settles a conflict writes twice; written over and over without
/// replacing itself, a cell would be in conflict with itself.
const WRITES_OF_CELL_MAX: u32 = 64;

/// A change from outside of which the size is known and nothing is decoded.
#[derive(Debug)]
pub struct Chunk {
    /// Not compressed.
    plain: Vec<u8>,
    weight: Weight,
}

impl Chunk {
    /// Takes change chunks only, inflates under a cap, and counts what they unfold to.
    pub fn open(bytes: &[u8], limits: &GateLimits) -> Result<Self, Refusal> {
        let plain = inflate(bytes, limits)?;
        let weight = weigh(&plain).ok_or_else(|| malformed("its fields do not fit its length"))?;
        let ops = weight.ops.max(weight.predecessors);
        if ops > limits.ops_max as u64 {
            let sentence = format!("the change has {ops} operations, at most {} are allowed", limits.ops_max);
            return Err(Refusal::new(RefusalCode::TooLarge, sentence));
        }
        Ok(Self { plain, weight })
    }

    /// Its hash: of its kind, length and content, as automerge does it.
    pub fn hash(&self) -> ChangeHash {
        ChangeHash(Sha256::digest(&self.plain[8..]).into())
    }

    /// Operations beyond one for each of its bytes. What people write has none: each of their values is written out. A run of
    /// letters that are deleted has.
    pub fn excess(&self) -> u64 {
        (self.weight.ops + self.weight.predecessors).saturating_sub(self.plain.len() as u64)
    }

    fn decode(self) -> Result<automerge::Change, Refusal> {
        std::panic::catch_unwind(|| automerge::Change::from_bytes(self.plain))
            .map_err(|_| malformed("it cannot be decoded"))?
            .map_err(|e| malformed(&format!("it cannot be decoded: {e}")))
    }

    /// What it writes: keys and values as texts.
    fn values(self) -> Result<Vec<(String, String)>, Refusal> {
        use automerge::{ScalarValue, legacy::OpType};
        let cell = |op: legacy::Op| {
            let (legacy::Key::Map(key), OpType::Put(value)) = (op.key, op.action) else { return None };
            let value = match value {
                ScalarValue::Str(text) => text.to_string(),
                ScalarValue::Null => String::new(),
                other => other.to_string(),
            };
            Some((key.to_string(), value))
        };
        Ok(self.decode()?.decode().operations.into_iter().filter_map(cell).collect())
    }

    /// Checks it for a document of this book.
    pub fn admit(self, book: Book, catalogue: &Catalogue, limits: &GateLimits) -> Result<AdmittedChange, Refusal> {
        let change = self.decode()?;
        let mut writes = Writes { is_undo: is_undo(&change), ..Writes::default() };
        let mut cells: HashMap<Address, u32> = HashMap::new();
        for op in &change.decode().operations {
            writes.texts.extend(text_of(op));
            let Some(address) = check(op, book, catalogue, limits)? else { continue };
            if op.action == legacy::OpType::Delete {
                let gone = op.pred.iter().map(|id| automerge::ObjId::Id(id.counter(), id.actor().clone(), 0));
                writes.deleted.entry(address.clone()).or_default().extend(gone);
            }
            let times = cells.entry(address).or_default();
            *times += 1;
            if *times > WRITES_OF_CELL_MAX {
                let sentence = format!("one change writes to one cell more than {WRITES_OF_CELL_MAX} times");
                return Err(Refusal::new(RefusalCode::ForeignOperation, sentence));
            }
        }
        writes.rows = cells.keys().map(RowKey::from).collect();
        Ok(AdmittedChange { change, writes })
    }
}

/// Whether a change says that it takes an import back.
fn is_undo(change: &automerge::Change) -> bool {
    let provenance = change.message().and_then(|message| serde_json::from_str::<Provenance>(message).ok());
    provenance.is_some_and(|provenance| provenance.how == Means::Undo)
}

/// Checks one change for a document of this book.
pub fn admit(bytes: &[u8], book: Book, catalogue: &Catalogue, limits: &GateLimits) -> Result<AdmittedChange, Refusal> {
    Chunk::open(bytes, limits)?.admit(book, catalogue, limits)
}

/// Which document a new one's first changes say that it is.
pub fn identity_of(changes: &[Vec<u8>], limits: &GateLimits) -> Result<Option<Identity>, Refusal> {
    let mut marks = BTreeMap::new();
    // They are written first of all.
    for bytes in changes.iter().take(MARKED_CHANGES_MAX) {
        let chunk = Chunk::open(bytes, limits)?;
        if chunk.excess() > 0 {
            break;
        }
        marks.extend(chunk.values()?.into_iter().filter(|(key, _)| key.starts_with('@')));
        let mark = |key: &str| marks.get(key);
        if let (Some(unit), Some(book), Some(period)) = (mark("@unit"), mark("@book"), mark("@period")) {
            let (Ok(unit), Ok(book)) = (unit.parse(), book.parse()) else { break };
            return Ok(Some(Identity { unit, book, period: period.clone() }));
        }
    }
    Ok(None)
}

/// What a change writes, for people: keys and values as texts. The change need not fit anything.
pub fn peek(bytes: &[u8], limits: &GateLimits) -> Result<Vec<(String, String)>, Refusal> {
    Chunk::open(bytes, limits)?.values()
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(RefusalCode::Malformed, format!("not a change: {what}"))
}

/// Accepts chunk types 1 and 2 only, and inflates under a cap.
fn inflate(bytes: &[u8], limits: &GateLimits) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let sentence = format!("the change is larger than {} bytes", limits.change_bytes_max);
        Refusal::new(RefusalCode::TooLarge, sentence)
    };
    if bytes.len() > limits.change_bytes_max {
        return Err(too_large());
    }
    let header = bytes.get(..9).ok_or_else(|| malformed("too short"))?;
    if header[..4] != MAGIC {
        return Err(malformed("wrong magic bytes"));
    }
    match header[8] {
        CHUNK_CHANGE => Ok(bytes.to_vec()),
        CHUNK_COMPRESSED => {
            let mut fields = Fields::new(&bytes[9..]);
            let deflated = fields.bytes().filter(|_| fields.rest().is_empty());
            let deflated = deflated.ok_or_else(|| malformed("length does not match"))?;
            let cap = limits.inflated_bytes_max as u64 + 1;
            let reader = || flate2::read::DeflateDecoder::new(deflated).take(cap);
            let damaged = |_| malformed("damaged compression");
            // Twice, so that nothing is kept of what is too large.
            let length = std::io::copy(&mut reader(), &mut std::io::sink()).map_err(damaged)?;
            if length == cap {
                return Err(too_large());
            }
            let mut inflated = Vec::with_capacity(usize::try_from(length).map_err(|_| too_large())?);
            reader().read_to_end(&mut inflated).map_err(damaged)?;
            // The checksum of a compressed chunk is the one of the change inside.
            let mut plain = bytes[..8].to_vec();
            plain.push(CHUNK_CHANGE);
            push_leb128(&mut plain, inflated.len());
            plain.extend(inflated);
            Ok(plain)
        }
        _ => Err(malformed("only single changes are taken here")),
    }
}

fn push_leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        out.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}

/// One operation against the document model and the catalogue; returns the cell that it writes.
fn check(op: &legacy::Op, book: Book, catalogue: &Catalogue, limits: &GateLimits) -> Result<Option<Address>, Refusal> {
    use automerge::{ObjType, ScalarValue as S, legacy::OpType};
    let foreign = |what: &str| Refusal::new(RefusalCode::ForeignOperation, format!("{what} has no place in a ledger"));
    let key = match (&op.obj, &op.key) {
        (legacy::ObjectId::Root, legacy::Key::Map(key)) => Some(key.as_str()),
        (legacy::ObjectId::Id(_), legacy::Key::Seq(_)) => None,
        _ => return Err(foreign("a nested map")),
    };
    let value = match &op.action {
        OpType::Put(value) => Some(value),
        // Letters do not say of whom they are: what may have to be erased could not be found.
        OpType::Make(ObjType::Text) if book.is_restricted() => return Err(foreign("a text written letter by letter")),
        OpType::Make(ObjType::Text) if key.is_some() => None,
        OpType::Delete => None,
        OpType::Make(_) => return Err(foreign("a nested object")),
        OpType::Increment(_) => return Err(foreign("a counter")),
        OpType::MarkBegin(..) | OpType::MarkEnd(_) => return Err(foreign("formatted text")),
    };
    if let Some(S::Str(text)) = value
        && text.len() > limits.text_bytes_max
    {
        let sentence = format!("a text is longer than {} bytes", limits.text_bytes_max);
        return Err(Refusal::new(RefusalCode::TooLarge, sentence));
    }
    if let Some(S::Bytes(_) | S::F64(_) | S::Counter(_) | S::Uint(_) | S::Unknown { .. }) = value {
        return Err(foreign("a value that is neither text, integer nor yes/no"));
    }
    // Letters inside a long text carry no address of their own.
    let Some(key) = key else { return Ok(None) };
    let Some(address) = Address::parse(key) else {
        let mark = key.strip_prefix('@').is_some_and(is_name) && op.action != OpType::Delete;
        return if mark { Ok(None) } else { Err(foreign(&format!("the key `{}`", shorten(key)))) };
    };
    fits(&address, &op.action, book, catalogue)?;
    Ok(Some(address))
}

/// An address that the catalogue knows must be in the right book and carry the right kind of value.
/// One that it does not know (a newer device, an older server) is kept.
fn fits(address: &Address, action: &legacy::OpType, book: Book, catalogue: &Catalogue) -> Result<(), Refusal> {
    // Letters of a long text count as text.
    let letters = automerge::ScalarValue::Str("".into());
    let value = match action {
        legacy::OpType::Put(value) => value,
        // Whatever it takes away: nothing is of the right kind anywhere.
        legacy::OpType::Delete => &automerge::ScalarValue::Null,
        _ => &letters,
    };
    let Some(ledger) = catalogue.ledger(&address.ledger) else { return Ok(()) };
    let wrong_book = |home: Book| {
        let sentence = format!("`{address}` belongs into book `{home}`, not `{book}`");
        Err(Refusal::new(RefusalCode::WrongBook, sentence))
    };
    if address.column.starts_with('@') {
        let home = ledger.book;
        if book.open() != home {
            return wrong_book(home);
        }
        let is_flag = matches!(value, automerge::ScalarValue::Boolean(_) | automerge::ScalarValue::Null);
        let is_state = || {
            let automerge::ScalarValue::Str(code) = value else {
                return matches!(value, automerge::ScalarValue::Null);
            };
            catalogue.list(Catalogue::RECORD_STATES).is_some_and(|list| list.code(code).is_some())
        };
        let is_wrong =
            matches!(address.column.as_str(), REMOVED | PHOTO) && !is_flag || address.column == STATE && !is_state();
        return if is_wrong { Err(wrong_value(address)) } else { Ok(()) };
    }
    let Some(column) = ledger.column(&address.column) else { return Ok(()) };
    let home = ledger.book_of(column);
    if home != book {
        return wrong_book(home);
    }
    let kind = match value {
        automerge::ScalarValue::Null => return Ok(()),
        automerge::ScalarValue::Boolean(_) => Kind::Bool,
        automerge::ScalarValue::Int(_) | automerge::ScalarValue::Timestamp(_) => Kind::Int,
        _ => Kind::Text,
    };
    let expected = if address.member.is_some() { Kind::Bool } else { column.column_type.kind() };
    let is_set = column.column_type.is_set();
    if kind == expected && is_set == address.member.is_some() { Ok(()) } else { Err(wrong_value(address)) }
}

fn wrong_value(address: &Address) -> Refusal {
    Refusal::new(RefusalCode::WrongValue, format!("the value at `{address}` is not of the kind its column holds"))
}

fn shorten(key: &str) -> String {
    key.chars().take(40).collect()
}
