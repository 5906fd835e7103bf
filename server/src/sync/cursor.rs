//! Cursors as devices keep them: the session's own, and the server's seal on it.
//!
//! A cursor that this server has sealed, and that is not of its feed, proves that the server was set back: then the device may
//! bring back what others wrote, for a while. Nobody else may bring changes of an actor that is another device's.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sync_protocol::DeviceId;

/// How long a device may bring back what a server has lost. Longer than that no phone keeps anything.
pub(super) const HEALING_MS: i64 = 30 * 24 * 3600 * 1000;

const SEAL_BYTES: usize = 16;
const UNTIL_BYTES: usize = 8;

/// A cursor, and until when its device may bring back what others wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opened<'a> {
    pub(super) cursor: &'a [u8],
    pub(super) healing_until_ms: i64,
}

/// Seals a cursor for a device.
pub(super) fn seal(key: &[u8], device: DeviceId, opened: Opened<'_>) -> Vec<u8> {
    let mut sealed = opened.healing_until_ms.to_be_bytes().to_vec();
    sealed.extend_from_slice(opened.cursor);
    let seal = mac(key, device, &sealed).finalize().into_bytes();
    sealed.extend_from_slice(&seal[..SEAL_BYTES]);
    sealed
}

/// Opens a cursor that this device was given; none for any other bytes.
pub(super) fn open<'a>(key: &[u8], device: DeviceId, sealed: &'a [u8]) -> Option<Opened<'a>> {
    let (content, seal) = sealed.split_at_checked(sealed.len().checked_sub(SEAL_BYTES)?)?;
    mac(key, device, content).verify_truncated_left(seal).ok()?;
    let (until, cursor) = content.split_first_chunk::<UNTIL_BYTES>()?;
    Some(Opened { cursor, healing_until_ms: i64::from_be_bytes(*until) })
}

fn mac(key: &[u8], device: DeviceId, content: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(b"taizhang cursor\0");
    mac.update(device.as_bytes());
    mac.update(content);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_device_that_it_was_given_to_opens_a_cursor() {
        let (mine, other) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let opened = Opened { cursor: b"cursor", healing_until_ms: 7 };
        let sealed = seal(b"key", mine, opened);
        assert_eq!(open(b"key", mine, &sealed), Some(opened));
        assert_eq!(open(b"key", other, &sealed), None);
        assert_eq!(open(b"other key", mine, &sealed), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(open(b"key", mine, &altered), None, "{at}");
            assert_eq!(open(b"key", mine, &sealed[..at]), None, "{at}");
        }
    }
}
