//! Checkpoints of the audit log: how many lines it has, and the root of the Merkle tree over them, signed by the server. Whoever
//! keeps one is a witness: no other log of so many lines has this root, whoever has signed it since.
//!
//! A checkpoint is a text (C2SP signed-note and tlog-checkpoint), so that it can be printed and read aloud:
//!
//! ```text
//! taizhang/340099/9f86d081884c7d659a2feaa0c55ad015
//! 1207
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! time 2012-04-30T08:00:00.000Z
//!
//! — taizhang/340099/9f86d081884c7d659a2feaa0c55ad015 Az3grlgtzPICa5OS…
//! ```

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use crate::bundle::{Keys, is_signed_by};

/// Bytes of a checkpoint that anybody keeps.
const BYTES_MAX: usize = 2048;
/// Checkpoints that a device keeps.
const KEPT_MAX: usize = 1000;
/// What a line with a signature begins with: an em dash.
const SIGNED_BY: &str = "— ";
/// Ed25519, as signed notes number it.
const ED25519: u8 = 1;

/// How far the log had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log: the county and which of all databases.
    pub origin: String,
    /// Lines.
    pub size: u64,
    /// The root of the tree over them.
    pub root: [u8; 32],
    /// When it was made, by the server's clock.
    pub at_ms: i64,
}

/// A checkpoint as somebody has kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it says.
    pub checkpoint: Checkpoint,
    body: String,
    /// By whom, and the signature behind the hash of the key.
    signatures: Vec<(String, Vec<u8>)>,
}

/// What names a key in a note.
fn key_hash(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name);
    hash.update([b'\n', ED25519]);
    hash.update(key);
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    [a, b, c, d]
}

impl Checkpoint {
    fn body(&self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.at_ms).unwrap_or_default();
        let Self { origin, size, root, .. } = self;
        format!("{origin}\n{size}\n{}\ntime {time:.3}\n", BASE64.encode(root))
    }

    /// The text that is kept.
    pub fn sign(&self, keys: &Keys) -> String {
        let body = self.body();
        let mut signature = key_hash(&self.origin, &keys.public().signing).to_vec();
        signature.extend(keys.sign(body.as_bytes()));
        format!("{body}\n{SIGNED_BY}{} {}\n", self.origin, BASE64.encode(&signature))
    }

    /// What the lines before the signatures say.
    fn parse(body: &str) -> Option<Self> {
        let mut lines = body.lines();
        let origin = lines.next().filter(|origin| !origin.is_empty())?.to_owned();
        let size = lines.next()?.parse().ok()?;
        let root = BASE64.decode(lines.next()?.as_bytes()).ok()?.try_into().ok()?;
        let time = lines.find_map(|line| line.strip_prefix("time "))?;
        let time: jiff::Timestamp = time.parse().ok()?;
        Some(Self { origin, size, root, at_ms: time.as_millisecond() })
    }
}

impl Note {
    /// Whether this key has signed it.
    pub fn is_signed_by(&self, key: &[u8; 32]) -> bool {
        self.signatures.iter().any(|(name, signature)| {
            signature.split_first_chunk::<4>().is_some_and(|(hash, signature)| {
                *hash == key_hash(name, key) && is_signed_by(key, self.body.as_bytes(), signature)
            })
        })
    }
}

/// The checkpoints in a text, one behind the other; what has been copied by hand or sent by chat may have other ends of lines, and
/// spaces around them.
pub fn parse(text: &str) -> Vec<Note> {
    let mut notes = Vec::new();
    let (mut body, mut signatures) = (String::new(), Vec::new());
    let mut end = |body: &mut String, signatures: &mut Vec<(String, Vec<u8>)>| {
        let (body, signatures) = (std::mem::take(body), std::mem::take(signatures));
        if let (Some(checkpoint), false) = (Checkpoint::parse(&body), signatures.is_empty()) {
            notes.push(Note { checkpoint, body, signatures });
        }
    };
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some((name, signature)) = line.strip_prefix(SIGNED_BY).and_then(|line| line.rsplit_once(' ')) {
            if let Ok(signature) = BASE64.decode(signature.as_bytes()) {
                signatures.push((name.to_owned(), signature));
            }
        } else {
            if !signatures.is_empty() {
                end(&mut body, &mut signatures);
            }
            body += line;
            body.push('\n');
        }
    }
    end(&mut body, &mut signatures);
    notes
}

/// The checkpoints that a replica keeps, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept(Vec<String>);

impl Kept {
    /// Those that were kept as bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(minicbor::decode(bytes).unwrap_or_default())
    }

    /// For keeping.
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::message::encode(&self.0)
    }

    /// Adds one, whatever it says: a device does not judge. Says whether it was new. Where there are too many, every second one
    /// goes, but neither the first nor the newest: the more a witness has seen, the more precisely it tells.
    pub fn add(&mut self, text: &str) -> bool {
        if text.is_empty() || text.len() > BYTES_MAX || self.0.iter().rev().any(|known| known == text) {
            return false;
        }
        self.0.push(text.to_owned());
        if self.0.len() > KEPT_MAX {
            let newest = self.0.len() - 1;
            let mut at = 0;
            self.0.retain(|_| {
                at += 1;
                at % 2 == 1 || at - 1 == newest
            });
        }
        true
    }

    /// All of them.
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// The newest.
    pub fn newest(&self) -> Option<&String> {
        self.0.last()
    }

    /// A few of them, for the head of a bundle: the newest, those before it at distances that double, and the first.
    pub fn spread(&self) -> Vec<String> {
        let from_end = self.0.iter().rev();
        let mut few: Vec<String> = from_end
            .enumerate()
            .filter(|(distance, _)| (distance + 1).is_power_of_two())
            .map(|(_, text)| text.clone())
            .collect();
        if let Some(first) = self.0.first().filter(|first| few.last() != Some(first)) {
            few.push(first.clone());
        }
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(size: u64) -> Checkpoint {
        Checkpoint { origin: "taizhang/340099/00ff".into(), size, root: [7; 32], at_ms: 1_335_744_000_456 }
    }

    #[test]
    fn a_checkpoint_comes_back_from_paper_and_chat() {
        let keys = Keys::of(b"county");
        let text = checkpoint(12).sign(&keys);
        assert!(text.contains("\ntime 2012-04-30T00:00:00.456Z\n"), "{text}");
        let by_hand = format!("\u{feff}\r\n  {}  ", text.replace('\n', " \r\n"));
        for text in [text.clone(), by_hand, text.replace("\n\n", "\n")] {
            let [note] = &parse(&text)[..] else { panic!("{text}") };
            assert_eq!(note.checkpoint, checkpoint(12));
            assert!(note.is_signed_by(&keys.public().signing), "{text}");
            assert!(!note.is_signed_by(&Keys::of(b"other").public().signing));
        }
        let two = format!("{text}\n{}", checkpoint(13).sign(&keys));
        let sizes: Vec<u64> = parse(&two).iter().map(|note| note.checkpoint.size).collect();
        assert_eq!(sizes, [12, 13]);
        // Anything else than what was signed.
        for other in ["\n13\n", "\n012\n", "\n-12\n", "\n12 \u{200b}\n"] {
            let forged = parse(&text.replace("\n12\n", other));
            assert!(forged.iter().all(|note| !note.is_signed_by(&keys.public().signing)), "{other:?}");
        }
        for nothing in ["", "\n\n", "a\n1\nb\n", &text.replace("— ", "- "), &text.replace("time", "tame")] {
            assert_eq!(parse(nothing), [], "{nothing}");
        }
    }

    #[test]
    fn the_first_and_the_newest_are_kept_whatever_comes_between() {
        let mut kept = Kept::default();
        let text = |number: usize| format!("checkpoint {number}");
        for number in 0..5000 {
            assert!(kept.add(&text(number)) && !kept.add(&text(number)), "{number}");
            assert_eq!((kept.all().first(), kept.newest()), (Some(&text(0)), Some(&text(number))));
            assert!(kept.all().len() <= KEPT_MAX);
        }
        assert!(!kept.add(&"x".repeat(BYTES_MAX + 1)) && !kept.add(""));
        let few = kept.spread();
        assert!(few.len() < 14 && few[0] == text(4999) && few[1] == text(4998) && *few.last().expect("few") == text(0));
        assert_eq!(Kept::from_bytes(&kept.to_bytes()), kept);
        assert_eq!(Kept::from_bytes(b"nonsense"), Kept::default());
        assert_eq!(Kept(vec!["one".into()]).spread(), ["one"]);
        assert_eq!(Kept::default().spread(), [] as [&str; 0]);
    }
}
