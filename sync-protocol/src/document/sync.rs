//! automerge's own sync protocol: one document, one peer.
//!
//! What a peer sends is looked at as bytes before automerge sees it: automerge 0.12 divides by zero on one Bloom filter
//! of 42 bytes and burns gigabytes on another of 47. The changes inside do not go this way at all: the caller takes them
//! out and lets them through the gate one by one.

use automerge::sync::{Capability, ChunkList, Have, Message, MessageFlags, MessageVersion, State, SyncDoc};

use super::{Document, DocumentError, GateLimits, Refusal, RefusalCode, fields::Fields};
use crate::ids::ChangeHash;

/// The parameters of every Bloom filter that automerge writes.
const BITS_PER_ENTRY: u64 = 10;
const PROBES: u64 = 7;

/// Where a peer stands with one document: lives as long as its connection.
#[derive(Debug, Clone, Default)]
pub struct SyncState {
    state: State,
}

impl SyncState {
    /// For a peer that is met anew.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a peer that may only read: its changes are not looked at, and it is told so.
    pub fn read_only() -> Self {
        Self { state: State::new_read_only() }
    }

    /// Hears a peer that has just what is here and wants nothing: that takes no document. Gives what to say to it, if
    /// anything; `None` when the document has to speak.
    ///
    /// It is told once after it has said so, as official servers do: until then a JavaScript client keeps twice the memory
    /// of each document that it has just received.
    pub fn meet(&mut self, message: &SyncMessage, heads: &[ChangeHash]) -> Option<Option<Vec<u8>>> {
        let Message { heads: theirs, need, changes, flags, .. } = &message.message;
        let is_equal = theirs.iter().map(|hash| hash.0).eq(heads.iter().map(|hash| hash.0));
        if !is_equal || !need.is_empty() || !changes.is_empty() {
            return None;
        }
        let is_told = self.state.last_sent_heads == *theirs && self.state.their_heads.as_ref() == Some(theirs);
        let have = vec![Have { last_sync: theirs.clone(), ..Have::default() }];
        let reads = flags.as_ref().map(|flags| flags.contains(MessageFlags::READ_ONLY));
        let capabilities = flags.is_some().then(|| vec![Capability::MessageV2, Capability::SyncReset]);
        self.state = State {
            shared_heads: theirs.clone(),
            last_sent_heads: theirs.clone(),
            their_heads: Some(theirs.clone()),
            their_need: Some(Vec::new()),
            their_have: Some(have.clone()),
            in_flight: !is_told,
            have_responded: true,
            their_capabilities: capabilities.or_else(|| self.state.their_capabilities.take()),
            peer_read_only: reads.unwrap_or(self.state.peer_read_only),
            read_only: self.state.read_only,
            ..State::default()
        };
        let flags = self.state.read_only.then(|| {
            let mut flags = MessageFlags::new();
            flags.set(MessageFlags::SUPPORTS_SYNC_RESET);
            flags.set(MessageFlags::READ_ONLY);
            flags
        });
        let (heads, need, changes) = (theirs.clone(), Vec::new(), ChunkList::empty());
        let answer = Message { heads, need, have, changes, flags, version: MessageVersion::V1 };
        Some((!is_told).then(|| answer.encode()))
    }

    /// Bytes that it takes, roughly.
    pub fn bytes(&self) -> usize {
        let State { shared_heads, last_sent_heads, their_heads, their_need, their_have, sent_hashes, .. } = &self.state;
        let lists = [Some(shared_heads), Some(last_sent_heads), their_heads.as_ref(), their_need.as_ref()];
        let hashes = lists.into_iter().flatten().map(Vec::len).sum::<usize>() + sent_hashes.len();
        let have = their_have.iter().flatten();
        let filters: usize = have.map(|have| 32 * have.last_sync.len() + have.bloom.to_bytes().len()).sum();
        size_of::<Self>() + 32 * hashes + filters
    }
}

/// A peer's message that is safe to look into.
#[derive(Debug, Clone)]
pub struct SyncMessage {
    message: Message,
}

impl SyncMessage {
    /// Checks a message from outside.
    pub fn decode(bytes: &[u8], limits: &GateLimits) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(RefusalCode::Malformed, "not a sync message");
        if bytes.len() > limits.sync_bytes_max {
            let sentence = format!("the sync message is larger than {} bytes", limits.sync_bytes_max);
            return Err(Refusal::new(RefusalCode::TooLarge, sentence));
        }
        walk(bytes, limits).ok_or_else(malformed)??;
        let decoded = std::panic::catch_unwind(|| Message::decode(bytes));
        let message = decoded.map_err(|_| malformed())?.map_err(|_| malformed())?;
        Ok(Self { message })
    }

    /// Whether the peer says that it has anything.
    pub fn has_heads(&self) -> bool {
        !self.message.heads.is_empty()
    }

    /// Takes the changes out: they go through the gate.
    pub fn take_changes(&mut self) -> Vec<Vec<u8>> {
        let changes = std::mem::replace(&mut self.message.changes, ChunkList::empty());
        changes.iter().map(<[u8]>::to_vec).collect()
    }
}

impl Document {
    /// Notes what a peer says of itself. What it sent is in the document already, as far as it was taken.
    pub fn receive_sync(&mut self, state: &mut SyncState, message: SyncMessage) -> Result<(), DocumentError> {
        let last_sent = state.state.last_sent_heads.clone();
        let received = self.doc.receive_sync_message(&mut state.state, message.message);
        // It wants to hear that what it sent has arrived, which automerge skips where no changes are in the message.
        state.state.last_sent_heads = last_sent;
        received.map_err(|e| DocumentError::Apply(e.to_string()))
    }

    /// What to say to a peer now, if anything.
    pub fn generate_sync(&self, state: &mut SyncState) -> Option<Vec<u8>> {
        let mut message = self.doc.generate_sync_message(&mut state.state)?;
        if !state.state.read_only {
            // A peer that does not know that whole documents are understood sends single changes, which the gate takes.
            message.flags = None;
        }
        Some(message.encode())
    }

    /// Asks a peer for everything: the answer, when something of what it builds upon is missing.
    pub fn ask_for_all(state: &mut SyncState) -> Option<Vec<u8>> {
        *state = SyncState::new();
        Document::new().generate_sync(state)
    }
}

/// Walks through the fields of a message without keeping any: `None` where they do not fit its length.
fn walk(bytes: &[u8], limits: &GateLimits) -> Option<Result<(), Refusal>> {
    let mut fields = Fields::new(bytes);
    if !matches!(fields.take(1)?, [0x42 | 0x43]) {
        return None;
    }
    fields.skip_hashes()?;
    fields.skip_hashes()?;
    let filters = fields.number()?;
    if filters > limits.sync_filters_max {
        return Some(Err(too_many("Bloom filters")));
    }
    for _ in 0..filters {
        fields.skip_hashes()?;
        let filter = fields.bytes()?;
        if !is_automerge_filter(filter)? {
            let sentence = "a Bloom filter that automerge does not write";
            return Some(Err(Refusal::new(RefusalCode::Malformed, sentence)));
        }
    }
    let changes = fields.number()?;
    if changes > limits.sync_changes_max {
        return Some(Err(too_many("changes")));
    }
    for _ in 0..changes {
        fields.bytes()?;
    }
    if !fields.rest().is_empty() {
        fields.bytes()?;
    }
    Some(if fields.hashes > limits.sync_hashes_max { Err(too_many("hashes")) } else { Ok(()) })
}

fn too_many(what: &str) -> Refusal {
    Refusal::new(RefusalCode::TooLarge, format!("too many {what} in one sync message"))
}

/// Whether a filter is empty, or has the parameters and the length that automerge gives it.
fn is_automerge_filter(filter: &[u8]) -> Option<bool> {
    if filter.is_empty() {
        return Some(true);
    }
    let mut fields = Fields::new(filter);
    let (entries, bits_per_entry, probes) = (fields.number()?, fields.number()?, fields.number()?);
    let is_usual = bits_per_entry == BITS_PER_ENTRY && probes == PROBES && entries > 0;
    let length = entries.checked_mul(BITS_PER_ENTRY)?.div_ceil(8);
    Some(is_usual && fields.rest().len() as u64 == length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conflict::{Means, Provenance},
        document::{Author, Edit},
        ids::{ActorId, Book, Identity, RowId, Tenant, UnitId},
        row::Address,
    };

    fn written(actor: u8, count: u8) -> Document {
        let mut document = Document::new();
        let unit = UnitId::derive(&Tenant::new("340099"), None, "1");
        let identity = Identity { unit, book: Book::Unit, period: "2012".into() };
        for number in 0..count {
            let address = Address::new("members", RowId::random([number; 10]), "name");
            let author = Author {
                actor: ActorId([actor; 16]),
                provenance: Provenance { who: "张三".into(), how: Means::Form, source: None },
                time_s: 0,
            };
            document.write(&identity, &[Edit { address, value: "李四".into() }], &author).expect("written");
        }
        document
    }

    /// A server that takes every change, as the caller does after the gate.
    fn deliver(to: &mut Document, state: &mut SyncState, bytes: &[u8]) -> usize {
        let mut message = SyncMessage::decode(bytes, &GateLimits::default()).expect("a message");
        let changes = message.take_changes();
        to.take(None, &changes).expect("taken");
        to.receive_sync(state, message).expect("received");
        changes.len()
    }

    #[test]
    fn two_documents_meet_and_then_are_silent() {
        let (mut server, mut client) = (written(1, 40), written(2, 30));
        let (mut of_client, mut of_server) = (SyncState::new(), State::new());
        let (mut rounds, mut taken) = (0, 0);
        loop {
            let up = client.doc.generate_sync_message(&mut of_server);
            if let Some(message) = &up {
                taken += deliver(&mut server, &mut of_client, &message.clone().encode());
            }
            let down = server.generate_sync(&mut of_client);
            if let Some(bytes) = &down {
                let message = Message::decode(bytes).expect("a message");
                client.doc.receive_sync_message(&mut of_server, message).expect("received");
            }
            rounds += 1;
            if up.is_none() && down.is_none() {
                break;
            }
            assert!(rounds < 20, "they never come to an end");
        }
        assert_eq!((server.heads(), taken), (client.heads(), 30), "single changes, each once");
    }

    #[test]
    fn a_peer_that_has_everything_is_met_without_the_document() {
        let mut server = written(1, 3);
        let mut client = server.clone();
        let (mut of_client, mut of_server) = (SyncState::new(), State::new());
        let hello = client.doc.generate_sync_message(&mut of_server).expect("a first message").encode();
        let hello = SyncMessage::decode(&hello, &GateLimits::default()).expect("a message");
        assert!(of_client.clone().meet(&hello, &written(2, 3).heads()).is_none(), "it has something else");
        let answer = of_client.meet(&hello, &server.heads()).expect("met").expect("it has not heard what is here");
        client
            .doc
            .receive_sync_message(&mut of_server, Message::decode(&answer).expect("a message"))
            .expect("received");
        assert!(client.doc.generate_sync_message(&mut of_server).is_none(), "it knows that both have the same");
        assert_eq!(of_client.meet(&hello, &server.heads()), Some(None), "nothing is said twice");
        let reading = SyncState::read_only().meet(&hello, &server.heads()).expect("met").expect("an answer");
        let flags = Message::decode(&reading).expect("a message").flags.expect("flags");
        assert!(flags.contains(MessageFlags::READ_ONLY), "whoever only reads is told so");
        assert!(server.generate_sync(&mut of_client).is_none(), "by the document neither");
        // What is new from then on is told, and only that.
        let new = written(2, 1);
        server.merge(&new).expect("merged");
        let news = Message::decode(&server.generate_sync(&mut of_client).expect("news")).expect("a message");
        assert_eq!(news.changes.len(), 1);
        client.doc.receive_sync_message(&mut of_server, news).expect("received");
        assert_eq!(client.heads(), server.heads());
    }

    #[test]
    fn a_peer_hears_that_its_changes_arrived_and_one_that_may_only_read_that_they_will_not() {
        let client = written(2, 3);
        for (mut state, is_told) in [(SyncState::new(), false), (SyncState::read_only(), true)] {
            let mut server = Document::new();
            let mut of_server = State::new();
            let hello = client.doc.generate_sync_message(&mut of_server).expect("a first message");
            deliver(&mut server, &mut state, &hello.encode());
            let answer = Message::decode(&server.generate_sync(&mut state).expect("an answer")).expect("a message");
            let reads = automerge::sync::MessageFlags::READ_ONLY;
            assert_eq!(answer.flags.is_some_and(|flags| flags.contains(reads)), is_told);
            assert_eq!(answer.need.is_empty(), is_told, "it asks for what it lacks");
        }
    }

    #[test]
    fn what_makes_automerge_stumble_is_refused() {
        let filter = |entries: u8, bits: &[u8], probes: &[u8], body: &[u8]| {
            let filter = [&[entries], bits, probes, body].concat();
            [&[0x42, 0, 0, 1, 0, u8::try_from(filter.len()).expect("short")], filter.as_slice(), &[0]].concat()
        };
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("nothing", vec![]),
            ("another kind", vec![0x41, 0, 0, 0, 0]),
            ("no bits for an entry", filter(1, &[0], &[7], &[])),
            ("four hundred million probes", filter(1, &[10], &[0x80, 0x84, 0xaf, 0xbe, 0x01], &[0, 0])),
            ("a filter that is too short", filter(8, &[10], &[7], &[0])),
            ("a filter of nothing", filter(0, &[10], &[7], &[])),
            ("hashes without end", [vec![0x42], vec![0xff; 9], vec![0x01]].concat()),
            ("changes without end", [vec![0x42, 0, 0, 0], vec![0xff, 0xff, 0xff, 0xff, 0x0f]].concat()),
            ("a hundred filters", [vec![0x42, 0, 0, 100], vec![0; 201]].concat()),
        ];
        for (what, bytes) in cases {
            assert!(SyncMessage::decode(&bytes, &GateLimits::default()).is_err(), "{what}");
        }
        assert!(SyncMessage::decode(&filter(1, &[10], &[7], &[0, 0]), &GateLimits::default()).is_ok());
    }
}
