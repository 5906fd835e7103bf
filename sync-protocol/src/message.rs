//! The frames of the exchange, in CBOR with numbered fields.
//!
//! Version 1: one request hands over a device's new changes and asks for everybody else's since its
//! cursor. Unknown fields are skipped, so that fields may be added without a new version; a version
//! changes only when an old peer would do harm by ignoring what is new.

use minicbor::{Decode, Encode, bytes::ByteVec};

use std::collections::BTreeSet;

use crate::{
    document::{RefusalCode, RowKey},
    ids::{ChangeHash, Identity},
};

/// The version that this code speaks.
pub const PROTOCOL: u16 = 1;

/// Media type of requests and replies.
pub const MEDIA_TYPE: &str = "application/cbor";

/// Device → server.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ExchangeRequest {
    /// [`PROTOCOL`].
    #[n(0)]
    pub protocol: u16,
    /// Where the device stands in the feed; none on its first exchange. Opaque to the device.
    #[n(1)]
    pub cursor: Option<ByteVec>,
    /// What it wrote since.
    #[n(2)]
    pub push: Vec<DocumentPush>,
    /// Its clock, to show how far off it is.
    #[n(3)]
    pub device_time_ms: i64,
    /// Documents that it holds and that were not among those of its scope when it took them all anew.
    #[n(4)]
    #[cbor(default)]
    pub asks: Vec<Ask>,
    /// Changes that the server said it keeps for its supervisors.
    #[n(5)]
    #[cbor(default)]
    pub held: Vec<ChangeHash>,
}

/// A document that the device holds and the server has not named.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ask {
    /// What the document is of.
    #[n(0)]
    pub identity: Identity,
    /// Its newest changes: it is not dropped before the server has them.
    #[n(1)]
    pub heads: Vec<ChangeHash>,
    /// Changes for it that the server said it keeps for its supervisors.
    #[n(2)]
    pub held: Vec<ChangeHash>,
}

/// New changes for one document. The document's id follows from its identity.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct DocumentPush {
    /// What the document is of.
    #[n(0)]
    pub identity: Identity,
    /// Oldest first.
    #[n(1)]
    pub changes: Vec<PushedChange>,
}

/// One change on its way to the server.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PushedChange {
    /// The sender's name for it: receipts and refusals repeat it.
    #[n(0)]
    pub hash: ChangeHash,
    /// The change chunk.
    #[n(1)]
    pub bytes: ByteVec,
}

/// Server → device.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ExchangeReply {
    /// [`PROTOCOL`].
    #[n(0)]
    pub protocol: u16,
    /// Changes of the request that are durably stored (now or before).
    #[n(1)]
    pub receipts: Vec<ChangeHash>,
    /// Changes of the request that were not taken.
    #[n(2)]
    pub refusals: Vec<RefusedChange>,
    /// What others wrote.
    #[n(3)]
    pub documents: Vec<DocumentPull>,
    /// Where the device stands once it has stored this reply.
    #[n(4)]
    pub cursor: ByteVec,
    /// Whether more is waiting behind the cursor.
    #[n(5)]
    pub more: bool,
    /// The server's clock.
    #[n(6)]
    pub server_time_ms: i64,
    /// Set where the documents begin anew with every one of the scope: the cursor was of another scope, or of a
    /// server that has lost something since. What the device holds and they do not name, it asks about at the end.
    #[n(7)]
    #[cbor(default)]
    pub restart: bool,
    /// Of the documents asked about: those that this device may not hold, and of which the server has everything.
    #[n(8)]
    #[cbor(default)]
    pub dropped: Vec<Identity>,
    /// Of the changes said to be kept: those that the server knows nothing of any more.
    #[n(9)]
    #[cbor(default)]
    pub unknown: Vec<ChangeHash>,
    /// Of the documents asked about: those of which the server lacks something. They are sent whole, and asked about again.
    #[n(10)]
    #[cbor(default)]
    pub wanted: Vec<Identity>,
    /// The server's Ed25519 signature of [`receipt_statement`], where there are receipts.
    #[n(11)]
    pub signature: Option<ByteVec>,
    /// The device was revoked: what the server does not have is still taken, for a supervisor. The device asks about all its
    /// documents, and keeps nothing once each of them is dropped.
    #[n(12)]
    #[cbor(default)]
    pub erase: bool,
    /// A checkpoint of the audit log, where there are receipts: whoever keeps it is a witness of the log.
    #[n(13)]
    pub checkpoint: Option<String>,
}

/// What a server signs: that these changes are durable, and when it said so.
pub fn receipt_statement(receipts: &[ChangeHash], server_time_ms: i64) -> Vec<u8> {
    let mut statement = b"taizhang receipt 1\0".to_vec();
    statement.extend(server_time_ms.to_be_bytes());
    statement.extend(receipts.iter().flat_map(|hash| hash.0));
    statement
}

/// A change that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RefusedChange {
    /// The sender's name for it.
    #[n(0)]
    pub hash: ChangeHash,
    /// Why, for programs.
    #[n(1)]
    pub code: RefusalCode,
    /// Why and what to do, for people.
    #[n(2)]
    pub sentence: String,
    /// Whether the server keeps it, for a supervisor to admit or reject.
    #[n(3)]
    #[cbor(default)]
    pub quarantined: bool,
}

impl RefusedChange {
    /// Whether it only came too early: sent again with what it builds upon, it may be taken.
    pub fn is_unmet(&self) -> bool {
        is_unmet(self.code, self.quarantined)
    }
}

/// Whether what a change builds upon is all that is wrong with it.
pub(crate) fn is_unmet(code: RefusalCode, quarantined: bool) -> bool {
    code == RefusalCode::MissingDependencies && !quarantined
}

/// A document, or what is new in it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct DocumentPull {
    /// What the document is of.
    #[n(0)]
    pub identity: Identity,
    /// The document as saved, when the device has to start from it.
    #[n(1)]
    pub snapshot: Option<ByteVec>,
    /// Changes after the snapshot, or since the cursor, oldest first.
    #[n(2)]
    pub changes: Vec<ByteVec>,
    /// Whether this is all of the document, not only what is new: what it lacks, the server lacks.
    #[n(3)]
    #[cbor(default)]
    pub whole: bool,
    /// Set where rows of the document were erased: a replica that does not hold the successor's first change puts the
    /// document, which is sent whole then, in place of its own.
    #[n(4)]
    pub successor: Option<Successor>,
}

/// What a document without its history stands for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Successor {
    /// Its first change.
    #[n(0)]
    pub root: ChangeHash,
    /// The changes that it stands for, which are kept by their hashes alone.
    #[n(1)]
    pub covers: Vec<ChangeHash>,
    /// The rows that were erased, each as `ledger/row`.
    #[n(2)]
    pub erased: Vec<String>,
}

impl Successor {
    /// The rows that were erased.
    pub fn erased_rows(&self) -> BTreeSet<RowKey> {
        self.erased.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

impl DocumentPull {
    /// Bytes of document data, as pages count them.
    pub fn bytes(&self) -> usize {
        let snapshot = self.snapshot.as_ref().map_or(0, |bytes| bytes.len());
        snapshot + self.changes.iter().map(|bytes| bytes.len()).sum::<usize>()
    }
}

impl<C> Encode<C> for RefusalCode {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(*self as u8)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RefusalCode {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let number = usize::from(d.u8()?);
        // A newer server may know more reasons; the sentence says it anyway.
        Ok(RefusalCode::ALL.get(number).copied().unwrap_or(RefusalCode::Malformed))
    }
}

/// Bytes of a frame.
pub fn encode<T: Encode<()>>(frame: &T) -> Vec<u8> {
    minicbor::to_vec(frame).expect("writing to memory does not fail")
}

/// A frame from bytes that came from outside.
pub fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, FrameError> {
    minicbor::decode(bytes).map_err(|e| FrameError(e.to_string()))
}

/// Bytes that are not a frame of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an exchange frame: {0}")]
pub struct FrameError(String);
