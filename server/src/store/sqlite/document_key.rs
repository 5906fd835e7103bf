//! One key of a restricted document, and what is sealed with it.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use data_encoding::BASE64_NOPAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use sync_protocol::{Identity, RowId};

use crate::{
    clock,
    store::{StoreError, blob},
};

/// Bytes of a key's record in the file.
pub(super) const RECORD_BYTES: usize = 128;
pub(super) const ID_BYTES: usize = 16;
/// Where in a record the key stands, and its check behind it.
pub(super) const SECRET_AT: usize = 64;
pub(super) const CHECK_AT: usize = 96;
const NONCE_BYTES: usize = 24;
/// What stands in front of a sealed text. No JSON begins so.
pub(super) const SEALED_TEXT: char = '~';

/// Names a key, in the file and in what is sealed with it.
pub(super) type KeyId = [u8; ID_BYTES];
/// What a key is for: the hash of what the document is of.
pub(super) type Slot = [u8; 32];

pub(super) fn slot(of: &Identity) -> Slot {
    let mut slot = Sha256::new_with_prefix("taizhang document\0");
    slot.update(of.unit.as_bytes());
    slot.update([of.book as u8]);
    slot.update(&of.period);
    slot.finalize().into()
}

/// Where something sealed stands: it cannot be opened in another place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Change,
    Snapshot,
    Cells(&'a str, RowId),
    Conflicts(&'a str, RowId),
    Quarantine,
    Affirmed,
    Before,
    Proposed,
    Successor,
}

impl Place<'_> {
    fn bound_to(self, slot: &Slot) -> Vec<u8> {
        let (name, row) = match self {
            Place::Change => ("change", None),
            Place::Snapshot => ("snapshot", None),
            Place::Cells(ledger, row) => ("cells", Some((ledger, row))),
            Place::Conflicts(ledger, row) => ("conflicts", Some((ledger, row))),
            Place::Quarantine => ("quarantine", None),
            Place::Affirmed => ("affirmed", None),
            Place::Before => ("before", None),
            Place::Proposed => ("proposed", None),
            Place::Successor => ("successor", None),
        };
        let mut bound = [b"taizhang sealed\0".as_slice(), slot, name.as_bytes()].concat();
        if let Some((ledger, row)) = row {
            bound.extend_from_slice(row.as_bytes());
            bound.extend_from_slice(ledger.as_bytes());
        }
        bound
    }
}

/// A key.
pub(super) struct DocumentKey {
    pub(super) id: KeyId,
    /// The key in whose place it was made.
    pub(super) replaces: Option<KeyId>,
    pub(super) slot: Slot,
    pub(super) secret: [u8; 32],
}

impl fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DocumentKey")
    }
}

impl DocumentKey {
    pub(super) fn new(slot: Slot, replaces: Option<KeyId>) -> Self {
        Self { id: clock::random(), replaces, slot, secret: clock::random() }
    }

    pub(super) fn record(&self) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[..ID_BYTES].copy_from_slice(&self.id);
        record[ID_BYTES..32].copy_from_slice(&self.replaces.unwrap_or_default());
        record[32..SECRET_AT].copy_from_slice(&self.slot);
        record[SECRET_AT..CHECK_AT].copy_from_slice(&self.secret);
        let check = check(&record);
        record[CHECK_AT..].copy_from_slice(&check);
        record
    }

    pub(super) fn read(record: &[u8; RECORD_BYTES]) -> Option<Self> {
        if record[CHECK_AT..] != check(record) {
            return None;
        }
        let part = |at: usize| <[u8; ID_BYTES]>::try_from(record.get(at..at + ID_BYTES)?).ok();
        let replaces = part(ID_BYTES).filter(|id| *id != KeyId::default());
        let slot = record[32..SECRET_AT].try_into().ok()?;
        Some(Self { id: part(0)?, replaces, slot, secret: record[SECRET_AT..CHECK_AT].try_into().ok()? })
    }

    /// Seals bytes for their place.
    pub(super) fn shut(&self, place: Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.shut_with(clock::random(), place, bytes)
    }

    fn shut_with(&self, nonce: [u8; NONCE_BYTES], place: Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (packed, aad) = (blob::pack(bytes), place.bound_to(&self.slot));
        let shut = XChaCha20Poly1305::new(&self.secret.into())
            .encrypt(&XNonce::from(nonce), Payload { msg: &packed, aad: &aad })
            .map_err(|_| StoreError::Damaged("it cannot be sealed".into()))?;
        Ok([[blob::SEALED].as_slice(), &self.id, &nonce, &shut].concat())
    }

    /// Seals a text for its place.
    pub(super) fn shut_text(&self, place: Place<'_>, text: &str) -> Result<String, StoreError> {
        Ok(as_text(&self.shut(place, text.as_bytes())?))
    }

    /// The same text in the same place becomes the same: where the database has to tell whether it is there already.
    pub(super) fn shut_same(&self, place: Place<'_>, text: &str) -> Result<String, StoreError> {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&self.secret)
            .map_err(|_| StoreError::Damaged("it cannot be sealed".into()))?;
        for part in [b"taizhang nonce\0".as_slice(), &place.bound_to(&self.slot), text.as_bytes()] {
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&digest[..NONCE_BYTES]);
        Ok(as_text(&self.shut_with(nonce, place, text.as_bytes())?))
    }

    /// Opens what stands behind the id of this key.
    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = |what: &str| StoreError::Damaged(what.to_owned());
        let (nonce, shut) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| damaged("what is sealed is cut off"))?;
        let payload = Payload { msg: shut, aad: &place.bound_to(&self.slot) };
        let opened = XChaCha20Poly1305::new(&self.secret.into()).decrypt(&XNonce::from(*nonce), payload);
        blob::unpack(&opened.map_err(|_| damaged("what is sealed was changed, or is of another place"))?)
    }
}

fn as_text(sealed: &[u8]) -> String {
    let mut text = String::from(SEALED_TEXT);
    BASE64_NOPAD.encode_append(sealed, &mut text);
    text
}

pub(super) fn check(record: &[u8; RECORD_BYTES]) -> [u8; 32] {
    Sha256::new_with_prefix("taizhang document key\0").chain_update(&record[..CHECK_AT]).finalize().into()
}

/// Whether a text that is stored is sealed.
pub(super) fn is_sealed_text(stored: &str) -> bool {
    stored.starts_with(SEALED_TEXT)
}

/// The key that something stored is sealed with; none, if it is not sealed.
pub(super) fn sealed_with(stored: &[u8]) -> Option<KeyId> {
    let (&blob::SEALED, sealed) = stored.split_first()? else { return None };
    sealed.first_chunk::<ID_BYTES>().copied()
}

/// The same of a text.
pub(super) fn text_sealed_with(stored: &str) -> Option<KeyId> {
    sealed_with(&BASE64_NOPAD.decode(stored.strip_prefix(SEALED_TEXT)?.as_bytes()).ok()?)
}
