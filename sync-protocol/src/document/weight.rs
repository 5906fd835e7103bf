//! What a change unfolds to, read off its bytes. Its columns are runs: a hundred bytes may stand for billions of operations,
//! and automerge writes all of them out to find out how many there are.

use super::fields::Fields;

/// Columns by number and type, as automerge's storage format has them: what each operation does, and how many others it
/// replaces.
const ACTIONS: u64 = 4 << 4 | 2;
const PREDECESSORS: u64 = 7 << 4;
/// The bit of a column that is deflated.
const DEFLATED: u64 = 1 << 3;

/// What a change unfolds to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Operations.
    pub(super) ops: u64,
    /// Operations that they replace.
    pub(super) predecessors: u64,
}

/// Walks through a change that is not compressed; `None` where its fields do not fit its length.
pub(super) fn weigh(change: &[u8]) -> Option<Weight> {
    let mut fields = Fields::new(change);
    fields.take(9)?;
    let mut fields = Fields::new(fields.bytes()?);
    fields.skip_hashes()?;
    // The actor; its count of changes, the first operation and the time; what is said of it.
    fields.bytes()?;
    for _ in 0..3 {
        fields.skip_number()?;
    }
    fields.bytes()?;
    for _ in 0..fields.number()? {
        fields.bytes()?;
    }
    let mut columns = Vec::new();
    for _ in 0..fields.number()? {
        columns.push((fields.number()?, fields.number()?));
    }
    let mut weight = Weight::default();
    for (column, length) in columns {
        let runs = fields.take(length)?;
        match column & !DEFLATED {
            ACTIONS => weight.ops = weight.ops.saturating_add(unroll(runs)?.0),
            PREDECESSORS => weight.predecessors = weight.predecessors.saturating_add(unroll(runs)?.1),
            _ => {}
        }
    }
    Some(weight)
}

/// How many numbers a column of runs holds, and their sum.
fn unroll(runs: &[u8]) -> Option<(u64, u64)> {
    let mut fields = Fields::new(runs);
    let (mut count, mut sum) = (0u64, 0u64);
    while !fields.rest().is_empty() {
        match fields.signed()? {
            // Nothing, many times.
            0 => count = count.saturating_add(fields.number()?),
            times @ 1.. => {
                let times = times.unsigned_abs();
                count = count.saturating_add(times);
                sum = sum.saturating_add(fields.number()?.saturating_mul(times));
            }
            // Each of these is written out.
            each => {
                for _ in 0..each.unsigned_abs() {
                    count = count.saturating_add(1);
                    sum = sum.saturating_add(fields.number()?);
                }
            }
        }
    }
    Some((count, sum))
}

#[cfg(test)]
mod tests {
    use automerge::{ActorId, AutoCommit, ObjType, ROOT, transaction::Transactable};
    use sha2::{Digest, Sha256};

    use super::*;

    /// What automerge itself finds in the changes that it writes.
    #[test]
    fn a_change_weighs_what_automerge_finds_in_it() {
        let mut doc = AutoCommit::new().with_actor(ActorId::from([1; 16]));
        let text = doc.put_object(ROOT, "text", ObjType::Text).expect("a text");
        doc.splice_text(&text, 0, 0, &"一起写".repeat(100)).expect("letters");
        doc.commit();
        for number in 0..300 {
            doc.put(ROOT, format!("{number}"), "x").expect("put");
        }
        doc.commit();
        let mut other = doc.fork().with_actor(ActorId::from([2; 16]));
        for (doc, value) in [(&mut doc, "1"), (&mut other, "2")] {
            doc.put(ROOT, "7", value).expect("put");
            doc.commit();
        }
        doc.merge(&mut other).expect("merged");
        doc.put(ROOT, "7", "3").expect("put");
        doc.splice_text(&text, 10, 200, "").expect("letters");
        doc.commit();
        let mut weights = Vec::new();
        for change in doc.get_changes(&[]) {
            let ops = change.decode().operations;
            let predecessors = ops.iter().map(|op| op.pred.iter().count() as u64).sum();
            let weight = weigh(change.raw_bytes()).expect("a change");
            assert_eq!(weight, Weight { ops: ops.len() as u64, predecessors });
            weights.push(weight.predecessors);
            for end in 0..change.raw_bytes().len() {
                assert_eq!(weigh(&change.raw_bytes()[..end]), None);
            }
        }
        assert_eq!(weights, [0, 0, 1, 1, 202], "one replaces two values in conflict and two hundred letters");
    }

    /// Wherever a byte is another one: what automerge takes at all weighs what it finds in it.
    #[test]
    fn whatever_automerge_takes_has_its_weight() {
        let mut doc = AutoCommit::new().with_actor(ActorId::from([1; 16]));
        for _ in 0..2 {
            for number in 0..3 {
                doc.put(ROOT, format!("{}", number % 2), number).expect("put");
            }
            doc.commit();
        }
        let plain = doc.get_changes(&[]).pop().expect("two changes").raw_bytes().to_vec();
        let mut taken = 0;
        for at in 8..plain.len() {
            for byte in [0, 1, 2, 3, 0x15, 0x42, 0x4a, 0x70, 0x78, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0xff, plain[at] ^ 8] {
                let mut other = plain.clone();
                other[at] = byte;
                let checksum = Sha256::digest(&other[8..]);
                other[4..8].copy_from_slice(&checksum[..4]);
                // What weighs too much is never given to automerge.
                let weight = weigh(&other).filter(|weight| weight.ops.max(weight.predecessors) < 10_000);
                let Some(weight) = weight else { continue };
                let change = std::panic::catch_unwind(|| automerge::Change::from_bytes(other));
                let Ok(Ok(change)) = change else { continue };
                assert_eq!(weight.ops, change.len() as u64, "byte {at} is {byte}");
                taken += 1;
            }
        }
        assert!(taken > 100, "{taken}");
    }

    #[test]
    fn runs_are_counted_and_not_written_out() {
        type Case = (&'static [u8], Option<(u64, u64)>);
        let cases: [Case; 6] = [
            (&[], Some((0, 0))),
            (&[5, 3], Some((5, 15))),
            (&[0x7d, 1, 2, 3], Some((3, 6))),
            (&[0, 9], Some((9, 0))),
            (&[0xff, 0xff, 0xff, 0xff, 0x07, 9], Some((0x7fff_ffff, 9 * 0x7fff_ffff))),
            (&[0x7d, 1, 2], None),
        ];
        for (runs, expected) in cases {
            assert_eq!(unroll(runs), expected, "{runs:?}");
        }
    }
}
