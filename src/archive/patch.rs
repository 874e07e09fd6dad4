//! Patch frames: what an incremental stores of segments, inside skippable frames.
//!
//! The content of a patch frame starts with one byte for its kind:
//!
//! | kind | then |
//! |---|---|
//! | 1, whole segments | a zstd frame of their content, one behind the other |
//! | 2, changed pages of one segment | page size (u32), new length (u32), a bit for each page of the new segment (lowest first), a zstd frame of the changed pages |
//!
//! The frame of changed pages is compressed with a prefix: the root's versions of exactly these pages, as
//! far as the root's segment has them, one behind the other. The bits are in front of it, uncompressed,
//! because they tell which pages these are. A page that is not marked is the root's.

use super::bytes::le32;
use super::error::{ArchiveError, Flaw};
use super::frame::{Compressor, content_length, decompress_after};
use crate::domain::SEGMENT_BYTES;

/// The kind of a patch frame with whole segments.
pub(super) const WHOLE: u8 = 1;
const PAGES: u8 = 2;
const HEAD: usize = 9;

/// Which pages of a segment differ from the root's.
#[derive(Debug, Default)]
pub(super) struct Changes {
    bits: Vec<u8>,
    new: Vec<u8>,
    old: Vec<u8>,
}

/// Cuts a segment into pages.
fn page(bytes: &[u8], number: usize, size: usize) -> &[u8] {
    let start = number.saturating_mul(size).min(bytes.len());
    let end = start.saturating_add(size).min(bytes.len());
    bytes.get(start..end).unwrap_or(&[])
}

impl Changes {
    /// Compares page by page. `false`: the segments are the same.
    pub(super) fn find(&mut self, old: &[u8], new: &[u8], page_bytes: usize) -> bool {
        self.bits.clear();
        self.new.clear();
        self.old.clear();
        // Once for good: two buffers that double in turn leave as many holes between them as they hold.
        self.new.reserve_exact(new.len());
        self.old.reserve_exact(new.len());
        let pages = new.len().div_ceil(page_bytes);
        self.bits.resize(pages.div_ceil(8), 0);
        for number in 0..pages {
            let (before, now) = (page(old, number, page_bytes), page(new, number, page_bytes));
            if before != now {
                if let Some(byte) = self.bits.get_mut(number / 8) {
                    *byte |= 1 << (number % 8);
                }
                self.new.extend_from_slice(now);
                self.old.extend_from_slice(before);
            }
        }
        !self.new.is_empty() || old.len() != new.len()
    }

    /// The content of a patch frame with these changes, for a segment that is now `length` long; behind what is
    /// in `out`.
    pub(super) fn pack(
        &self,
        compressor: &mut Compressor,
        page_bytes: u32,
        length: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        out.push(PAGES);
        out.extend_from_slice(&page_bytes.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.bits);
        compressor.frame_after(&self.old, &self.new, out)
    }
}

/// The segment of `length` bytes that the root's version `old` and this patch make.
pub(super) fn apply(
    patch: &[u8],
    old: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), Flaw> {
    out.clear();
    replay(patch, old, length, |part| {
        out.extend_from_slice(part);
        true
    })
    .map(drop)
}

/// Whether the root's version `old` and this patch make `new`.
pub(super) fn makes(patch: &[u8], old: &[u8], new: &[u8]) -> Result<bool, Flaw> {
    let mut rest = new;
    let same = replay(patch, old, new.len(), |part| match rest.strip_prefix(part) {
        Some(behind) => {
            rest = behind;
            true
        }
        None => false,
    })?;
    Ok(same && rest.is_empty())
}

/// Gives the parts of the segment that the patch makes to `take`, until it says `false`; says what it said last.
fn replay(
    patch: &[u8],
    old: &[u8],
    length: usize,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<bool, Flaw> {
    let flaw = || Flaw::new("changed pages do not fit their segment");
    let page_bytes = le32(patch, 1).and_then(|it| usize::try_from(it).ok()).ok_or_else(flaw)?;
    let stated = le32(patch, 5).and_then(|it| usize::try_from(it).ok());
    let sound = patch.first() == Some(&PAGES) && stated == Some(length) && page_bytes > 0;
    if !sound || length > SEGMENT_BYTES {
        return Err(flaw());
    }
    let pages = length.div_ceil(page_bytes);
    let rest = patch.get(HEAD..).ok_or_else(flaw)?;
    let (bits, frame) = rest.split_at_checked(pages.div_ceil(8)).ok_or_else(flaw)?;
    let marked =
        |number: usize| bits.get(number / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0);
    let new_length = |number: usize| page_bytes.min(length - number * page_bytes);

    let changed =
        changed_pages(frame, old, page_bytes, (0..pages).filter(|it| marked(*it)), &new_length)?;
    let mut left = changed.as_slice();
    for number in 0..pages {
        let long = new_length(number);
        let part = if marked(number) {
            let (now, later) = left.split_at_checked(long).ok_or_else(flaw)?;
            left = later;
            now
        } else {
            page(old, number, page_bytes).get(..long).ok_or_else(flaw)?
        };
        if !take(part) {
            return Ok(false);
        }
    }
    if left.is_empty() { Ok(true) } else { Err(flaw()) }
}

/// The changed pages, one behind the other: decompressed after the root's versions of them.
fn changed_pages(
    frame: &[u8],
    old: &[u8],
    page_bytes: usize,
    numbers: impl Iterator<Item = usize> + Clone,
    new_length: &impl Fn(usize) -> usize,
) -> Result<Vec<u8>, Flaw> {
    let mut length = 0;
    let mut prefix = Vec::with_capacity(numbers.clone().map(new_length).sum());
    for number in numbers {
        prefix.extend_from_slice(page(old, number, page_bytes));
        length += new_length(number);
    }
    if content_length(frame) != Some(length) {
        return Err(Flaw::new("changed pages do not fit their segment"));
    }
    let mut changed = Vec::new();
    decompress_after(&prefix, frame, length, &mut changed)?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(old: &[u8], new: &[u8], page_bytes: usize) -> bool {
        let mut difference = Changes::default();
        let changed = difference.find(old, new, page_bytes);
        let mut compressor = Compressor::new(3);
        let mut patch = Vec::new();
        let (page, length) =
            (u32::try_from(page_bytes).unwrap(), u32::try_from(new.len()).unwrap());
        difference.pack(&mut compressor, page, length, &mut patch).unwrap();
        let mut out = vec![9; 3];
        apply(&patch, old, new.len(), &mut out).unwrap();
        assert_eq!(out, new);
        assert_eq!(makes(&patch, old, new), Ok(true));
        if let Some(last) = out.last_mut() {
            *last ^= 1;
            assert_eq!(makes(&patch, old, &out), Ok(false));
        }
        changed
    }

    #[test]
    fn a_segment_that_grew_or_shrank_comes_back() {
        let old: Vec<u8> = (0..=252).cycle().take(50_000).collect();
        assert!(!round_trip(&old, &old, 4096));
        for length in [1, 4095, 4096, 8192, 49_999] {
            assert!(round_trip(&old, &old[..length], 4096));
            assert!(round_trip(&old[..length], &old, 4096));
        }
    }

    proptest! {
        #[test]
        fn any_two_segments_make_a_patch_that_gives_the_new_one(
            old in prop::collection::vec(0_u8..3, 0..3000),
            edits in prop::collection::vec((0_usize..3000, any::<u8>()), 0..20),
            length in 1_usize..3000,
            page_bytes in 1_usize..700,
        ) {
            let mut new = old.clone();
            new.resize(length, 1);
            for (at, byte) in edits {
                let at = at % length;
                new[at] = byte;
            }
            prop_assert_eq!(round_trip(&old, &new, page_bytes), old != new);
        }

        #[test]
        fn a_made_up_patch_is_an_error_and_not_a_panic(
            patch in prop::collection::vec(any::<u8>(), 0..200),
            length in 0_usize..5000,
        ) {
            let mut out = Vec::new();
            prop_assert!(apply(&patch, &[1; 300], length, &mut out).is_err());
        }
    }
}
