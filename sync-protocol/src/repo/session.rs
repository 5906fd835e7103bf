//! One connection of an automerge-repo peer: frames and news in, turns and frames out. Pure: the documents are somebody
//! else's, a turn is handed out with what is known of the peer and comes back with what to say.

use std::collections::{HashMap, VecDeque};

use super::frame::{Answer, Ephemeral, Frame, VERSION};
use crate::{
    document::{GateLimits, Refusal, SyncMessage, SyncState},
    ids::DocumentId,
};

/// Turns of one connection that may be under way at once.
const TURNS_MAX: usize = 16;
/// Messages of a peer that are not answered yet, and their bytes: then its socket is not read.
const WAITING_MAX: usize = 256;
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Bytes of all that is known of where a peer stands. Beyond them the longest unused is forgotten, which costs a round.
const STATE_BYTES_MAX: usize = 8 << 20;
/// Messages about one document that lead nowhere: then there is nothing more to say.
const ROUNDS_MAX: u32 = 64;
/// Documents asked for in vain that a peer is told of when they appear.
const AWAITED_MAX: usize = 256;
/// Bytes of one passing message.
const EPHEMERAL_BYTES_MAX: usize = 64 << 10;
/// Passing messages at once, and in a second.
const EPHEMERAL_BURST: i64 = 100;
const EPHEMERAL_PER_SECOND: i64 = 50;

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum RepoEffect {
    /// Send this frame.
    Send(Vec<u8>),
    /// Give this to the other peers.
    Relay(Ephemeral),
    /// Note that a message was refused; the document is not available to the peer.
    Refused(DocumentId, Refusal),
}

/// A message about a document that has to be answered, or news of it that have to be told.
#[derive(Debug)]
pub struct RepoTurn {
    /// The document.
    pub document: DocumentId,
    /// Where the peer stands with it; none when it is not known.
    pub state: Option<SyncState>,
    /// What it says; none when there are only news.
    pub message: Option<SyncMessage>,
}

/// What became of a turn.
#[derive(Debug)]
pub enum Turned {
    /// The document is here.
    Here {
        /// Where the peer stands now.
        state: SyncState,
        /// What to tell it.
        data: Option<Vec<u8>>,
        /// Whether the talk goes on to something: the peer brought news, or has just what is here.
        is_progress: bool,
    },
    /// The document is not here yet and the peer has it: what to ask it.
    Wanted {
        /// The question.
        data: Vec<u8>,
    },
    /// The document is not here, or not for this peer.
    Unavailable,
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The code for the socket.
    pub code: u16,
    /// Why, in words.
    pub sentence: String,
}

impl Ended {
    fn protocol(sentence: impl Into<String>) -> Self {
        Self { code: 1008, sentence: sentence.into() }
    }
}

#[derive(Debug, Default)]
struct Open {
    /// Known unless a turn is under way.
    state: Option<SyncState>,
    bytes: usize,
    used: u64,
    is_busy: bool,
    has_moved: bool,
    rounds: u32,
    waiting: VecDeque<(SyncMessage, usize)>,
    /// Bytes of the message whose turn it is.
    message_bytes: usize,
}

/// A connection.
#[derive(Debug)]
pub struct RepoSession {
    us: String,
    storage: String,
    limits: GateLimits,
    peer: Option<String>,
    open: HashMap<DocumentId, Open>,
    ready: VecDeque<RepoTurn>,
    running: usize,
    waiting: usize,
    waiting_bytes: usize,
    awaited: VecDeque<DocumentId>,
    state_bytes: usize,
    tick: u64,
    /// Passing messages that it may still send, and since when.
    ephemeral: (i64, i64),
}

impl RepoSession {
    /// A connection that has just been opened. `us` is the server's peer id, `storage` the name of its store.
    pub fn new(us: String, storage: String, limits: GateLimits) -> Self {
        Self {
            us,
            storage,
            limits,
            peer: None,
            open: HashMap::new(),
            ready: VecDeque::new(),
            running: 0,
            waiting: 0,
            waiting_bytes: 0,
            awaited: VecDeque::new(),
            state_bytes: 0,
            tick: 0,
            ephemeral: (EPHEMERAL_BURST, 0),
        }
    }

    /// The name under which the peer has joined.
    pub fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// Whether so much waits that the peer has to.
    pub fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX || self.waiting_bytes >= WAITING_BYTES_MAX
    }

    /// Takes a frame.
    pub fn receive(&mut self, bytes: &[u8], now_ms: i64) -> Result<Vec<RepoEffect>, Ended> {
        let frame = Frame::decode(bytes).map_err(|e| Ended::protocol(e.to_string()))?;
        let (sender, is_join) = match &frame {
            Frame::Join { sender, .. } => (Some(sender), true),
            Frame::Leave { sender } | Frame::Sync { sender, .. } | Frame::Unavailable { sender, .. } => {
                (Some(sender), false)
            }
            Frame::Ephemeral(ephemeral) => (Some(&ephemeral.sender), false),
            Frame::Other { sender } => (sender.as_ref(), false),
        };
        match &self.peer {
            None if !is_join => return Err(Ended::protocol("a peer has to join first")),
            Some(peer) if sender.is_some_and(|sender| sender != peer) => {
                return Err(Ended::protocol("a peer has to speak under the name that it has joined with"));
            }
            _ => {}
        }
        match frame {
            Frame::Join { sender, versions } => self.join(sender, &versions),
            Frame::Leave { .. } => Err(Ended { code: 1000, sentence: "bye".into() }),
            Frame::Sync { document, data, .. } => Ok(self.sync(document, &data)),
            Frame::Unavailable { .. } | Frame::Other { .. } => Ok(Vec::new()),
            Frame::Ephemeral(ephemeral) => Ok(self.pass_on(ephemeral, now_ms)),
        }
    }

    fn join(&mut self, sender: String, versions: &[String]) -> Result<Vec<RepoEffect>, Ended> {
        if sender.is_empty() || sender == self.us {
            return Err(Ended::protocol("not a peer id"));
        }
        if !versions.is_empty() && !versions.iter().any(|version| version == VERSION) {
            return Err(Ended::protocol(format!("this server speaks version {VERSION} of the protocol")));
        }
        self.peer = Some(sender);
        Ok(vec![self.say(Answer::Peer { storage: &self.storage })])
    }

    fn say(&self, answer: Answer<'_>) -> RepoEffect {
        RepoEffect::Send(answer.encode(&self.us, self.peer().unwrap_or_default()))
    }

    /// What to say before the connection ends.
    pub fn last_words(&self, ended: &Ended) -> Option<Vec<u8>> {
        let words = Answer::Error { message: &ended.sentence };
        (ended.code != 1000).then(|| words.encode(&self.us, self.peer().unwrap_or_default()))
    }

    fn sync(&mut self, document: DocumentId, data: &[u8]) -> Vec<RepoEffect> {
        let message = match SyncMessage::decode(data, &self.limits) {
            Ok(message) => message,
            Err(refusal) => {
                return vec![RepoEffect::Refused(document, refusal), self.say(Answer::Unavailable { document })];
            }
        };
        self.waiting += 1;
        self.waiting_bytes += data.len();
        self.open.entry(document).or_default().waiting.push_back((message, data.len()));
        self.go_on(document);
        Vec::new()
    }

    /// Makes the next turn of a document ready, if there is one.
    fn go_on(&mut self, document: DocumentId) {
        let Some(open) = self.open.get_mut(&document).filter(|open| !open.is_busy) else { return };
        let (message, bytes) = open.waiting.pop_front().unzip();
        if message.is_none() && !open.has_moved {
            return;
        }
        open.message_bytes = bytes.unwrap_or(0);
        // What is told to the peer now is as new as it gets.
        open.has_moved = false;
        open.is_busy = true;
        self.state_bytes -= std::mem::take(&mut open.bytes);
        self.ready.push_back(RepoTurn { document, state: open.state.take(), message });
    }

    /// A turn that is to be taken now; [`Self::turned`] tells what became of it.
    pub fn next_turn(&mut self) -> Option<RepoTurn> {
        if self.running == TURNS_MAX {
            return None;
        }
        let turn = self.ready.pop_front()?;
        self.running += 1;
        self.waiting -= usize::from(turn.message.is_some());
        Some(turn)
    }

    /// A turn was taken.
    pub fn turned(&mut self, document: DocumentId, turned: Turned) -> Vec<RepoEffect> {
        self.running -= 1;
        let mut effects = Vec::new();
        let Some(open) = self.open.get_mut(&document) else { return effects };
        open.is_busy = false;
        self.waiting_bytes -= std::mem::take(&mut open.message_bytes);
        let stays = match turned {
            Turned::Here { state, data, is_progress } => {
                self.tick += 1;
                open.used = self.tick;
                open.bytes = state.bytes();
                self.state_bytes += open.bytes;
                open.state = Some(state);
                open.rounds = if is_progress || data.is_none() { 0 } else { open.rounds + 1 };
                // Bloom filters may need many rounds, but not for ever.
                let is_over = open.rounds > ROUNDS_MAX;
                let data = data.filter(|_| !is_over);
                effects.extend(data.map(|data| self.say(Answer::Sync { document, data: &data })));
                true
            }
            Turned::Wanted { data } => {
                effects.push(self.say(Answer::Sync { document, data: &data }));
                false
            }
            Turned::Unavailable => {
                effects.push(self.say(Answer::Unavailable { document }));
                self.wait_for(document);
                false
            }
        };
        self.go_on(document);
        // Nothing is kept of what is not here, however many names somebody thinks up.
        if !stays && self.open.get(&document).is_some_and(|open| !open.is_busy) {
            self.open.remove(&document);
        }
        self.forget();
        effects
    }

    fn wait_for(&mut self, document: DocumentId) {
        if self.awaited.contains(&document) {
            return;
        }
        if self.awaited.len() == AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back(document);
    }

    /// Forgets where the peer stands with the documents that were longest unused, while that takes too much.
    fn forget(&mut self) {
        while self.state_bytes > STATE_BYTES_MAX {
            let known = self.open.values_mut().filter(|open| open.state.is_some());
            let Some(oldest) = known.min_by_key(|open| open.used) else { return };
            oldest.state = None;
            self.state_bytes -= std::mem::take(&mut oldest.bytes);
        }
    }

    /// Documents have changed: the peer is told of those that it has open or has asked for.
    pub fn moved(&mut self, documents: impl IntoIterator<Item = DocumentId>) {
        for document in documents {
            if let Some(at) = self.awaited.iter().position(|awaited| *awaited == document) {
                self.awaited.remove(at);
                self.open.entry(document).or_default();
            }
            if let Some(open) = self.open.get_mut(&document) {
                open.has_moved = true;
                self.go_on(document);
            }
        }
    }

    /// Any document may have changed.
    pub fn all_moved(&mut self) {
        let documents: Vec<DocumentId> = self.open.keys().chain(&self.awaited).copied().collect();
        self.moved(documents);
    }

    fn pass_on(&mut self, ephemeral: Ephemeral, now_ms: i64) -> Vec<RepoEffect> {
        let (left, since_ms) = &mut self.ephemeral;
        let earned = now_ms.saturating_sub(*since_ms).max(0).saturating_mul(EPHEMERAL_PER_SECOND) / 1000;
        if earned > 0 {
            *left = left.saturating_add(earned).min(EPHEMERAL_BURST);
            *since_ms = now_ms;
        }
        // It says nothing that has to last: what is too much is not passed on.
        if *left == 0 || ephemeral.data.len() > EPHEMERAL_BYTES_MAX || !self.open.contains_key(&ephemeral.document) {
            return Vec::new();
        }
        *left -= 1;
        vec![RepoEffect::Relay(ephemeral)]
    }

    /// Another peer's passing message: for this one, if it has the document open.
    pub fn relay(&self, ephemeral: &Ephemeral) -> Option<Vec<u8>> {
        let peer = self.peer().filter(|peer| *peer != ephemeral.sender)?;
        self.open.contains_key(&ephemeral.document).then(|| Answer::Ephemeral(ephemeral).encode(&self.us, peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    const ID: DocumentId = DocumentId::from_bytes([7; 16]);

    fn session() -> RepoSession {
        RepoSession::new("server".into(), "store".into(), GateLimits::default())
    }

    fn joined() -> RepoSession {
        let mut session = session();
        session.join("peer".into(), &["1".into()]).expect("joined");
        session
    }

    fn sync(sender: &str, document: DocumentId) -> Vec<u8> {
        let data = Document::new().generate_sync(&mut SyncState::new()).expect("a first message");
        Answer::Sync { document, data: &data }.encode(sender, "server")
    }

    fn here(state: Option<SyncState>, data: Option<Vec<u8>>) -> Turned {
        Turned::Here { state: state.unwrap_or_default(), data, is_progress: false }
    }

    #[test]
    fn a_peer_joins_first_and_speaks_under_its_own_name() {
        assert!(session().receive(&sync("peer", ID), 0).is_err(), "it has not joined");
        assert!(joined().receive(&sync("somebody else", ID), 0).is_err(), "it is another");
        assert!(joined().receive(&sync("peer", ID), 0).is_ok());
        assert!(session().join("peer".into(), &["2".into()]).is_err(), "of another version");
        assert!(session().join("server".into(), &[]).is_err(), "it would be the server");
        let mut session = joined();
        let ended = session.receive(&[0xff], 0).expect_err("no frame");
        assert!(session.last_words(&ended).is_some());
    }

    #[test]
    fn messages_about_one_document_are_answered_one_after_the_other() {
        let mut session = joined();
        for document in [ID, ID, DocumentId::from_bytes([8; 16])] {
            session.receive(&sync("peer", document), 0).expect("taken");
        }
        let turns: Vec<RepoTurn> = std::iter::from_fn(|| session.next_turn()).collect();
        assert_eq!(turns.iter().map(|turn| turn.document.as_bytes()[0]).collect::<Vec<_>>(), [7, 8]);
        // News come meanwhile: they are in the next answer.
        session.moved([ID]);
        let effects = session.turned(ID, here(None, Some(vec![1])));
        assert_eq!(effects.len(), 1);
        let next = session.next_turn().expect("the second message");
        assert!(next.message.is_some() && next.state.is_some());
        session.turned(ID, here(next.state, None));
        assert!(session.next_turn().is_none());
        session.moved([ID]);
        assert!(session.next_turn().expect("news").message.is_none());
    }

    #[test]
    fn thought_up_documents_leave_nothing_behind() {
        let mut session = joined();
        for number in 0..10_000u128 {
            let document = DocumentId::from_bytes(number.to_be_bytes());
            session.receive(&sync("peer", document), 0).expect("taken");
            let turn = session.next_turn().expect("a turn");
            assert_eq!(session.turned(turn.document, Turned::Unavailable).len(), 1);
        }
        assert_eq!((session.open.len(), session.awaited.len(), session.state_bytes), (0, AWAITED_MAX, 0));
        // The last of them appears after all.
        session.moved([DocumentId::from_bytes(9_999u128.to_be_bytes())]);
        assert!(session.next_turn().is_some());
    }

    #[test]
    fn a_peer_that_goes_on_about_nothing_is_no_longer_answered() {
        let mut session = joined();
        let mut answers = 0;
        for _ in 0..200 {
            session.receive(&sync("peer", ID), 0).expect("taken");
            let turn = session.next_turn().expect("a turn");
            answers += session.turned(ID, here(turn.state, Some(vec![1]))).len();
        }
        assert_eq!(answers, ROUNDS_MAX as usize);
    }

    #[test]
    fn what_is_known_of_a_peer_is_bounded() {
        let mut session = joined();
        for number in 0..200u8 {
            let document = DocumentId::from_bytes([number; 16]);
            // A filter of fifty thousand changes.
            let filter = [&[0xd0, 0x86, 3, 10, 7], vec![0; 62_500].as_slice()].concat();
            let data = [vec![0x42, 0, 0, 1, 0, 0xa9, 0xe8, 3], filter, vec![0]].concat();
            session.receive(&Answer::Sync { document, data: &data }.encode("peer", "server"), 0).expect("taken");
            let RepoTurn { message, .. } = session.next_turn().expect("a turn");
            let (mut of_it, mut state) = (Document::new(), SyncState::new());
            of_it.receive_sync(&mut state, message.expect("a message")).expect("received");
            session.turned(document, here(Some(state), None));
        }
        assert!(session.state_bytes <= STATE_BYTES_MAX);
        assert_eq!(session.open.len(), 200, "and all stay open");
    }

    #[test]
    fn passing_messages_go_to_those_who_have_the_document_open_and_not_without_end() {
        let said = |count| Ephemeral { sender: "peer".into(), document: ID, session: "s".into(), count, data: vec![1] };
        let say = |session: &mut RepoSession, count, now_ms| {
            let frame = Answer::Ephemeral(&said(count)).encode("peer", "server");
            session.receive(&frame, now_ms).expect("taken").len()
        };
        let mut session = joined();
        assert_eq!(say(&mut session, 0, 0), 0, "it does not have it open");
        session.open.insert(ID, Open::default());
        let passed: usize = (0..500).map(|count| say(&mut session, count, 0)).sum();
        assert_eq!(passed, 100);
        assert_eq!((0..500).map(|count| say(&mut session, count, 1000)).sum::<usize>(), 50, "a second later");
        assert!(session.relay(&said(1)).is_none(), "not to itself");
        let mut other = super::tests::session();
        other.join("other".into(), &[]).expect("joined");
        assert!(other.relay(&said(1)).is_none());
        other.open.insert(ID, Open::default());
        assert!(other.relay(&said(1)).is_some());
    }
}
