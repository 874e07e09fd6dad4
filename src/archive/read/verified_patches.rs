//! Patches that were verified when they were made: the patch was applied to the root's segment, which was in
//! memory anyway, and the result was compared with the source byte by byte.
//!
//! The proof of a finished archive reads the file back. Its checksum shows that every patch is still the one
//! that was verified, so it only remains to show that the index leads to it: that for this patch it names the same
//! segment of the root, the same length and the same hash. A [`PatchDigest`] covers exactly these. Without it the
//! proof would decompress the root's segments a second time, which is most of its work when a database has
//! changes all over.

use std::collections::HashSet;

use crate::archive::hash::Digest;
use crate::archive::index::RootSlice;
use crate::domain::num::to_u64;

/// This much of a BLAKE3 is enough to tell patches apart.
const DIGEST_BYTES: usize = 16;

/// A hash of a patch, of the root's segment that it was applied to, and of the length and hash of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PatchDigest([u8; DIGEST_BYTES]);

impl PatchDigest {
    /// The digest for a patch frame with this content.
    pub(crate) fn new(patch: &[u8], root: &RootSlice, length: usize, hash: &Digest) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&to_u64(length).to_le_bytes());
        let mut add = |number: u32| {
            hasher.update(&number.to_le_bytes());
        };
        add(root.slice.frame);
        add(root.slice.offset);
        add(root.slice.length);
        if let Some(map) = root.map.as_deref() {
            add(map.length);
            for (start, length) in &map.ranges {
                add(*start);
                add(*length);
            }
        }
        hasher.update(hash);
        hasher.update(patch);
        let mut digest = [0; DIGEST_BYTES];
        hasher.finalize_xof().fill(&mut digest);
        Self(digest)
    }
}

/// The digests of an archive's patches: 16 bytes for each.
pub(crate) type VerifiedPatches = HashSet<PatchDigest>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::index::{DataMap, FrameSlice};

    fn root(frame: u32, map: Option<DataMap>) -> RootSlice {
        let slice = FrameSlice { frame, offset: 0, length: 100 };
        RootSlice { slice, map: map.map(Box::new) }
    }

    #[test]
    fn a_digest_stands_for_one_patch_of_one_segment_with_one_result() {
        let mut verified = VerifiedPatches::default();
        verified.extend([PatchDigest::new(b"patch", &root(7, None), 90, &[1; 32])]);
        assert!(verified.contains(&PatchDigest::new(b"patch", &root(7, None), 90, &[1; 32])));
        let map = DataMap { length: 100, ranges: vec![(0, 50), (60, 50)] };
        for other in [
            PatchDigest::new(b"Patch", &root(7, None), 90, &[1; 32]),
            PatchDigest::new(b"patch", &root(8, None), 90, &[1; 32]),
            PatchDigest::new(b"patch", &root(7, Some(map)), 90, &[1; 32]),
            PatchDigest::new(b"patch", &root(7, None), 91, &[1; 32]),
            PatchDigest::new(b"patch", &root(7, None), 90, &[2; 32]),
        ] {
            assert!(!verified.contains(&other), "{other:?}");
        }
    }
}
