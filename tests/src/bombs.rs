//! What attackers make of automerge's formats: a hundred bytes that unfold to far more.

use std::io::Write;

use sha2::{Digest, Sha256};
use sync_protocol::{ChangeHash, RowId, message::PushedChange};

/// A number in groups of seven bits; the highest of the last group is free where the number is read as a signed one.
fn leb128(mut number: u64, last_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        let is_last = number <= last_max;
        bytes.push(if is_last { low } else { low | 0x80 });
        if is_last {
            return bytes;
        }
        number >>= 7;
    }
}

fn length(length: usize) -> Vec<u8> {
    leb128(length as u64, 0x7f)
}

/// automerge's sync message that brings one chunk.
pub fn message_with(chunk: &[u8]) -> Vec<u8> {
    [&[0x42, 0, 0, 0, 1], length(chunk.len()).as_slice(), chunk].concat()
}

/// A chunk that says it is a compressed change, and inflates to so many zeros.
pub fn deflated(bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; bytes])?;
    let body = encoder.finish()?;
    Ok([&[0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 2], length(body.len()).as_slice(), &body].concat())
}

/// A sound change that empties one cell again and again: so many operations, of which each replaces so many others. Its size
/// hardly depends on them.
pub fn runs(ops: u64, predecessors: u64) -> PushedChange {
    let key = format!("members/{}/name", RowId::random([1; 10]));
    let run = |times: u64, value: &[u8]| [leb128(times, 0x3f), value.to_vec()].concat();
    let text = [length(key.len()), key.into_bytes()].concat();
    let all = ops.saturating_mul(predecessors);
    let columns: Vec<(u8, Vec<u8>)> = vec![
        (0x15, run(ops, &text)),
        // One run of "no": it inserts nothing.
        (0x34, leb128(ops, 0x7f)),
        (0x42, run(ops, &[1])),
        (0x56, run(ops, &[0])),
        (0x70, run(ops, &leb128(predecessors, 0x7f))),
        (0x71, run(all, &[0])),
        (0x73, run(all, &[1])),
    ];
    let columns: Vec<_> = columns.into_iter().filter(|(id, _)| predecessors > 0 || *id < 0x71).collect();
    let mut body = vec![0, 16];
    body.extend([9; 16]);
    // Its first change, its first operation, no time, no words, nobody else.
    body.extend([1, 1, 0, 0, 0]);
    body.push(u8::try_from(columns.len()).expect("few"));
    for (id, runs) in &columns {
        body.push(*id);
        body.extend(length(runs.len()));
    }
    body.extend(columns.into_iter().flat_map(|(_, runs)| runs));
    let hashed = [vec![1], length(body.len()), body].concat();
    let hash: [u8; 32] = Sha256::digest(&hashed).into();
    let bytes = [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &hashed].concat();
    PushedChange { hash: ChangeHash(hash), bytes: bytes.into() }
}
