//! Flags and numbers of the index, and the state that writer and reader keep to encode differences.

use super::segment::{FrameSlice, PatchSlice};

pub(super) const FILE: u8 = 0;
pub(super) const DIRECTORY: u8 = 1;
pub(super) const SYMLINK: u8 = 2;
pub(super) const HARD_LINK: u8 = 3;
pub(super) const KIND_BITS: u8 = 3;
pub(super) const HAS_STAMP: u8 = 4;
pub(super) const HAS_XATTRS: u8 = 8;
pub(super) const HAS_EXTENTS: u8 = 16;

pub(super) const HOLE: u8 = 0;
pub(super) const ROOT: u8 = 1;
pub(super) const DELTA: u8 = 2;
pub(super) const WHOLE: u8 = 3;
pub(super) const STORED_BITS: u8 = 3;
pub(super) const ROOT_IS_NEXT: u8 = 4;
pub(super) const HAS_MAP: u8 = 8;
pub(super) const SAME_ARCHIVE: u8 = 16;

/// The path and the slices that came last.
#[derive(Debug, Default)]
pub(super) struct Previous {
    pub(super) path: Vec<u8>,
    pub(super) root: FrameSlice,
    pub(super) patch: PatchSlice,
}

impl Previous {
    /// The root's slice that [`ROOT_IS_NEXT`] stands for, of a segment of this length.
    pub(super) const fn next_root(&self, length: u32) -> FrameSlice {
        FrameSlice { frame: self.root.frame.wrapping_add(1), offset: 0, length }
    }
}

pub(super) fn put(out: &mut Vec<u8>, number: impl Into<u128>) {
    let mut rest = number.into();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Maps signed numbers to unsigned ones, so that small ones of either sign are short.
pub(super) const fn zigzag(number: i128) -> u128 {
    (number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned()
}

pub(super) const fn unzigzag(number: u128) -> i128 {
    (number >> 1).cast_signed() ^ (number & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_read_back_and_small_ones_are_short() {
        for number in [0, 1, -1, 63, -64, i128::from(i64::MIN), i128::MAX, i128::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(zigzag(-1), 1);
        let mut out = Vec::new();
        put(&mut out, 300_u32);
        assert_eq!(out, [0xAC, 0x02]);
    }
}
