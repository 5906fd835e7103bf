//! `/sync/live`: the exchange over a socket, for devices that are online. The same frames, and a poke when something new
//! is waiting.
//!
//! Every message is one frame, compressed where that helps: a message that begins with zstd's magic number is. No frame
//! begins so.

use std::{borrow::Cow, io::Read};

use minicbor::{Decode, Encode};

use crate::message::ExchangeReply;

/// Server → device.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum LiveFrame {
    /// The answer to the request before.
    #[n(0)]
    Reply(#[n(0)] Box<ExchangeReply>),
    /// Others have written: ask.
    #[n(1)]
    Poke,
}

/// Frames below this size are sent as they are.
pub const PACK_BYTES_MIN: usize = 512;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Compresses a frame if it is large enough to be worth it.
pub fn pack(frame: Vec<u8>) -> std::io::Result<Vec<u8>> {
    if frame.len() < PACK_BYTES_MIN { Ok(frame) } else { zstd::bulk::compress(&frame, 3) }
}

/// The frame in a message, of at most so many bytes.
pub fn unpack(message: &[u8], bytes_max: usize) -> std::io::Result<Cow<'_, [u8]>> {
    if !message.starts_with(&MAGIC) {
        return Ok(Cow::Borrowed(message));
    }
    let mut frame = Vec::new();
    zstd::Decoder::new(message)?.take(bytes_max as u64 + 1).read_to_end(&mut frame)?;
    if frame.len() > bytes_max {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the frame is too large"));
    }
    Ok(Cow::Owned(frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{decode, encode};

    #[test]
    fn frames_come_out_as_they_went_in_and_bombs_do_not() {
        for size in [0, 1, PACK_BYTES_MIN, 1 << 20] {
            let frame = vec![0x80; size];
            let packed = pack(frame.clone()).expect("packed");
            assert!(packed.len() <= PACK_BYTES_MIN);
            assert_eq!(unpack(&packed, 1 << 20).expect("unpacked").as_ref(), frame);
        }
        let bomb = zstd::bulk::compress(&vec![0; 16 << 20], 3).expect("packed");
        assert!(unpack(&bomb, 1 << 20).is_err());
        let poke = encode(&LiveFrame::Poke);
        assert_eq!(decode::<LiveFrame>(&poke), Ok(LiveFrame::Poke));
        assert!(!poke.starts_with(&MAGIC[..1]), "the first byte tells them apart");
    }
}
