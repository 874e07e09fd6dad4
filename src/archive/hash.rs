//! BLAKE3 of segments, and of files from those of their segments.
//!
//! BLAKE3 is a tree: the hash of a file can be put together from the chaining values of its
//! segments, because a segment is a power of two of BLAKE3's chunks. So each segment is hashed once,
//! by any thread, and the file's hash (what `b3sum` prints) costs nothing more.

use blake3::Hasher;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::bytes::wide;
use crate::domain::SEGMENT_BYTES;

/// 32 bytes of BLAKE3.
pub(super) type Digest = [u8; 32];

/// The hash of a segment: of a file's only segment the file's own hash, else the chaining value
/// of the span at its position in the file.
pub(super) fn segment(bytes: &[u8], number: usize, only: bool) -> Digest {
    if only || bytes.is_empty() {
        return *blake3::hash(bytes).as_bytes();
    }
    let offset = wide(number).saturating_mul(wide(SEGMENT_BYTES));
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// The BLAKE3 of the file with these segments.
pub(super) fn file(segments: &[Digest]) -> Digest {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_put_together_is_the_hash_of_the_file() {
        let content: Vec<u8> = (0..5 * SEGMENT_BYTES + 4321).map(|at| (at % 251) as u8).collect();
        let mebi = SEGMENT_BYTES;
        for length in
            [0, 1, mebi - 1, mebi, mebi + 1, 2 * mebi, 3 * mebi + 5, 4 * mebi, content.len()]
        {
            let whole = &content[..length];
            let only = length <= mebi;
            let parts: Vec<_> = whole
                .chunks(mebi)
                .enumerate()
                .map(|(number, part)| segment(part, number, only))
                .collect();
            assert_eq!(file(&parts), *blake3::hash(whole).as_bytes(), "{length}");
        }
    }
}
