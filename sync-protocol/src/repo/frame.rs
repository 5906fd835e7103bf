//! The frames of automerge-repo's network protocol, version "1": CBOR maps with text keys.
//!
//! Written to be as tolerant as its JavaScript original: unknown keys and kinds are skipped, `undefined` counts as
//! absent, a number may come as a float, a document id as its text or as its bytes.

use minicbor::{Decoder, Encoder, data::Type};

use crate::ids::DocumentId;

/// The version of the protocol that is spoken here.
pub const VERSION: &str = "1";

/// Bytes of a name (of a peer, a session, a kind).
const NAME_BYTES_MAX: usize = 256;
/// Keys of one frame, and entries of a list in it.
const ENTRIES_MAX: u64 = 64;

/// A frame from a peer.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// It says who it is.
    Join {
        /// Its peer id.
        sender: String,
        /// The versions that it speaks.
        versions: Vec<String>,
    },
    /// It goes.
    Leave {
        /// Its peer id.
        sender: String,
    },
    /// A message about a document.
    Sync {
        /// Its peer id.
        sender: String,
        /// The document.
        document: DocumentId,
        /// automerge's sync message.
        data: Vec<u8>,
    },
    /// It does not have a document that it was told about.
    Unavailable {
        /// Its peer id.
        sender: String,
        /// The document.
        document: DocumentId,
    },
    /// Something for the other peers that have the document open.
    Ephemeral(Ephemeral),
    /// A kind that needs no answer: gossip about other peers' storages, an error, a kind of a newer version.
    Other {
        /// Its peer id, if it says so.
        sender: Option<String>,
    },
}

/// A passing message between peers: a cursor, who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    /// Whose it is.
    pub sender: String,
    /// The document that it is about.
    pub document: DocumentId,
    /// The sender's session.
    pub session: String,
    /// Its number in that session.
    pub count: u64,
    /// What it says.
    pub data: Vec<u8>,
}

/// Bytes that are no frame of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of automerge-repo's protocol: {0}")]
pub struct RepoFrameError(String);

impl From<minicbor::decode::Error> for RepoFrameError {
    fn from(error: minicbor::decode::Error) -> Self {
        RepoFrameError(error.to_string())
    }
}

fn wrong(what: &str) -> RepoFrameError {
    RepoFrameError(what.to_owned())
}

#[derive(Default)]
struct Fields {
    kind: Option<String>,
    sender: Option<String>,
    session: Option<String>,
    versions: Vec<String>,
    document: Option<DocumentId>,
    count: u64,
    data: Option<Vec<u8>>,
}

impl Frame {
    /// A frame from bytes that came from outside.
    pub fn decode(bytes: &[u8]) -> Result<Self, RepoFrameError> {
        let mut decoder = Decoder::new(bytes);
        let mut fields = Fields::default();
        entries(&mut decoder, Decoder::map, |decoder| {
            let key = name(decoder)?.ok_or_else(|| wrong("a key that is no text"))?;
            match key.as_str() {
                "type" => fields.kind = name(decoder)?,
                "senderId" => fields.sender = name(decoder)?,
                "sessionId" => fields.session = name(decoder)?,
                "supportedProtocolVersions" if decoder.datatype()? == Type::Array => {
                    entries(decoder, Decoder::array, |decoder| {
                        fields.versions.extend(name(decoder)?);
                        Ok(())
                    })?;
                }
                "documentId" => fields.document = document(decoder)?,
                "count" => fields.count = count(decoder)?,
                "data" if decoder.datatype()? == Type::Bytes => fields.data = Some(decoder.bytes()?.to_vec()),
                _ => decoder.skip()?,
            }
            Ok(())
        })?;
        fields.frame()
    }
}

impl Fields {
    fn frame(self) -> Result<Frame, RepoFrameError> {
        let Fields { kind, sender, session, versions, document, count, data } = self;
        let kind = kind.ok_or_else(|| wrong("no type"))?;
        let (no_sender, no_document) = (|| wrong("no senderId"), || wrong("no documentId"));
        Ok(match kind.as_str() {
            "join" => Frame::Join { sender: sender.ok_or_else(no_sender)?, versions },
            "leave" => Frame::Leave { sender: sender.ok_or_else(no_sender)? },
            "sync" | "request" => Frame::Sync {
                sender: sender.ok_or_else(no_sender)?,
                document: document.ok_or_else(no_document)?,
                data: data.ok_or_else(|| wrong("no data"))?,
            },
            "doc-unavailable" => Frame::Unavailable {
                sender: sender.ok_or_else(no_sender)?,
                document: document.ok_or_else(no_document)?,
            },
            "ephemeral" => Frame::Ephemeral(Ephemeral {
                sender: sender.ok_or_else(no_sender)?,
                document: document.ok_or_else(no_document)?,
                session: session.ok_or_else(|| wrong("no sessionId"))?,
                count,
                data: data.ok_or_else(|| wrong("no data"))?,
            }),
            _ => Frame::Other { sender },
        })
    }
}

/// Reads a map or a list of any notation, but not of any length.
fn entries<'b>(
    decoder: &mut Decoder<'b>,
    begin: impl FnOnce(&mut Decoder<'b>) -> Result<Option<u64>, minicbor::decode::Error>,
    mut entry: impl FnMut(&mut Decoder<'b>) -> Result<(), RepoFrameError>,
) -> Result<(), RepoFrameError> {
    let length = begin(decoder)?;
    for number in 0.. {
        if length.is_some_and(|length| number == length) {
            break;
        }
        if length.is_none() && decoder.datatype()? == Type::Break {
            decoder.skip()?;
            break;
        }
        if number == ENTRIES_MAX {
            return Err(wrong("too many entries"));
        }
        entry(decoder)?;
    }
    Ok(())
}

/// A short text; none where something else stands.
fn name(decoder: &mut Decoder<'_>) -> Result<Option<String>, RepoFrameError> {
    if decoder.datatype()? != Type::String {
        decoder.skip()?;
        return Ok(None);
    }
    let text = decoder.str()?;
    if text.len() > NAME_BYTES_MAX {
        return Err(wrong("a name is too long"));
    }
    Ok(Some(text.to_owned()))
}

fn document(decoder: &mut Decoder<'_>) -> Result<Option<DocumentId>, RepoFrameError> {
    let no_id = || wrong("a documentId that is none");
    if decoder.datatype()? == Type::Bytes {
        let bytes = decoder.bytes()?.try_into().map_err(|_| no_id())?;
        return Ok(Some(DocumentId::from_bytes(bytes)));
    }
    name(decoder)?.map(|text| text.parse().map_err(|_| no_id())).transpose()
}

/// A count, which JavaScript writes as a float when it is large.
fn count(decoder: &mut Decoder<'_>) -> Result<u64, RepoFrameError> {
    match decoder.datatype()? {
        Type::F32 | Type::F64 => {
            let float = decoder.f64()?;
            // Exact up to 2^53, which no session reaches.
            if (0.0..=9e15).contains(&float) { Ok(format!("{float:.0}").parse().unwrap_or(0)) } else { Ok(0) }
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Ok(decoder.u64()?),
        _ => {
            decoder.skip()?;
            Ok(0)
        }
    }
}

/// A frame to a peer.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// Who answers its join.
    Peer {
        /// Names the server's store, for clients that follow what has arrived where.
        storage: &'a str,
    },
    /// A message about a document.
    Sync {
        /// The document.
        document: DocumentId,
        /// automerge's sync message.
        data: &'a [u8],
    },
    /// The document is not here, or not for this peer.
    Unavailable {
        /// The document.
        document: DocumentId,
    },
    /// Something of another peer.
    Ephemeral(&'a Ephemeral),
    /// What went wrong; the connection ends.
    Error {
        /// In words.
        message: &'a str,
    },
}

impl Answer<'_> {
    /// Its bytes, from the server to a peer.
    pub fn encode(&self, from: &str, to: &str) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(&mut encoder, from, to).expect("writing to memory does not fail");
        encoder.into_writer()
    }

    fn write(
        &self,
        e: &mut Encoder<Vec<u8>>,
        from: &str,
        to: &str,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        let (kind, entries) = match self {
            Answer::Peer { .. } => ("peer", 5),
            Answer::Sync { .. } => ("sync", 5),
            Answer::Unavailable { .. } => ("doc-unavailable", 4),
            Answer::Ephemeral(_) => ("ephemeral", 7),
            Answer::Error { .. } => ("error", 4),
        };
        // What a peer says goes on under its own name.
        let from = if let Answer::Ephemeral(ephemeral) = self { ephemeral.sender.as_str() } else { from };
        e.map(entries)?.str("type")?.str(kind)?.str("senderId")?.str(from)?.str("targetId")?.str(to)?;
        match self {
            Answer::Peer { storage } => {
                e.str("selectedProtocolVersion")?.str(VERSION)?;
                e.str("peerMetadata")?.map(2)?.str("storageId")?.str(storage)?.str("isEphemeral")?.bool(false)?;
            }
            Answer::Sync { document, data } => {
                e.str("documentId")?.str(&document.to_string())?.str("data")?.bytes(data)?;
            }
            Answer::Unavailable { document } => {
                e.str("documentId")?.str(&document.to_string())?;
            }
            Answer::Ephemeral(ephemeral) => {
                e.str("documentId")?.str(&ephemeral.document.to_string())?;
                e.str("sessionId")?.str(&ephemeral.session)?.str("count")?.u64(ephemeral.count)?;
                e.str("data")?.bytes(&ephemeral.data)?;
            }
            Answer::Error { message } => {
                e.str("message")?.str(message)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: DocumentId = DocumentId::from_bytes([7; 16]);

    #[test]
    fn frames_as_javascript_writes_them() {
        let mut e = Encoder::new(Vec::new());
        let map = e.map(7).expect("map").str("type").expect("key").str("ephemeral").expect("value");
        map.str("senderId")
            .expect("key")
            .str("p")
            .expect("value")
            .str("targetId")
            .expect("key")
            .undefined()
            .expect("value");
        map.str("documentId").expect("key").str(&ID.to_string()).expect("value");
        map.str("sessionId").expect("key").str("s").expect("value").str("count").expect("key").f64(3.0).expect("value");
        map.str("data").expect("key").bytes(&[1]).expect("value");
        let expected = Ephemeral { sender: "p".into(), document: ID, session: "s".into(), count: 3, data: vec![1] };
        assert_eq!(Frame::decode(&e.into_writer()), Ok(Frame::Ephemeral(expected)));

        let mut e = Encoder::new(Vec::new());
        let map = e.begin_map().expect("map").str("type").expect("key").str("join").expect("value");
        map.str("senderId").expect("key").str("p").expect("value").str("peerMetadata").expect("key");
        map.map(1).expect("map").str("isEphemeral").expect("key").bool(true).expect("value");
        map.str("supportedProtocolVersions").expect("key").array(1).expect("list").str("1").expect("value");
        map.end().expect("end");
        let expected = Frame::Join { sender: "p".into(), versions: vec!["1".into()] };
        assert_eq!(Frame::decode(&e.into_writer()), Ok(expected));
    }

    #[test]
    fn what_is_sent_can_be_read() {
        let said = Ephemeral { sender: "other".into(), document: ID, session: "s".into(), count: 9, data: vec![1, 2] };
        let cases = [
            (
                Answer::Sync { document: ID, data: &[5] },
                Frame::Sync { sender: "us".into(), document: ID, data: vec![5] },
            ),
            (Answer::Unavailable { document: ID }, Frame::Unavailable { sender: "us".into(), document: ID }),
            (Answer::Ephemeral(&said), Frame::Ephemeral(said.clone())),
            (Answer::Error { message: "no" }, Frame::Other { sender: Some("us".into()) }),
            (Answer::Peer { storage: "st" }, Frame::Other { sender: Some("us".into()) }),
        ];
        for (answer, frame) in cases {
            assert_eq!(Frame::decode(&answer.encode("us", "them")), Ok(frame));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let text = |text: &str| {
            let mut e = Encoder::new(Vec::new());
            e.map(1).expect("map").str("type").expect("key").str(text).expect("value");
            e.into_writer()
        };
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("nothing", vec![]),
            ("a number", vec![1]),
            ("no kind", vec![0xa0]),
            ("a map without end", [vec![0xbb], vec![0xff; 8]].concat()),
            ("nests", vec![0x81; 1 << 20]),
            ("a nest in a map", [vec![0xa1, 0x61, b'x'], vec![0x81; 1 << 20]].concat()),
            ("a join of nobody", text("join")),
            ("a message about nothing", text("sync")),
            ("a name without end", text(&"x".repeat(300))),
        ];
        for (what, bytes) in cases {
            assert!(Frame::decode(&bytes).is_err(), "{what}");
        }
    }
}
