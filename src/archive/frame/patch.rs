//! Patch frames: skippable frames with the segments that an incremental stores.
//!
//! The first byte of the content is the kind:
//!
//! | kind | what follows |
//! |---|---|
//! | 1, whole segments | a zstd frame with these segments, one after the other |
//! | 2, changed pages of one segment | page size (u32), length of the new segment (u32), a bit for each of its pages (lowest bit first), a zstd frame with the changed pages, one after the other |
//!
//! A page whose bit is 0 is that of the root. The frame of changed pages has a prefix: the root's versions of these
//! pages, one after the other, as far as the root's segment has them. The bits come before that frame because
//! the prefix depends on them.

use super::skippable::le32;
use super::zstd::{Compressor, content_length, decompress_with_prefix};
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::domain::SEGMENT_BYTES;

/// The kind of a patch frame with whole segments.
pub(crate) const WHOLE_SEGMENTS: u8 = 1;
const CHANGED_PAGES: u8 = 2;
const HEAD_BYTES: usize = 9;

/// The pages of a segment that differ from the root's.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    bits: Vec<u8>,
    new: Vec<u8>,
    old: Vec<u8>,
}

/// Page `number` of a segment; short or empty at its end.
fn page(bytes: &[u8], number: usize, page_bytes: usize) -> &[u8] {
    let start = number.saturating_mul(page_bytes).min(bytes.len());
    let end = start.saturating_add(page_bytes).min(bytes.len());
    bytes.get(start..end).unwrap_or(&[])
}

impl Changes {
    /// Compares two versions of a segment page by page; returns whether they differ.
    pub(crate) fn find(&mut self, old: &[u8], new: &[u8], page_bytes: usize) -> bool {
        self.bits.clear();
        self.new.clear();
        self.old.clear();
        // Reserved at once, because two buffers that grow in turn leave holes in the heap as large as themselves.
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

    /// Appends the content of a patch frame with these changes. `length` is that of the new segment.
    pub(crate) fn encode(
        &self,
        compressor: &mut Compressor,
        page_bytes: u32,
        length: u32,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.push(CHANGED_PAGES);
        out.extend_from_slice(&page_bytes.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.bits);
        compressor.compress_with_prefix(&self.old, &self.new, out)
    }
}

/// Replaces what is in `out` with the segment of `length` bytes that this patch makes from the root's version.
pub(crate) fn apply(patch: &[u8], old: &[u8], length: usize, out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    each_page(patch, old, length, |page| {
        out.extend_from_slice(page);
        true
    })
    .map(drop)
}

/// Whether this patch makes `new` from the root's version.
pub(crate) fn check_result(patch: &[u8], old: &[u8], new: &[u8]) -> Result<bool> {
    let mut rest = new;
    let same = each_page(patch, old, new.len(), |page| match rest.strip_prefix(page) {
        Some(behind) => {
            rest = behind;
            true
        }
        None => false,
    })?;
    Ok(same && rest.is_empty())
}

/// Calls `take` with each page of the segment that the patch makes, until it returns `false`; returns whether
/// all were taken.
fn each_page(
    patch: &[u8],
    old: &[u8],
    length: usize,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<bool> {
    let damage =
        || ArchiveError::from(Damage::new("changed pages do not fit their part of a file"));
    let page_bytes = le32(patch, 1).and_then(|it| usize::try_from(it).ok()).ok_or_else(damage)?;
    let stated = le32(patch, 5).and_then(|it| usize::try_from(it).ok());
    let sound = patch.first() == Some(&CHANGED_PAGES) && stated == Some(length) && page_bytes > 0;
    if !sound || length > SEGMENT_BYTES {
        return Err(damage());
    }
    let pages = length.div_ceil(page_bytes);
    let rest = patch.get(HEAD_BYTES..).ok_or_else(damage)?;
    let (bits, frame) = rest.split_at_checked(pages.div_ceil(8)).ok_or_else(damage)?;
    let is_changed =
        |number: &usize| bits.get(number / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0);
    let new_length = |number: usize| page_bytes.min(length - number * page_bytes);

    let numbers = (0..pages).filter(is_changed);
    let changed = decompress_pages(frame, old, page_bytes, numbers, &new_length)?;
    let mut left = changed.as_slice();
    for number in 0..pages {
        let now = if is_changed(&number) {
            let (now, later) = left.split_at_checked(new_length(number)).ok_or_else(damage)?;
            left = later;
            now
        } else {
            page(old, number, page_bytes).get(..new_length(number)).ok_or_else(damage)?
        };
        if !take(now) {
            return Ok(false);
        }
    }
    if left.is_empty() { Ok(true) } else { Err(damage()) }
}

/// The changed pages, one after the other.
fn decompress_pages(
    frame: &[u8],
    old: &[u8],
    page_bytes: usize,
    numbers: impl Iterator<Item = usize> + Clone,
    new_length: &impl Fn(usize) -> usize,
) -> Result<Vec<u8>> {
    let mut length = 0;
    let mut prefix = Vec::with_capacity(numbers.clone().map(new_length).sum());
    for number in numbers {
        prefix.extend_from_slice(page(old, number, page_bytes));
        length += new_length(number);
    }
    if content_length(frame) != Some(length) {
        return Err(Damage::new("changed pages do not fit their part of a file").into());
    }
    let mut changed = Vec::new();
    decompress_with_prefix(&prefix, frame, length, &mut changed)?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Makes a patch, applies it, and returns whether the segments differed.
    fn round_trip(old: &[u8], new: &[u8], page_bytes: usize) -> bool {
        let mut changes = Changes::default();
        let differ = changes.find(old, new, page_bytes);
        let mut compressor = Compressor::new(3);
        let mut patch = Vec::new();
        let (page, length) =
            (u32::try_from(page_bytes).unwrap(), u32::try_from(new.len()).unwrap());
        changes.encode(&mut compressor, page, length, &mut patch).unwrap();
        let mut out = vec![9; 3];
        apply(&patch, old, new.len(), &mut out).unwrap();
        assert_eq!(out, new);
        assert!(check_result(&patch, old, new).unwrap());
        if let Some(last) = out.last_mut() {
            *last ^= 1;
            assert!(!check_result(&patch, old, &out).unwrap());
        }
        differ
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_patch_between_any_two_segments_makes_the_new_one(
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
        fn a_random_patch_is_an_error_and_not_a_panic(
            patch in prop::collection::vec(any::<u8>(), 0..200),
            length in 0_usize..5000,
        ) {
            let mut out = Vec::new();
            prop_assert!(apply(&patch, &[1; 300], length, &mut out).is_err());
        }
    }
}
