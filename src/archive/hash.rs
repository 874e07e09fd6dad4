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
    if only || bytes.is_empty() {
        return *blake3::hash(bytes).as_bytes();
    }
    let offset = to_u64(number).saturating_mul(to_u64(SEGMENT_BYTES));
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

pub(crate) fn zeros(length: usize, number: usize, only: bool) -> Digest {
    static ZEROS: [u8; SEGMENT_BYTES] = [0; SEGMENT_BYTES];
    segment(ZEROS.get(..length).unwrap_or(&ZEROS), number, only)
}

/// The BLAKE3 of the file with these segments.
pub(crate) fn file(segments: &[Digest]) -> Digest {
    match segments {
        [] => *blake3::hash(&[]).as_bytes(),
        [only] => *only,
        more => {
            let (left, right) = more.split_at(left_count(more.len()));
            *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
        }
    }
}

fn subtree(segments: &[Digest]) -> Digest {
    match segments {
        [] => [0; 32],
        [only] => *only,
        more => {
            let (left, right) = more.split_at(left_count(more.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The largest power of two below `count`, which is 2 or more.
const fn left_count(count: usize) -> usize {
    count.div_ceil(2).next_power_of_two()
}
