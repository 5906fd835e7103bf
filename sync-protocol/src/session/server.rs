//! The server's end: store what came, read the feed, reply. Nothing is acknowledged before the store
//! says that it is durable, and the reply is built from committed state only.

use minicbor::{Decode, Encode, bytes::ByteVec};

use crate::{
    document::{Refusal, RefusalCode},
    ids::{Book, ChangeHash, DocumentId, Identity, UnitId},
    message::{Ask, DocumentPull, DocumentPush, ExchangeReply, ExchangeRequest, PROTOCOL, RefusedChange, is_unmet},
};

/// Which documents a device may see and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The top of its subtree of units.
    pub unit: UnitId,
    /// The books it holds.
    pub books: Vec<Book>,
    /// Changes whenever the scope does: a cursor of another scope starts anew.
    pub version: u64,
}

/// Where a device stands.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Position {
    /// Taking whole documents in the order of their ids, as of a seq.
    #[n(0)]
    Bootstrap {
        /// The feed's end when it began.
        #[n(0)]
        upto_seq: i64,
        /// The last document it took.
        #[n(1)]
        after: DocumentId,
        /// The mark of that seq.
        #[n(2)]
        mark: i64,
    },
    /// Holding everything up to this seq.
    #[n(1)]
    Feed {
        /// The last seq it holds.
        #[n(0)]
        seq: i64,
        /// The mark of that seq: a hash of the whole feed up to it. A server that was set back to an earlier state and
        /// has moved on since has another one there.
        #[n(1)]
        mark: i64,
    },
}

#[derive(Debug, Encode, Decode)]
struct Cursor {
    #[n(0)]
    scope_version: u64,
    #[n(1)]
    position: Position,
}

/// Where a cursor says that its device stands, whatever scope it is of.
pub fn position_of(cursor: &[u8]) -> Option<Position> {
    minicbor::decode::<Cursor>(cursor).ok().map(|cursor| cursor.position)
}

/// What the store shall read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedQuery {
    /// The device's position; none to begin.
    pub position: Option<Position>,
    /// Stop after this many bytes of document data.
    pub bytes_max: usize,
    /// Changes that the device has just handed over: everything else it may have lost, and gets.
    pub pushed: Vec<ChangeHash>,
}

/// What the store read.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedPage {
    /// Documents and changes.
    pub documents: Vec<DocumentPull>,
    /// The position after them.
    pub position: Position,
    /// Whether the page was cut.
    pub more: bool,
    /// Whether it begins with the first document of the scope.
    pub restart: bool,
}

impl FeedPage {
    /// Nothing, from the beginning of the feed.
    pub fn empty() -> Self {
        let position = Position::Feed { seq: 0, mark: 0 };
        Self { documents: Vec::new(), position, more: false, restart: false }
    }
}

/// What a server says of what a device asks about.
#[derive(Debug, Default)]
pub struct Judged {
    /// Documents that the device may not hold, and of which the server has everything.
    pub dropped: Vec<Identity>,
    /// Documents of which the server lacks something.
    pub wanted: Vec<Identity>,
    /// Changes that are neither stored nor in quarantine.
    pub unknown: Vec<ChangeHash>,
}

/// A change that was not taken into its document.
#[derive(Debug, Clone, PartialEq)]
pub struct NotTaken {
    /// Why.
    pub refusal: Refusal,
    /// Whether it is kept for a supervisor.
    pub quarantined: bool,
}

impl NotTaken {
    /// Whether it only came too early: sent again with what it builds upon, it may be taken.
    pub fn is_unmet(&self) -> bool {
        is_unmet(self.refusal.code, self.quarantined)
    }
}

/// What became of one pushed change.
pub type StoreOutcome = (ChangeHash, Result<(), NotTaken>);

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Store these changes durably, then call [`ServerSession::stored`].
    Store(Vec<DocumentPush>),
    /// Say which of these documents are to go and which are wanted, and which of these changes are neither stored nor in
    /// quarantine, then call [`ServerSession::judged`].
    Judge(Vec<Ask>, Vec<ChangeHash>),
    /// Read the feed, then call [`ServerSession::page`].
    ReadFeed(FeedQuery),
    /// There is nothing to read for a device that was revoked: call [`ServerSession::page`] with an empty page.
    Dismiss,
    /// Send this; the session is over.
    Reply(ExchangeReply),
}

/// Bytes of document data in one reply.
const PAGE_BYTES_MAX: usize = 512 << 10;

/// One request on its way through the server.
#[derive(Debug)]
pub struct ServerSession {
    scope_version: u64,
    position: Option<Position>,
    pushed: Vec<ChangeHash>,
    receipts: Vec<ChangeHash>,
    refusals: Vec<RefusedChange>,
    asks: Vec<Ask>,
    held: Vec<ChangeHash>,
    judged: Judged,
    is_revoked: bool,
}

impl ServerSession {
    /// Begins with a request of a device with this scope; none when it was revoked.
    pub fn start(request: ExchangeRequest, scope: Option<&Scope>) -> Result<(Self, Effect), Refusal> {
        if request.protocol != PROTOCOL {
            let sentence = format!("this server speaks version {PROTOCOL} of the exchange, not {}", request.protocol);
            return Err(Refusal::new(RefusalCode::Malformed, sentence));
        }
        // A cursor that cannot be read, or is of another scope, only costs a fresh start.
        let position = request
            .cursor
            .and_then(|bytes| minicbor::decode::<Cursor>(&bytes).ok())
            .filter(|cursor| scope.is_some_and(|scope| cursor.scope_version == scope.version))
            .map(|cursor| cursor.position);
        let mut session = Self {
            scope_version: scope.map_or(0, |scope| scope.version),
            position,
            pushed: request.push.iter().flat_map(|push| &push.changes).map(|change| change.hash).collect(),
            receipts: Vec::new(),
            refusals: Vec::new(),
            asks: request.asks,
            held: request.held,
            judged: Judged::default(),
            is_revoked: scope.is_none(),
        };
        let effect = if request.push.is_empty() { session.judge() } else { Effect::Store(request.push) };
        Ok((session, effect))
    }

    /// The changes are durable, or refused.
    pub fn stored(&mut self, outcomes: Vec<StoreOutcome>) -> Effect {
        for (hash, outcome) in outcomes {
            match outcome {
                Ok(()) => self.receipts.push(hash),
                Err(NotTaken { refusal: Refusal { code, sentence }, quarantined }) => {
                    self.refusals.push(RefusedChange { hash, code, sentence, quarantined });
                }
            }
        }
        self.judge()
    }

    /// The documents asked about, and the changes said to be kept, were looked at.
    pub fn judged(&mut self, judged: Judged) -> Effect {
        self.judged = judged;
        self.read()
    }

    /// The feed was read.
    pub fn page(&mut self, page: FeedPage, now_ms: i64) -> Effect {
        let judged = std::mem::take(&mut self.judged);
        let cursor = Cursor { scope_version: self.scope_version, position: page.position };
        Effect::Reply(ExchangeReply {
            protocol: PROTOCOL,
            receipts: std::mem::take(&mut self.receipts),
            refusals: std::mem::take(&mut self.refusals),
            documents: page.documents,
            cursor: ByteVec::from(crate::message::encode(&cursor)),
            more: page.more,
            server_time_ms: now_ms,
            restart: page.restart,
            dropped: judged.dropped,
            wanted: judged.wanted,
            unknown: judged.unknown,
            // Keys are not the session's: whoever runs it signs.
            signature: None,
            erase: self.is_revoked,
            checkpoint: None,
        })
    }

    fn judge(&mut self) -> Effect {
        let (asks, held) = (std::mem::take(&mut self.asks), std::mem::take(&mut self.held));
        if asks.is_empty() && held.is_empty() { self.read() } else { Effect::Judge(asks, held) }
    }

    fn read(&mut self) -> Effect {
        if self.is_revoked {
            return Effect::Dismiss;
        }
        let pushed = std::mem::take(&mut self.pushed);
        Effect::ReadFeed(FeedQuery { position: self.position.take(), bytes_max: PAGE_BYTES_MAX, pushed })
    }
}
