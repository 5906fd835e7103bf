//! Large blobs are stored with one byte in front that says how.

use super::StoreError;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// Sealed: the key and the rest stand behind it, see `sqlite/document_keys.rs`.
pub(super) const SEALED: u8 = 2;
/// Below this size compression gains nothing.
const COMPRESS_BYTES_MIN: usize = 256;
/// What a stored blob may inflate to: far above the gate's limits.
const INFLATED_BYTES_MAX: usize = 256 << 20;

/// Bytes as they are stored.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() >= COMPRESS_BYTES_MIN
        && let Ok(packed) = zstd::bulk::compress(bytes, 1)
        && packed.len() < bytes.len()
    {
        return std::iter::once(ZSTD).chain(packed).collect();
    }
    std::iter::once(PLAIN).chain(bytes.iter().copied()).collect()
}

/// Bytes as they were.
pub(super) fn unpack(stored: &[u8]) -> Result<Vec<u8>, StoreError> {
    match stored.split_first() {
        Some((&PLAIN, bytes)) => Ok(bytes.to_vec()),
        Some((&ZSTD, bytes)) => {
            let size = zstd::bulk::Decompressor::upper_bound(bytes).unwrap_or(INFLATED_BYTES_MAX);
            zstd::bulk::decompress(bytes, size.min(INFLATED_BYTES_MAX)).map_err(|e| StoreError::Damaged(e.to_string()))
        }
        _ => Err(StoreError::Damaged("unknown blob codec".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_come_back() {
        for bytes in [vec![], vec![7; 10], vec![7; 10_000], (0..=255).cycle().take(3_000).collect()] {
            assert_eq!(unpack(&pack(&bytes)).expect("own blob"), bytes);
        }
        assert!(unpack(&[]).is_err());
        assert!(unpack(&[9, 1, 2]).is_err());
    }
}
