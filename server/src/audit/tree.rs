//! The Merkle tree over the lines of the audit log, as in RFC 6962: a leaf is SHA-256 of a zero byte and a line, an interior node
//! SHA-256 of a one byte and its two children.
//!
//! Each line keeps the nodes that it completes, from its own leaf upwards: line 12 those over the lines 12, 11–12 and 9–12. Nothing of
//! that changes when more lines follow, so a line is appended by reading one node on average, and the root of any number of lines
//! by reading as many nodes as that number has ones in binary.

use sha2::{Digest, Sha256};

/// A hash of the tree.
pub type Hash = [u8; 32];

/// Where a node is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The line that completes it, counted from 1.
    pub line: u64,
    /// How many levels it stands above the leaves: it covers 2^level lines, of which that is the last.
    pub level: u32,
}

/// A leaf.
pub fn leaf(line: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(line).finalize().into()
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The nodes that stand to the left of those that a line completes, from the lowest.
pub fn siblings(line: u64) -> Vec<Node> {
    (0..line.trailing_zeros()).map(|level| Node { line: line - (1 << level), level }).collect()
}

/// The nodes that a line completes, from its leaf upwards.
pub fn completed(leaf: Hash, siblings: &[Hash]) -> Vec<Hash> {
    let mut nodes = vec![leaf];
    let mut top = leaf;
    for sibling in siblings {
        top = parent(sibling, &top);
        nodes.push(top);
    }
    nodes
}

/// The complete nodes that so many lines behind `before` consist of, from the left; `before` is a multiple of a larger node's.
fn peaks_behind(before: u64, lines: u64) -> Vec<Node> {
    let mut line = before;
    let levels = (0..u64::BITS).rev().filter(|level| lines >> level & 1 == 1);
    let peak = |level| {
        line += 1_u64 << level;
        Node { line, level }
    };
    levels.map(peak).collect()
}

/// The complete nodes that a tree of so many lines consists of, from the left.
pub fn peaks(lines: u64) -> Vec<Node> {
    peaks_behind(0, lines)
}

/// The root over such nodes.
pub fn root(peaks: &[Hash]) -> Hash {
    let above = peaks.iter().rev().copied().reduce(|right, left| parent(&left, &right));
    above.unwrap_or_else(|| Sha256::digest([]).into())
}

/// The parts of the proof that a log of `from` lines is the beginning of one of `lines`: the nodes that each consists of.
/// Nothing has to be proved where one of them is empty, or both are the same.
pub fn proof(from: u64, lines: u64) -> Vec<Vec<Node>> {
    if from == 0 || from >= lines {
        return Vec::new();
    }
    let part = |index: u64| {
        // Nodes are numbered as in an array: a leaf at each even place, its parent between the two of them.
        let level = index.trailing_ones();
        let before = (index >> (level + 1)) << level;
        peaks_behind(before, (1_u64 << level).min(lines - before))
    };
    ct_merkle::indices_for_consistency_proof(from, lines - from).into_iter().map(part).collect()
}

/// The right edge of a tree that grows.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    lines: u64,
    peaks: Vec<Hash>,
}

impl Edge {
    /// One more line; the nodes that it completes.
    pub fn push(&mut self, leaf: Hash) -> Vec<Hash> {
        self.lines += 1;
        let kept = self.peaks.len() - self.lines.trailing_zeros() as usize;
        let mut siblings = self.peaks.split_off(kept);
        siblings.reverse();
        let nodes = completed(leaf, &siblings);
        self.peaks.extend(nodes.last());
        nodes
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        root(&self.peaks)
    }
}

#[cfg(test)]
mod tests {
    use ct_merkle::{ConsistencyProof, RootHash, mem_backed_tree::MemoryBackedTree};
    use data_encoding::HEXLOWER;

    use super::*;

    /// The leaves and roots of the reference tree of Certificate Transparency.
    const REFERENCE: [(&str, &str); 8] = [
        ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ];

    /// A node as it is kept with its line.
    fn node(kept: &[Vec<Hash>], node: Node) -> Hash {
        kept[usize::try_from(node.line).expect("small") - 1][node.level as usize]
    }

    #[test]
    fn the_roots_are_those_of_the_reference_tree() {
        let mut edge = Edge::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(HEXLOWER.encode(&edge.root()), empty);
        for (line, expected) in REFERENCE {
            edge.push(leaf(&HEXLOWER.decode(line.as_bytes()).expect("hexadecimal")));
            assert_eq!(HEXLOWER.encode(&edge.root()), expected, "{} lines", edge.lines());
        }
    }

    #[test]
    fn every_root_and_every_proof_is_that_of_another_implementation() {
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let (mut edge, mut kept, mut roots) = (Edge::default(), Vec::new(), Vec::new());
        for number in 1..=130_u64 {
            let line = vec![7; usize::try_from(number).expect("small") % 5 + 1];
            let siblings: Vec<Hash> = siblings(number).into_iter().map(|at| node(&kept, at)).collect();
            let nodes = completed(leaf(&line), &siblings);
            assert_eq!(nodes, edge.push(leaf(&line)), "line {number}");
            kept.push(nodes);
            theirs.push(line);
            let peaks: Vec<Hash> = peaks(number).into_iter().map(|at| node(&kept, at)).collect();
            assert_eq!((root(&peaks), edge.root()), ((*theirs.root().as_bytes()).into(), root(&peaks)));
            roots.push(theirs.root());
        }
        for from in 1..130_u64 {
            for lines in from + 1..=130 {
                let parts = proof(from, lines);
                let parts: Vec<_> = parts
                    .into_iter()
                    .map(|part| root(&part.into_iter().map(|at| node(&kept, at)).collect::<Vec<_>>()).into())
                    .collect();
                let (proof, at) =
                    (ConsistencyProof::from_digests(&parts), |n: u64| usize::try_from(n - 1).expect("small"));
                let (old, new): (&RootHash<Sha256>, _) = (&roots[at(from)], &roots[at(lines)]);
                assert!(new.verify_consistency(old, &proof).is_ok(), "{from} of {lines}");
                if from > 1 {
                    assert!(new.verify_consistency(&roots[at(from - 1)], &proof).is_err(), "{from} of {lines}");
                }
            }
        }
        assert!(proof(0, 9).is_empty() && proof(9, 9).is_empty() && proof(10, 9).is_empty());
    }
}
