//! Numbers of the index, and the state that both sides keep to code differences.

use super::{PatchPlace, Place};

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
pub(super) const ALONE: u8 = 3;
pub(super) const STORED_BITS: u8 = 3;
pub(super) const ROOT_IS_NEXT: u8 = 4;
pub(super) const HAS_LAYOUT: u8 = 8;
pub(super) const SAME_HOLDER: u8 = 16;

/// What the record before left behind.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) path: Vec<u8>,
    pub(super) root: Place,
    pub(super) patch: PatchPlace,
}

/// The place that "the next one" means for a segment of this length.
pub(super) const fn next_root(before: Place, length: u32) -> Place {
    Place { frame: before.frame.wrapping_add(1), offset: 0, length }
}

/// Appends a number: 7 bits a byte, the lowest first.
pub(super) fn put(out: &mut Vec<u8>, number: u128) {
    let mut rest = number;
    loop {
        let low = u8::try_from(rest & 0x7F).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// A signed number as an unsigned one, so that small ones of either sign are short.
pub(super) const fn zigzag(number: i128) -> u128 {
    (number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned()
}

/// The signed number again.
pub(super) const fn unzigzag(number: u128) -> i128 {
    (number >> 1).cast_signed() ^ (number & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_come_back_and_small_ones_are_small() {
        for number in [0, 1, -1, 63, -64, i128::from(i64::MIN), i128::MAX, i128::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(zigzag(-1), 1);
        let mut out = Vec::new();
        put(&mut out, 300);
        assert_eq!(out, [0xAC, 0x02]);
    }
}
