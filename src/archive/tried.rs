//! Patches that were tried when they were made: while the root's segment was at hand anyway, the patch was
//! applied to it, and what came out was compared with the source, byte by byte.
//!
//! The proof reads the whole file back, and with its checksum every patch is the one that was tried. What is
//! left to show is that the index leads to it: that it names the same root's segment and the same hash for
//! this very patch. So a patch is remembered together with these, and the proof need not decompress the
//! root's segment a second time, which for changes all over a database is most of its work.

use std::collections::HashSet;

use super::bytes::wide;
use super::hash::Digest;
use super::index::RootPlace;

/// So much of a BLAKE3 tells patches apart.
const KEPT: usize = 16;

/// A patch, the root's segment that it was applied to, and the length and the hash of what that gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Trial([u8; KEPT]);

impl Trial {
    /// The trial of a patch with this content.
    pub(super) fn of(patch: &[u8], root: &RootPlace, length: usize, hash: &Digest) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&wide(length).to_le_bytes());
        let mut number = |it: u32| {
            hasher.update(&it.to_le_bytes());
        };
        number(root.place.frame);
        number(root.place.offset);
        number(root.place.length);
        if let Some(layout) = root.layout.as_deref() {
            number(layout.length);
            for (start, length) in &layout.ranges {
                number(*start);
                number(*length);
            }
        }
        hasher.update(hash);
        hasher.update(patch);
        let mut kept = [0; KEPT];
        hasher.finalize_xof().fill(&mut kept);
        Self(kept)
    }
}

/// All of one archive: 16 bytes for each segment it has changed pages of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tried(HashSet<Trial>);

impl Tried {
    /// Remembers them.
    pub(super) fn add(&mut self, trials: impl IntoIterator<Item = Trial>) {
        self.0.extend(trials);
    }

    /// Whether this one was made.
    pub(super) fn has(&self, trial: Trial) -> bool {
        self.0.contains(&trial)
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::{Layout, Place};
    use super::*;

    fn root(frame: u32, layout: Option<Layout>) -> RootPlace {
        let place = Place { frame, offset: 0, length: 100 };
        RootPlace { place, layout: layout.map(Box::new) }
    }

    #[test]
    fn a_trial_holds_for_one_patch_of_one_segment_with_one_result() {
        let mut tried = Tried::default();
        tried.add([Trial::of(b"patch", &root(7, None), 90, &[1; 32])]);
        assert!(tried.has(Trial::of(b"patch", &root(7, None), 90, &[1; 32])));
        let layout = Layout { length: 100, ranges: vec![(0, 50), (60, 50)] };
        for other in [
            Trial::of(b"Patch", &root(7, None), 90, &[1; 32]),
            Trial::of(b"patch", &root(8, None), 90, &[1; 32]),
            Trial::of(b"patch", &root(7, Some(layout)), 90, &[1; 32]),
            Trial::of(b"patch", &root(7, None), 91, &[1; 32]),
            Trial::of(b"patch", &root(7, None), 90, &[2; 32]),
        ] {
            assert!(!tried.has(other), "{other:?}");
        }
    }
}
