//! What stands inside the encryption, version 2:
//!
//! ```text
//! "TZB" 02 | length of the head, two bytes | head, CBOR | payload: zstd over CBOR
//! ```
//!
//! The head comes first, so that whose it is, what it is for and whom it is for is known and checked before anything of the
//! payload is read. The signature covers all of that: neither can a bundle be passed on to somebody else, nor an answer be taken
//! for one to another request.

use std::{fmt, io::Read};

use age::x25519;
use ed25519_dalek::Signer;
use minicbor::{Decode, Encode, bytes::ByteVec};
use sha2::{Digest as _, Sha256};

use super::{Asked, BundleError, BundleReply, BundleRequest, Digest, Keys, PublicKeys, RecoveryKey, is_signed_by};
use crate::message::{decode, encode};

/// Bytes of a bundle, packed or not.
const BUNDLE_BYTES_MAX: u64 = 256 << 20;
/// Times its packed size that a payload may have: what people write never comes near.
const RATIO_MAX: u64 = 100;
/// Bytes that any payload may have, however small it is packed.
const INFLATED_BYTES_FREE: u64 = 1 << 20;
/// Bytes of a file in which the header of its encryption ends. Each recipient in it costs whoever opens it a computation.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Bytes of a file that hold the head, with room for whatever stands before it.
pub const HEAD_BYTES_MAX: usize = 128 << 10;
/// Checkpoints of a head that are looked at.
const CHECKPOINTS_MAX: usize = 64;
const MARK: &[u8; 3] = b"TZB";
/// The version of all this.
const FORMAT: u8 = 2;
/// How a bundle of version 1 begins: a CBOR map of three.
const FORMAT_1: u8 = 0xa3;

/// What a bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody's changes, for the county's server.
    Request = 1,
    /// Its answer.
    Reply = 2,
    /// The key to what a device has stored, for the county's server to give back.
    Recovery = 3,
}

/// What a bundle can hold.
pub trait Content: Encode<()> + for<'b> Decode<'b, ()> {
    /// What such a bundle is for.
    const PURPOSE: Purpose;
}

impl Content for BundleRequest {
    const PURPOSE: Purpose = Purpose::Request;
}

impl Content for BundleReply {
    const PURPOSE: Purpose = Purpose::Reply;
}

impl Content for RecoveryKey {
    const PURPOSE: Purpose = Purpose::Recovery;
}

/// Whose a bundle is, as its signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The key that has signed it: whether that is somebody known is the caller's question.
    pub sender: [u8; 32],
    /// What names this very bundle.
    pub digest: Digest,
    /// What names the request that it answers.
    pub regarding: Option<Digest>,
    /// Checkpoints of the audit log that its sender has seen, the newest first. Each is signed by itself.
    pub checkpoints: Vec<String>,
    payload: Digest,
}

/// What is said of a payload before it.
#[derive(Debug, Clone, Copy)]
pub struct Heading<'a> {
    /// What the bundle is for.
    pub purpose: Purpose,
    /// What names the request that it answers.
    pub regarding: Option<&'a Digest>,
    /// Checkpoints of the audit log, the newest first.
    pub checkpoints: &'a [String],
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Written {
    #[n(0)]
    sender: ByteVec,
    #[n(1)]
    purpose: u8,
    /// The signing key of the recipient.
    #[n(2)]
    recipient: ByteVec,
    #[n(3)]
    regarding: Option<ByteVec>,
    /// SHA-256.
    #[n(4)]
    payload: ByteVec,
    #[n(5)]
    signature: ByteVec,
    /// Not under the signature, so that programs that do not know of them read the bundle.
    #[n(6)]
    checkpoints: Option<Vec<String>>,
}

/// What is signed.
pub fn statement(purpose: Purpose, recipient: &[u8; 32], regarding: Option<&Digest>, payload: &Digest) -> Vec<u8> {
    let mut statement = b"taizhang bundle\0".to_vec();
    statement.extend([FORMAT, purpose as u8]);
    statement.extend(recipient);
    statement.extend(regarding.unwrap_or(&[0; 32]));
    statement.extend(payload);
    statement
}

fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Bytes that a payload may inflate to.
fn inflated_max(packed: usize) -> u64 {
    (packed as u64).saturating_mul(RATIO_MAX).saturating_add(INFLATED_BYTES_FREE).min(BUNDLE_BYTES_MAX)
}

/// Puts a head before a payload; returns what names the bundle, too.
pub fn signed(
    payload: &[u8],
    (purpose, regarding): (Purpose, Option<&Digest>),
    from: &Keys,
    recipient: &[u8; 32],
) -> Result<(Vec<u8>, Digest), BundleError> {
    headed(payload, Heading { purpose, regarding, checkpoints: &[] }, from, recipient)
}

/// The same with checkpoints of the audit log.
pub fn headed(
    payload: &[u8],
    Heading { purpose, regarding, checkpoints }: Heading<'_>,
    from: &Keys,
    recipient: &[u8; 32],
) -> Result<(Vec<u8>, Digest), BundleError> {
    let packed = sha256(payload);
    let statement = statement(purpose, recipient, regarding, &packed);
    let head = encode(&Written {
        sender: from.signing.verifying_key().to_bytes().to_vec().into(),
        purpose: purpose as u8,
        recipient: recipient.to_vec().into(),
        regarding: regarding.map(|digest| digest.to_vec().into()),
        payload: packed.to_vec().into(),
        signature: from.signing.sign(&statement).to_bytes().to_vec().into(),
        checkpoints: (!checkpoints.is_empty()).then(|| checkpoints.to_vec()),
    });
    let length = u16::try_from(head.len()).map_err(|_| BundleError::TooLarge)?;
    let mut plain = MARK.to_vec();
    plain.push(FORMAT);
    plain.extend(length.to_be_bytes());
    plain.extend(head);
    plain.extend(payload);
    Ok((plain, sha256(&statement)))
}

/// Encrypts what is signed.
pub fn encrypted(plain: &[u8], to: &PublicKeys) -> Result<Vec<u8>, BundleError> {
    let recipient: x25519::Recipient = to.recipient.parse().map_err(|_| BundleError::Keys)?;
    age::encrypt(&recipient, plain).map_err(|error| BundleError::Content(error.to_string()))
}

/// Signs, packs and encrypts; returns what names the bundle, too. An answer says which request it is for.
pub fn seal<T: Content>(
    content: &T,
    regarding: Option<&Digest>,
    from: &Keys,
    to: &PublicKeys,
) -> Result<(Vec<u8>, Digest), BundleError> {
    seal_with(content, (regarding, &[]), from, to)
}

/// The same with checkpoints of the audit log in the head.
pub fn seal_with<T: Content>(
    content: &T,
    (regarding, checkpoints): (Option<&Digest>, &[String]),
    from: &Keys,
    to: &PublicKeys,
) -> Result<(Vec<u8>, Digest), BundleError> {
    let content = encode(content);
    let payload = zstd::bulk::compress(&content, 9).map_err(|error| BundleError::Content(error.to_string()))?;
    if content.len() as u64 > inflated_max(payload.len()) {
        return Err(BundleError::TooLarge);
    }
    let heading = Heading { purpose: T::PURPOSE, regarding, checkpoints };
    let (plain, digest) = headed(&payload, heading, from, &to.signing)?;
    Ok((encrypted(&plain, to)?, digest))
}

fn foreign(error: &dyn fmt::Display) -> BundleError {
    BundleError::Foreign(error.to_string())
}

/// What a file says in clear, from its beginning.
fn decrypted<'f>(file: &'f [u8], keys: &Keys) -> Result<impl Read + use<'f>, BundleError> {
    if file.len() as u64 > BUNDLE_BYTES_MAX {
        return Err(BundleError::TooLarge);
    }
    let beginning = file.get(..HEADER_BYTES_MAX).unwrap_or(file);
    if !beginning.windows(4).any(|bytes| bytes == b"\n---") {
        return Err(foreign(&"no header of one recipient"));
    }
    let decryptor = age::Decryptor::new_buffered(file).map_err(|error| foreign(&error))?;
    let identity: &dyn age::Identity = &keys.identity;
    decryptor.decrypt(std::iter::once(identity)).map_err(|error| foreign(&error))
}

/// Reads a head, and leaves the reader at the payload.
fn read_head(plain: &mut impl Read, keys: &Keys, purpose: Purpose) -> Result<Head, BundleError> {
    let mut start = [0; 6];
    plain.read_exact(&mut start).map_err(|error| foreign(&error))?;
    let [a, b, c, format, high, low] = start;
    match format {
        _ if a == FORMAT_1 => return Err(BundleError::Older),
        _ if [a, b, c] != *MARK => return Err(foreign(&"no head")),
        FORMAT => {}
        older if older < FORMAT => return Err(BundleError::Older),
        _ => return Err(BundleError::Newer),
    }
    let mut head = vec![0; usize::from(u16::from_be_bytes([high, low]))];
    plain.read_exact(&mut head).map_err(|error| foreign(&error))?;
    let head: Written = decode(&head).map_err(|error| foreign(&error))?;
    let digest = |bytes: ByteVec| Digest::try_from(Vec::from(bytes)).map_err(|_| BundleError::Forged);
    let (sender, recipient, payload) = (digest(head.sender)?, digest(head.recipient)?, digest(head.payload)?);
    let regarding = head.regarding.map(digest).transpose()?;
    if head.purpose != purpose as u8 {
        return Err(BundleError::Purpose);
    }
    let statement = statement(purpose, &recipient, regarding.as_ref(), &payload);
    if !is_signed_by(&sender, &statement, &head.signature) {
        return Err(BundleError::Forged);
    }
    // Whoever could open it may have encrypted it anew, to somebody whom its sender did not mean.
    if recipient != keys.signing.verifying_key().to_bytes() {
        return Err(BundleError::Misdirected);
    }
    let mut checkpoints = head.checkpoints.unwrap_or_default();
    checkpoints.truncate(CHECKPOINTS_MAX);
    Ok(Head { sender, digest: sha256(&statement), regarding, checkpoints, payload })
}

/// Whose a bundle is: of the file only the beginning is needed, [`HEAD_BYTES_MAX`], and nothing of it is unpacked.
pub fn head<T: Content>(file: &[u8], keys: &Keys) -> Result<Head, BundleError> {
    read_head(&mut decrypted(file, keys)?, keys, T::PURPOSE)
}

/// Decrypts, checks for whom it is and that its sender has signed it, and unpacks: whether the sender is somebody known is the
/// caller's question.
pub fn open<T: Content>(file: &[u8], keys: &Keys) -> Result<(T, Head), BundleError> {
    let mut plain = decrypted(file, keys)?;
    let head = read_head(&mut plain, keys, T::PURPOSE)?;
    let mut payload = Vec::new();
    plain.read_to_end(&mut payload).map_err(|error| foreign(&error))?;
    if sha256(&payload) != head.payload {
        return Err(BundleError::Forged);
    }
    let content = |error: &dyn fmt::Display| BundleError::Content(error.to_string());
    let max = inflated_max(payload.len());
    let mut inflated = Vec::new();
    let reader = zstd::Decoder::new(payload.as_slice()).map_err(|error| content(&error))?;
    reader.take(max + 1).read_to_end(&mut inflated).map_err(|error| content(&error))?;
    if inflated.len() as u64 > max {
        return Err(BundleError::TooLarge);
    }
    Ok((decode(&inflated).map_err(|error| content(&error))?, head))
}

/// Opens the county's answer to one of these requests.
pub fn open_reply(
    file: &[u8],
    keys: &Keys,
    county: &PublicKeys,
    asked: &Asked,
) -> Result<(BundleReply, Head), BundleError> {
    let head = head::<BundleReply>(file, keys)?;
    if head.sender != county.signing {
        return Err(BundleError::Forged);
    }
    if !head.regarding.is_some_and(|request| asked.contains(&request)) {
        return Err(BundleError::Unasked);
    }
    open(file, keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ExchangeRequest, PROTOCOL};

    fn request() -> BundleRequest {
        let (cursor, push, asks, held) = (None, vec![], vec![], vec![]);
        let request = ExchangeRequest { protocol: PROTOCOL, cursor, push, device_time_ms: 7, asks, held };
        BundleRequest { request, units: b"[]".to_vec().into(), answer_bytes_max: None }
    }

    fn reply() -> BundleReply {
        let (replies, units, county_key, asked, refused_units) = (vec![], b"[]".to_vec().into(), None, vec![], vec![]);
        BundleReply { replies, units, county_key, asked, refused_units }
    }

    /// A payload that is well signed and encrypted, whatever is in it.
    fn packed(payload: &[u8], purpose: Purpose, from: &Keys, to: &PublicKeys) -> Vec<u8> {
        encrypted(&signed(payload, (purpose, None), from, &to.signing).expect("signed").0, to).expect("encrypted")
    }

    #[test]
    fn only_the_recipient_reads_it_and_only_the_sender_writes_it() {
        let (device, server, other) = (Keys::of(b"token"), Keys::of(b"server"), Keys::of(b"other"));
        let (sealed, digest) = seal(&request(), None, &device, &server.public()).expect("sealed");
        let (opened, head) = open::<BundleRequest>(&sealed, &server).expect("opened");
        assert_eq!((opened, head.sender, head.digest), (request(), device.public().signing, digest));
        assert!(matches!(open::<BundleRequest>(&sealed, &other), Err(BundleError::Foreign(_))));
        assert!(matches!(open::<BundleRequest>(&[], &server), Err(BundleError::Foreign(_))));
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(open::<BundleRequest>(&broken, &server).is_err(), "byte {at}");
        }
        // Somebody who knows the recipient's public key still cannot sign for the device.
        let (mut plain, _) = signed(b"x", (Purpose::Request, None), &other, &server.public().signing).expect("signed");
        let own = other.public().signing;
        let at = plain.windows(32).position(|bytes| bytes == own).expect("its sender");
        plain[at..at + 32].copy_from_slice(&device.public().signing);
        let forged = encrypted(&plain, &server.public()).expect("encrypted");
        assert!(matches!(head_of(&forged, &server), Err(BundleError::Forged)));
    }

    fn head_of(file: &[u8], keys: &Keys) -> Result<Head, BundleError> {
        head::<BundleRequest>(file, keys)
    }

    #[test]
    fn a_bundle_is_for_one_purpose_one_recipient_and_one_request() {
        let (county, office, other) = (Keys::of(b"county"), Keys::of(b"office"), Keys::of(b"other"));
        let (_, request_digest) = seal(&request(), None, &office, &county.public()).expect("sealed");
        let (_, later) = seal(&request(), None, &office, &office.public()).expect("sealed");
        let mut asked = Asked::default();
        asked.add(request_digest);
        let (answer, _) = seal(&reply(), Some(&request_digest), &county, &office.public()).expect("sealed");
        assert_eq!(open_reply(&answer, &office, &county.public(), &asked).expect("opened").0, reply());
        // With checkpoints in its head it is the same bundle.
        let noted = ["newest".to_owned(), "first".to_owned()];
        let (answer, _) =
            seal_with(&reply(), (Some(&request_digest), &noted), &county, &office.public()).expect("sealed");
        let (opened, head) = open_reply(&answer, &office, &county.public(), &asked).expect("opened");
        assert_eq!((opened, head.checkpoints), (reply(), noted.to_vec()));
        // The office encrypts what it can read to another office.
        let mut plain = Vec::new();
        decrypted(&answer, &office).expect("opened").read_to_end(&mut plain).expect("read");
        let passed_on = encrypted(&plain, &other.public()).expect("encrypted");
        let refused = open_reply(&passed_on, &other, &county.public(), &asked);
        assert!(matches!(refused, Err(BundleError::Misdirected)), "{refused:?}");
        // An answer to something else, an answer to nothing, somebody else's answer, a request for an answer.
        for regarding in [Some(&later), None] {
            let (answer, _) = seal(&reply(), regarding, &county, &office.public()).expect("sealed");
            let refused = open_reply(&answer, &office, &county.public(), &asked);
            assert!(matches!(refused, Err(BundleError::Unasked)), "{refused:?}");
        }
        let (answer, _) = seal(&reply(), Some(&request_digest), &other, &office.public()).expect("sealed");
        assert!(matches!(open_reply(&answer, &office, &county.public(), &asked), Err(BundleError::Forged)));
        let (wrong, _) = seal(&request(), Some(&request_digest), &county, &office.public()).expect("sealed");
        assert!(matches!(open_reply(&wrong, &office, &county.public(), &asked), Err(BundleError::Purpose)));
    }

    #[test]
    fn other_versions_are_told_from_what_is_no_bundle() {
        let (device, server) = (Keys::of(b"token"), Keys::of(b"server"));
        let file = |plain: &[u8]| encrypted(plain, &server.public()).expect("encrypted");
        let (plain, _) = signed(b"x", (Purpose::Request, None), &device, &server.public().signing).expect("signed");
        let mut newer = plain.clone();
        newer[3] = 3;
        assert!(matches!(head_of(&file(&newer), &server), Err(BundleError::Newer)));
        newer[3] = 1;
        assert!(matches!(head_of(&file(&newer), &server), Err(BundleError::Older)));
        assert!(matches!(head_of(&file(&[0xa3, 0, 0x58, 32, 1, 2, 3]), &server), Err(BundleError::Older)));
        assert!(matches!(head_of(&file(b"something else"), &server), Err(BundleError::Foreign(_))));
    }

    #[test]
    fn a_small_file_does_not_become_a_large_one() {
        let (device, server) = (Keys::of(b"token"), Keys::of(b"server"));
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 9).expect("packed");
        assert!(bomb.len() < 16 << 10, "{}", bomb.len());
        let file = packed(&bomb, Purpose::Request, &device, &server.public());
        assert!(matches!(open::<BundleRequest>(&file, &server), Err(BundleError::TooLarge)));
        assert_eq!(inflated_max(bomb.len()), bomb.len() as u64 * 100 + (1 << 20));
        assert_eq!(inflated_max(usize::MAX), BUNDLE_BYTES_MAX);
        // Whose it is is known from its beginning.
        let noise: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let file = packed(&noise, Purpose::Request, &device, &server.public());
        let head = head_of(&file[..HEAD_BYTES_MAX], &server).expect("a head");
        assert_eq!(head.sender, device.public().signing);
        // Nobody makes another try thousands of keys.
        let many = [b"age-encryption.org/v1\n".as_slice(), &b"-> X25519 x\nx\n".repeat(9000), b"--- x\n"].concat();
        assert!(matches!(head_of(&many, &server), Err(BundleError::Foreign(_))));
    }
}
