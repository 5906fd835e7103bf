//! The device's end.
//!
//! ```text
//! loop { request = next_request()?; reply = send(request); step = receive(reply); commit(step) }
//! ```
//! until `next_request` has nothing more to ask. Losing the connection anywhere is harmless: what has
//! no receipt is sent again, and the cursor moves only with what was stored.

use std::collections::{BTreeMap, HashSet, VecDeque};

use minicbor::bytes::ByteVec;

use crate::{
    ids::{ChangeHash, Identity},
    message::{Ask, DocumentPull, DocumentPush, ExchangeReply, ExchangeRequest, PROTOCOL, PushedChange, RefusedChange},
};

/// Bytes of changes in a request: to begin with, small enough to get through on a bad line; on a good one twice as many each
/// time, up to a quarter of what the server takes.
const PUSH_BYTES: usize = 256 << 10;
const PUSH_BYTES_MAX: usize = 2 << 20;
/// A line is good while a request is answered, and its answer stored, within this time.
const BRISK_MS: i64 = 1000;
/// Times that one exchange sends a change that builds upon what the server does not have: the second time with all of it.
const UNMET_MAX: u32 = 2;
/// Times that one exchange goes on after its last page.
const ROUNDS_MAX: u32 = 1000;

/// A change without a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its document.
    pub identity: Identity,
    /// Its hash.
    pub hash: ChangeHash,
    /// Its chunk.
    pub bytes: Vec<u8>,
}

/// What the device must store in one transaction before it goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Persist {
    /// The new cursor.
    pub cursor: Vec<u8>,
    /// Changes that have arrived for good.
    pub receipts: Vec<ChangeHash>,
    /// Changes that the server did not take: kept, shown to the person.
    pub refusals: Vec<RefusedChange>,
    /// News of others.
    pub documents: Vec<DocumentPull>,
    /// How far the device's clock is ahead of the server's.
    pub clock_ahead_ms: i64,
    /// Whether every document of the scope comes anew from here on: none that the device holds is confirmed any more.
    pub restart: bool,
    /// Whether the page is the last: what is still not confirmed is to be asked about.
    pub complete: bool,
    /// Documents that were asked about.
    pub asked: Vec<Identity>,
    /// Those of them that the device may not hold.
    pub dropped: Vec<Identity>,
    /// Those of them of which the server lacks something.
    pub wanted: Vec<Identity>,
    /// Changes that the server kept once and knows nothing of any more: they are sent again.
    pub unknown: Vec<ChangeHash>,
    /// The server's signature of the receipts, and when it gave them.
    pub signature: Option<(Vec<u8>, i64)>,
    /// A checkpoint of the server's audit log, to be kept whatever it says.
    pub checkpoint: Option<String>,
    /// Whether the device was revoked: once nothing is unsent, it keeps nothing.
    pub erase: bool,
}

/// A reply that this end cannot make sense of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The server speaks another version.
    #[error("the server speaks version {0} of the exchange, this program speaks {PROTOCOL}: update it")]
    Version(u16),
    /// A page that does not move the cursor would be asked for forever.
    #[error("the server announces more but its cursor stands still")]
    Stuck,
    /// A reply that answers none of the changes just sent would make the device send them forever.
    #[error("the server answered neither with a receipt nor with a refusal for {0} change(s)")]
    Unanswered(usize),
}

/// One exchange, over as many requests as it takes.
#[derive(Debug)]
pub struct DeviceSession {
    cursor: Option<Vec<u8>>,
    outbox: VecDeque<Outgoing>,
    in_flight: Vec<ChangeHash>,
    asks: Vec<Ask>,
    held: Vec<ChangeHash>,
    /// How often changes were sent without all that they build upon.
    unmet: BTreeMap<ChangeHash, u32>,
    sent_at_ms: i64,
    rounds: u32,
    push_bytes: usize,
    finished: bool,
}

impl DeviceSession {
    /// Starts from what the device has stored: where it stands, what it has to send, what the server keeps of it.
    pub fn new(cursor: Option<Vec<u8>>, outbox: Vec<Outgoing>, held: Vec<ChangeHash>) -> Self {
        Self {
            cursor,
            outbox: outbox.into(),
            in_flight: Vec::new(),
            asks: Vec::new(),
            held,
            unmet: BTreeMap::new(),
            sent_at_ms: 0,
            rounds: 0,
            push_bytes: PUSH_BYTES,
            finished: false,
        }
    }

    /// One request that holds everything, for a bundle.
    pub fn in_one(cursor: Option<Vec<u8>>, outbox: Vec<Outgoing>, held: Vec<ChangeHash>, asks: Vec<Ask>) -> Self {
        Self { asks, push_bytes: usize::MAX, ..Self::new(cursor, outbox, held) }
    }

    /// A page of an answer to such a request, whenever that was: its questions are asked again, and answered then.
    pub fn page(reply: ExchangeReply) -> Result<Persist, SessionError> {
        let more = reply.more;
        let mut session = Self::new(None, Vec::new(), Vec::new());
        let page = session.receive(ExchangeReply { more: false, ..reply })?;
        // How long it was under way says nothing about any clock.
        Ok(Persist { complete: !more, clock_ahead_ms: 0, ..page })
    }

    /// Goes on with what storing the last reply has brought up: documents to ask about, changes that the server has lost.
    /// A session does so only a few times: what is still open then, the next exchange brings up again.
    pub fn go_on(&mut self, asks: Vec<Ask>, mut outbox: Vec<Outgoing>) {
        outbox.retain(|change| self.unmet.get(&change.hash).is_none_or(|times| *times < UNMET_MAX));
        self.rounds += 1;
        if self.rounds > ROUNDS_MAX {
            return;
        }
        self.finished &= asks.is_empty() && outbox.is_empty();
        self.asks = asks;
        self.outbox = outbox.into();
    }

    /// The next request, or `None` when both ends have everything.
    pub fn next_request(&mut self, now_ms: i64) -> Option<ExchangeRequest> {
        if self.finished {
            return None;
        }
        let is_brisk = (0..BRISK_MS).contains(&now_ms.saturating_sub(self.sent_at_ms));
        if !self.in_flight.is_empty() && is_brisk {
            self.push_bytes = self.push_bytes.max(self.push_bytes.saturating_mul(2).min(PUSH_BYTES_MAX));
        }
        self.sent_at_ms = now_ms;
        self.in_flight.clear();
        let mut push: Vec<DocumentPush> = Vec::new();
        let mut bytes = 0;
        for change in &self.outbox {
            // At least one, however large: otherwise it would never leave.
            if bytes > 0 && bytes + change.bytes.len() > self.push_bytes {
                break;
            }
            bytes += change.bytes.len();
            self.in_flight.push(change.hash);
            let pushed = PushedChange { hash: change.hash, bytes: ByteVec::from(change.bytes.clone()) };
            match push.last_mut() {
                Some(last) if last.identity == change.identity => last.changes.push(pushed),
                _ => push.push(DocumentPush { identity: change.identity.clone(), changes: vec![pushed] }),
            }
        }
        let cursor = self.cursor.clone().map(ByteVec::from);
        Some(ExchangeRequest {
            protocol: PROTOCOL,
            cursor,
            push,
            device_time_ms: now_ms,
            asks: self.asks.clone(),
            // Once in a session is enough.
            held: std::mem::take(&mut self.held),
        })
    }

    /// Takes the reply to the last request. Store the result before asking for the next request.
    pub fn receive(&mut self, reply: ExchangeReply) -> Result<Persist, SessionError> {
        if reply.protocol != PROTOCOL {
            return Err(SessionError::Version(reply.protocol));
        }
        let refused = reply.refusals.iter().map(|refusal| refusal.hash);
        let answered: HashSet<ChangeHash> = reply.receipts.iter().copied().chain(refused).collect();
        let unanswered = self.in_flight.iter().filter(|hash| !answered.contains(hash)).count();
        if unanswered > 0 {
            return Err(SessionError::Unanswered(unanswered));
        }
        for refusal in reply.refusals.iter().filter(|refusal| refusal.is_unmet()) {
            *self.unmet.entry(refusal.hash).or_default() += 1;
        }
        let cursor = Vec::from(reply.cursor);
        if reply.more && self.cursor.as_ref() == Some(&cursor) {
            return Err(SessionError::Stuck);
        }
        self.outbox.drain(..self.in_flight.len());
        self.cursor = Some(cursor.clone());
        self.finished = !reply.more && self.outbox.is_empty();
        Ok(Persist {
            cursor,
            receipts: reply.receipts,
            refusals: reply.refusals,
            documents: reply.documents,
            clock_ahead_ms: self.sent_at_ms.saturating_sub(reply.server_time_ms),
            restart: reply.restart,
            complete: !reply.more,
            asked: std::mem::take(&mut self.asks).into_iter().map(|ask| ask.identity).collect(),
            dropped: reply.dropped,
            wanted: reply.wanted,
            unknown: reply.unknown,
            signature: reply.signature.map(|signature| (signature.into(), reply.server_time_ms)),
            checkpoint: reply.checkpoint,
            erase: reply.erase,
        })
    }
}
