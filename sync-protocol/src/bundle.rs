//! Bundles (`.tzb`): the frames of the exchange in a file, for where there is no network at all.
//!
//! Signed by the sender (Ed25519) for one purpose and one recipient, packed, and encrypted to that recipient (age): a lost USB
//! stick tells nobody anything, and nobody else's file is taken. An answer names the request that it is for. What is inside goes
//! the same way as what comes over the network, so a file may be imported any number of times.

mod envelope;

use std::{fmt, str::FromStr};

use age::x25519;
use bech32::ToBase32;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decode, Encode, bytes::ByteVec};
use sha2::Sha256;

pub use envelope::{
    Content, HEAD_BYTES_MAX, Head, Heading, Purpose, encrypted, head, headed, open, open_reply, seal, seal_with,
    signed, statement,
};

use crate::{
    ids::{Identity, UnitId},
    message::{ExchangeReply, ExchangeRequest},
};

/// Requests of which a replica still takes answers.
const ASKED_MAX: usize = 100;

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
    /// Units that the county did not take into its register.
    #[n(4)]
    #[cbor(default)]
    pub refused_units: Vec<RefusedUnit>,
}

/// A unit that the county did not take into its register.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RefusedUnit {
    /// The unit.
    #[n(0)]
    pub unit: UnitId,
    /// Its name, as it was sent.
    #[n(1)]
    pub name: String,
    /// Why and what to do.
    #[n(2)]
    pub sentence: String,
}

/// The key to what a device has stored, in case that its PIN is forgotten: the device keeps it encrypted to the county's server,
/// beside what it opens.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecoveryKey {
    /// It.
    #[n(0)]
    pub key: ByteVec,
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
    /// It is for somebody else, whoever has encrypted it anew.
    #[error("数据包不是写给本机的，已拒绝 | the bundle was made for somebody else: refused")]
    Misdirected,
    /// A request where an answer should be, or the other way round.
    #[error(
        "数据包用途不符：待交的数据包和回复包弄反了 | not this kind of bundle: an outgoing bundle and an answer were mixed up"
    )]
    Purpose,
    /// It answers a request that this replica has not made.
    #[error(
        "这不是对本机所交数据包的回复，或那个数据包太久以前；请重新导出数据包，交县里处理后再导入回复 | it answers no bundle of this device, or one of too long ago: write a new bundle and import its answer"
    )]
    Unasked,
    /// It is of a version that is not taken any more.
    #[error(
        "数据包是旧版程序写的，已不再接收；请更新写它的程序，重新导出 | the bundle was written by an older version and is not taken any more: update the program that wrote it, and export it anew"
    )]
    Older,
    /// It is of a version that is not known yet.
    #[error(
        "数据包是更新版本的程序写的，请更新本程序 | the bundle was written by a newer version: update this program"
    )]
    Newer,
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

    /// The same with another key to sign with, as a phone has that draws both.
    #[must_use]
    pub fn with_signing_key(secret: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(secret), ..Self::of(secret) }
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

/// What names a bundle.
pub type Digest = [u8; 32];

/// The requests that a replica has written last, by what names them: answers to others are not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked(Vec<Digest>);

impl Asked {
    /// Those that were kept as bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (digests, _) = bytes.as_chunks::<32>();
        Self(digests.to_vec())
    }

    /// For keeping.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// One more; the oldest is forgotten where there are too many.
    pub fn add(&mut self, request: Digest) {
        self.0.retain(|known| *known != request);
        self.0.push(request);
        let too_many = self.0.len().saturating_sub(ASKED_MAX);
        self.0.drain(..too_many);
    }

    /// Whether this is one of them.
    pub fn contains(&self, request: &Digest) -> bool {
        self.0.contains(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_requests_are_known() {
        let mut asked = Asked::default();
        for number in 0..150 {
            asked.add([number; 32]);
        }
        let asked = Asked::from_bytes(&asked.to_bytes());
        assert!(asked.contains(&[149; 32]) && asked.contains(&[50; 32]) && !asked.contains(&[49; 32]));
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
