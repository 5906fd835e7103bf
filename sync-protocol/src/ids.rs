//! Names of things. Every id that can be derived is derived, so that replicas which never met
//! still agree on it.

use std::{fmt, str::FromStr, sync::LazyLock};

use data_encoding::{Encoding, HEXLOWER, Specification};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

/// Root of all derived ids: v5 UUID of `taizhang` in the DNS namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f1d_7c0e_52a9_5b44_9a6e_3d10_7b86_c2f5);

/// Lower-case Crockford base32: no i, l, o, u, so that a row id survives being read aloud.
static CROCKFORD: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    spec.encoding().expect("32 distinct symbols are a valid alphabet")
});

/// A text that is not the id it was read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {expected}")]
pub struct IdError {
    text: String,
    expected: &'static str,
}

fn derive(kind: &str, parts: &[&str]) -> Uuid {
    let mut name = kind.to_owned();
    for part in parts {
        // Length first: ("ab", "c") and ("a", "bc") must not meet.
        name = format!("{name}\0{}\0{part}", part.len());
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The county that a document belongs to, by its division code or another stable name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenant(String);

impl Tenant {
    /// Names a county; the text takes part in every derived id and must never change.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The sixteen bytes that are stored and sent.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id with these sixteen bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(self.as_bytes())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes: [u8; 16] = d
                    .bytes()?
                    .try_into()
                    .map_err(|_| minicbor::decode::Error::message("an id has 16 bytes"))?;
                Ok(Self::from_bytes(bytes))
            }
        }
    };
}

uuid_id! {
    /// A unit 单位 in the tree county → township → village, community, enterprise.
    UnitId
}
uuid_id! {
    /// The automerge document of one (unit, book, period).
    DocumentId
}
uuid_id! {
    /// An enrolled field device.
    DeviceId
}

impl UnitId {
    /// The unit that the county knows under an official code (or, failing that, a full name).
    /// `parent` keeps equal names in two townships apart.
    pub fn derive(tenant: &Tenant, parent: Option<UnitId>, code_or_name: &str) -> Self {
        let parent = parent.map(|p| p.to_string()).unwrap_or_default();
        Self(derive("unit", &[tenant.as_str(), &parent, code_or_name]))
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UnitId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::parse_str(text).map(Self).map_err(|_| IdError { text: text.into(), expected: "unit id" })
    }
}

impl FromStr for DeviceId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::parse_str(text).map(Self).map_err(|_| IdError { text: text.into(), expected: "device id" })
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for DocumentId {
    /// bs58check, as automerge-repo writes it after `automerge:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.as_bytes()).with_check().into_string())
    }
}

impl FromStr for DocumentId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError { text: text.into(), expected: "document id" };
        let bytes = bs58::decode(text.strip_prefix("automerge:").unwrap_or(text))
            .with_check(None)
            .into_vec()
            .map_err(|_| error())?;
        bytes.try_into().map(Self::from_bytes).map_err(|_| error())
    }
}

/// A group of ledgers with one writing authority 册. Restricted twins hold the S3 columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Book {
    /// What a branch or village records about itself.
    Unit,
    /// The S3 columns of [`Book::Unit`].
    UnitRestricted,
    /// What the township decides about a unit.
    Township,
    /// The S3 columns of [`Book::Township`].
    TownshipRestricted,
    /// What the county decides.
    County,
    /// The S3 columns of [`Book::County`].
    CountyRestricted,
}

impl Book {
    /// All books in the order of their wire numbers.
    pub const ALL: [Book; 6] = [
        Book::Unit,
        Book::UnitRestricted,
        Book::Township,
        Book::TownshipRestricted,
        Book::County,
        Book::CountyRestricted,
    ];

    /// The name in documents, SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Book::Unit => "unit",
            Book::UnitRestricted => "unit-restricted",
            Book::Township => "township",
            Book::TownshipRestricted => "township-restricted",
            Book::County => "county",
            Book::CountyRestricted => "county-restricted",
        }
    }

    /// The twin that holds the S3 columns (a restricted book is its own twin).
    #[must_use]
    pub const fn restricted(self) -> Self {
        match self {
            Book::Unit | Book::UnitRestricted => Book::UnitRestricted,
            Book::Township | Book::TownshipRestricted => Book::TownshipRestricted,
            Book::County | Book::CountyRestricted => Book::CountyRestricted,
        }
    }

    /// The book without its S3 columns (an open book is its own).
    #[must_use]
    pub const fn open(self) -> Self {
        match self {
            Book::Unit | Book::UnitRestricted => Book::Unit,
            Book::Township | Book::TownshipRestricted => Book::Township,
            Book::County | Book::CountyRestricted => Book::County,
        }
    }

    /// Whether the book holds S3 columns.
    pub const fn is_restricted(self) -> bool {
        matches!(self, Book::UnitRestricted | Book::TownshipRestricted | Book::CountyRestricted)
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Book {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Book::ALL
            .into_iter()
            .find(|book| book.as_str() == text)
            .ok_or_else(|| IdError { text: text.into(), expected: "book" })
    }
}

impl<C> minicbor::Encode<C> for Book {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(*self as u8)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Book {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let number = usize::from(d.u8()?);
        Book::ALL.get(number).copied().ok_or_else(|| minicbor::decode::Error::message("unknown book"))
    }
}

/// What a document is of: its id follows from this and the county.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, minicbor::Encode, minicbor::Decode,
)]
#[cbor(map)]
pub struct Identity {
    /// The unit it is about.
    #[n(0)]
    pub unit: UnitId,
    /// The book it belongs to.
    #[n(1)]
    pub book: Book,
    /// The reporting year, for example `2012`.
    #[n(2)]
    pub period: String,
}

impl Identity {
    /// The document's id in this county.
    pub fn document(&self, tenant: &Tenant) -> DocumentId {
        DocumentId(derive("document", &[tenant.as_str(), &self.unit.to_string(), self.book.as_str(), &self.period]))
    }

    /// The same unit and period in another book.
    #[must_use]
    pub fn in_book(&self, book: Book) -> Self {
        Self { unit: self.unit, book, period: self.period.clone() }
    }
}

/// One record inside a document: 80 bits, written as 16 Crockford characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId([u8; 10]);

impl RowId {
    /// The row that this natural key names, on every replica that holds `key`.
    pub fn derive(key: &[u8], ledger: &str, parts: &[&str]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        for part in std::iter::once(&ledger).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&digest[..10]);
        Self(bytes)
    }

    /// A row whose ledger has no filled natural key: ten bytes of the caller's randomness.
    pub const fn random(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// The ten bytes that are stored.
    pub const fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }
}

impl RowId {
    /// Appends the text form.
    pub(crate) fn push_to(self, text: &mut String) {
        CROCKFORD.encode_append(&self.0, text);
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&CROCKFORD.encode(&self.0))
    }
}

impl FromStr for RowId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError { text: text.into(), expected: "row id" };
        let bytes = CROCKFORD.decode(text.as_bytes()).map_err(|_| error())?;
        bytes.try_into().map(Self).map_err(|_| error())
    }
}

impl Serialize for RowId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The hash of one automerge change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangeHash(pub [u8; 32]);

impl fmt::Display for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for ChangeHash {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError { text: text.into(), expected: "change hash" };
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| error())?;
        bytes.try_into().map(Self).map_err(|_| error())
    }
}

impl fmt::Debug for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<C> minicbor::Encode<C> for ChangeHash {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for ChangeHash {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        bytes.try_into().map(Self).map_err(|_| minicbor::decode::Error::message("a change hash has 32 bytes"))
    }
}

/// Who writes changes: random per installation and session, never used again after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActorId(pub [u8; 16]);

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}
