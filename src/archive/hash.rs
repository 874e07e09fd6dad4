//! BLAKE3 of segments, and of files from their segments.
//!
//! BLAKE3 is a tree: the hash of a file can be computed from the chaining values of its segments, because a
//! segment's length is a power of two of BLAKE3's chunks. So each segment is hashed once, by any thread, and the
//! hash of the file, which is what `b3sum` prints, costs nothing more.

use blake3::Hasher;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::domain::SEGMENT_BYTES;
use crate::domain::num::to_u64;

pub(crate) type Digest = [u8; 32];

/// In place of a hash, for a segment of zeros that was not hashed.
pub(crate) const NOT_TAKEN: Digest = [0; 32];

/// The hash of segment `number` of a file. The hash of a file's only segment is the file's own; otherwise it is
/// the chaining value at that position.
pub(crate) fn segment(bytes: &[u8], number: usize, only: bool) -> Digest {
    pieces(std::iter::once(bytes), number, only || bytes.is_empty())
}

/// The hash of a segment that is `length` zeros.
pub(crate) fn zeros(length: usize, number: usize, only: bool) -> Digest {
    static ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];
    let whole = std::iter::repeat_n(&ZEROS[..], length / ZEROS.len());
    let rest = ZEROS.get(..length % ZEROS.len());
    pieces(whole.chain(rest), number, only || length == 0)
}

fn pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>, number: usize, only: bool) -> Digest {
    let mut hasher = Hasher::new();
    if !only {
        hasher.set_input_offset(to_u64(number).saturating_mul(to_u64(SEGMENT_BYTES)));
    }
    for piece in pieces {
        hasher.update(piece);
    }
    if only { *hasher.finalize().as_bytes() } else { hasher.finalize_non_root() }
}

/// The BLAKE3 of the file with these segments.
pub(crate) fn file(segments: &[Digest]) -> Digest {
    let mut tree = FileTree::default();
    for segment in segments {
        tree.push(segment);
    }
    tree.finish()
}

/// Computes the BLAKE3 of a file from its segments, one after the other: as many hashes are kept as the number of segments
/// has binary digits.
#[derive(Debug, Default)]
pub(crate) struct FileTree {
    /// The chaining values of complete subtrees, the largest first.
    subtrees: Vec<Digest>,
    count: usize,
}

impl FileTree {
    pub(crate) fn push(&mut self, segment: &Digest) {
        // Merged only now, because the root of the tree is merged differently: the last subtrees stay apart until it is
        // known that more follows.
        for _ in 0..self.count.trailing_zeros() {
            let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) else {
                break;
            };
            self.subtrees.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
        self.subtrees.push(*segment);
        self.count += 1;
    }

    /// How many segments there were so far.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The hash of the file that has the segments so far.
    pub(crate) fn finish(mut self) -> Digest {
        let Some(mut right) = self.subtrees.pop() else { return *blake3::hash(&[]).as_bytes() };
        while let Some(left) = self.subtrees.pop() {
            right = if self.subtrees.is_empty() {
                *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
            } else {
                merge_subtrees_non_root(&left, &right, Mode::Hash)
            };
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_file_follows_from_those_of_its_segments() {
        let content: Vec<u8> =
            (0..9 * SEGMENT_BYTES).map(|at| (at / 7919).to_le_bytes()[0]).collect();
        for segments in 0..=9 {
            for extra in [0, 5] {
                let length = (segments * SEGMENT_BYTES + extra).min(content.len());
                let content = &content[..length];
                let count = length.div_ceil(SEGMENT_BYTES);
                let pieces = content.chunks(SEGMENT_BYTES).enumerate();
                let hashes: Vec<_> =
                    pieces.map(|(number, bytes)| segment(bytes, number, count == 1)).collect();
                assert_eq!(file(&hashes), *blake3::hash(content).as_bytes(), "{length}");
            }
        }
    }

    #[test]
    fn zeros_have_the_hash_of_a_segment_that_is_zeros() {
        let content = vec![0; SEGMENT_BYTES];
        for length in [0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, SEGMENT_BYTES] {
            for (number, only) in [(0, true), (0, false), (3, false)] {
                let expected = segment(&content[..length], number, only);
                assert_eq!(zeros(length, number, only), expected, "{length} {number} {only}");
            }
        }
    }
}
