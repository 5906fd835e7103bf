//! Photos of records, as their callers see them.

use sync_protocol::{DeviceId, UnitId};

/// A part of a photo.
#[derive(Debug, Clone)]
pub struct AttachmentPart {
    /// The unit whose record it is of.
    pub unit: UnitId,
    /// SHA-256 of the whole.
    pub hash: [u8; 32],
    /// Bytes of the whole.
    pub size: i64,
    /// Where the part begins: it is only taken where the last one has ended.
    pub offset: i64,
    /// The part.
    pub bytes: Vec<u8>,
    /// Who sends it.
    pub device: Option<DeviceId>,
    /// When it came.
    pub received_at_ms: i64,
    /// Bytes that all photos of a unit may have.
    pub unit_bytes_max: i64,
    /// Bytes that all photos of a device may have, whatever the unit.
    pub device_bytes_max: i64,
    /// Whether these bytes, which are all, are the photo that this hash names.
    pub is_it: fn(&[u8; 32], &[u8]) -> bool,
}

/// What has come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes.
    SoFar(i64),
    /// The unit, or the device, has as many photos as it may.
    NoRoom,
    /// It is whole, and not what it is named by: nothing of it was kept.
    NotIt,
}
