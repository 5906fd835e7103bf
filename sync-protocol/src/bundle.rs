//! Bundles (`.tzb`): the frames of the exchange in a file, for where there is no network at all.
//!
//! Signed by the sender (Ed25519), packed, and encrypted to the one recipient (age): a lost USB stick tells nobody
//! anything, and nobody else's file is taken. What is inside goes the same way as what comes over the network, so a
//! file may be imported any number of times.

use std::{fmt, io::Read, str::FromStr};

use age::x25519;
use bech32::ToBase32;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decode, Encode, bytes::ByteVec};
use sha2::Sha256;

use crate::{
    ids::Identity,
    message::{ExchangeReply, ExchangeRequest, decode, encode},
};

/// Bytes of a bundle, packed or not.
const BUNDLE_BYTES_MAX: u64 = 256 << 20;

/// What a device or an office hands over.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct BundleRequest {
    /// The same as over the network.
    #[n(0)]
    pub request: ExchangeRequest,
    /// Units below its own that it knows of, as JSON.
    #[n(1)]
    pub units: ByteVec,
    /// Bytes of the answer, where it has to go through something narrow, such as a camera that reads codes off a screen.
    #[n(2)]
    pub answer_bytes_max: Option<u32>,
}

/// What it gets back.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct BundleReply {
    /// The same as over the network, page by page.
    #[n(0)]
    pub replies: Vec<ExchangeReply>,
    /// The units of its scope and those above it, as JSON.
    #[n(1)]
    pub units: ByteVec,
    /// The key of restricted natural keys, for who may see those.
    #[n(2)]
    pub county_key: Option<ByteVec>,
    /// The documents that were asked about.
    #[n(3)]
    pub asked: Vec<Identity>,
}

/// Why a bundle was not written or not taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is not for this recipient, or no bundle at all.
    #[error("不是发给本机的数据包，或文件不完整 | not a bundle for this recipient, or not whole: {0}")]
    Foreign(String),
    /// Its signature is not its sender's.
    #[error("数据包签名无效，已拒绝 | the bundle is not signed by its sender: refused")]
    Forged,
    /// It holds too much.
    #[error("数据包过大 | the bundle is too large")]
    TooLarge,
    /// What is inside makes no sense.
    #[error("数据包内容无法识别，请更新程序 | the bundle's content cannot be read: update the program ({0})")]
    Content(String),
    /// These are no keys.
    #[error("密钥无效 | not a pair of public keys")]
    Keys,
}

/// The secret keys of a replica, both from one secret.
pub struct Keys {
    signing: SigningKey,
    identity: x25519::Identity,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys that follow from a secret: a device's token, a server's random bytes.
    pub fn of(secret: &[u8]) -> Self {
        let derive = |purpose: &str| -> [u8; 32] {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
            mac.update(purpose.as_bytes());
            mac.finalize().into_bytes().into()
        };
        let bytes = derive("taizhang bundle encryption").to_base32();
        let text = bech32::encode("age-secret-key-", bytes, bech32::Variant::Bech32).expect("a valid prefix");
        let identity = text.to_uppercase().parse().expect("32 bytes are an identity");
        Self { signing: SigningKey::from_bytes(&derive("taizhang bundle signing")), identity }
    }

    /// Signs a statement.
    pub fn sign(&self, statement: &[u8]) -> [u8; 64] {
        self.signing.sign(statement).to_bytes()
    }

    /// What others need to know of them.
    pub fn public(&self) -> PublicKeys {
        PublicKeys {
            signing: self.signing.verifying_key().to_bytes(),
            recipient: self.identity.to_public().to_string(),
        }
    }
}

/// The public keys of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys {
    /// Whose signature it is.
    pub signing: [u8; 32],
    /// To whom files are encrypted (`age1…`).
    recipient: String,
}

/// Whether a statement was signed with the secret to this public key.
pub fn is_signed_by(key: &[u8; 32], statement: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify(statement, &signature).is_ok()
}

impl fmt::Display for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", HEXLOWER.encode(&self.signing), self.recipient)
    }
}

impl FromStr for PublicKeys {
    type Err = BundleError;
    fn from_str(text: &str) -> Result<Self, BundleError> {
        let (signing, recipient) = text.trim().split_once('.').ok_or(BundleError::Keys)?;
        let signing = HEXLOWER.decode(signing.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        recipient.parse::<x25519::Recipient>().map_err(|_| BundleError::Keys)?;
        Ok(Self { signing: signing.ok_or(BundleError::Keys)?, recipient: recipient.to_owned() })
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Envelope {
    #[n(0)]
    sender: ByteVec,
    /// zstd over CBOR.
    #[n(1)]
    payload: ByteVec,
    #[n(2)]
    signature: ByteVec,
}

/// Signs, packs and encrypts.
pub fn seal<T: Encode<()>>(content: &T, from: &Keys, to: &PublicKeys) -> Result<Vec<u8>, BundleError> {
    let failed = |error: &dyn fmt::Display| BundleError::Content(error.to_string());
    let payload = zstd::bulk::compress(&encode(content), 9).map_err(|error| failed(&error))?;
    let envelope = Envelope {
        sender: from.signing.verifying_key().to_bytes().to_vec().into(),
        signature: from.signing.sign(&payload).to_bytes().to_vec().into(),
        payload: payload.into(),
    };
    let recipient: x25519::Recipient = to.recipient.parse().map_err(|_| BundleError::Keys)?;
    age::encrypt(&recipient, &encode(&envelope)).map_err(|error| failed(&error))
}

/// Decrypts, and checks the signature of whoever says to be the sender: whether that is somebody known is the caller's
/// question.
pub fn open<T: for<'b> Decode<'b, ()>>(bytes: &[u8], keys: &Keys) -> Result<(T, [u8; 32]), BundleError> {
    let foreign = |error: &dyn fmt::Display| BundleError::Foreign(error.to_string());
    if bytes.len() as u64 > BUNDLE_BYTES_MAX {
        return Err(BundleError::TooLarge);
    }
    let plain = age::decrypt(&keys.identity, bytes).map_err(|error| foreign(&error))?;
    let envelope: Envelope = decode(&plain).map_err(|error| foreign(&error))?;
    let sender: [u8; 32] = Vec::from(envelope.sender).try_into().map_err(|_| BundleError::Forged)?;
    if !is_signed_by(&sender, &envelope.payload, &envelope.signature) {
        return Err(BundleError::Forged);
    }
    let content = |error: &dyn fmt::Display| BundleError::Content(error.to_string());
    let mut inflated = Vec::new();
    let reader = zstd::Decoder::new(envelope.payload.as_slice()).map_err(|error| content(&error))?;
    reader.take(BUNDLE_BYTES_MAX + 1).read_to_end(&mut inflated).map_err(|error| content(&error))?;
    if inflated.len() as u64 > BUNDLE_BYTES_MAX {
        return Err(BundleError::TooLarge);
    }
    Ok((decode(&inflated).map_err(|error| content(&error))?, sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::PROTOCOL;

    fn request() -> ExchangeRequest {
        let (cursor, push, asks, held) = (None, vec![], vec![], vec![]);
        ExchangeRequest { protocol: PROTOCOL, cursor, push, device_time_ms: 7, asks, held }
    }

    #[test]
    fn only_the_recipient_reads_it_and_only_the_sender_writes_it() {
        let (device, server, other) = (Keys::of(b"token"), Keys::of(b"server"), Keys::of(b"other"));
        let sealed = seal(&request(), &device, &server.public()).expect("sealed");
        let (opened, sender) = open::<ExchangeRequest>(&sealed, &server).expect("opened");
        assert_eq!((opened, sender), (request(), device.public().signing));
        assert!(matches!(open::<ExchangeRequest>(&sealed, &other), Err(BundleError::Foreign(_))));
        assert!(matches!(open::<ExchangeRequest>(&[], &server), Err(BundleError::Foreign(_))));
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(open::<ExchangeRequest>(&broken, &server).is_err(), "byte {at}");
        }
        // Somebody who knows the recipient's public key still cannot sign for the device.
        let payload = zstd::bulk::compress(&encode(&request()), 1).expect("packed");
        let envelope = Envelope {
            sender: device.public().signing.to_vec().into(),
            signature: other.signing.sign(&payload).to_bytes().to_vec().into(),
            payload: payload.into(),
        };
        let recipient: x25519::Recipient = server.public().recipient.parse().expect("a recipient");
        let forged = age::encrypt(&recipient, &encode(&envelope)).expect("encrypted");
        assert!(matches!(open::<ExchangeRequest>(&forged, &server), Err(BundleError::Forged)));
    }

    #[test]
    fn public_keys_come_back_from_their_text() {
        let keys = Keys::of(b"token").public();
        assert_eq!(keys.to_string().parse::<PublicKeys>().expect("keys"), keys);
        assert_eq!(Keys::of(b"token").public(), keys, "the same secret, the same keys");
        for text in ["", "abc", "00.age1", &format!("{keys}x")] {
            assert!(matches!(text.parse::<PublicKeys>(), Err(BundleError::Keys)), "{text}");
        }
    }
}
