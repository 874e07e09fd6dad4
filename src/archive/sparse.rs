//! Files with holes: which parts of a segment are data, and the map that GNU tar reads.

use std::ops::Range;

use super::error::Damage;
use super::index::{DataMap, segment_length, segment_start};
use crate::domain::Extent;
use crate::domain::num::{saturating_u32, to_u64, to_usize};

/// How much of a segment is data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Coverage {
    Full,
    Hole,
    Partial(DataMap),
}

/// Checks that the extents are in order, do not overlap, are not empty and end within the file.
pub(crate) fn check(extents: &[Extent], size: u64) -> Result<(), Damage> {
    let mut end = 0;
    for extent in extents {
        let stop = extent.offset.checked_add(extent.length).filter(|stop| *stop <= size);
        let sound = extent.length > 0 && extent.offset >= end;
        end = stop.filter(|_| sound).ok_or_else(|| {
            let offset = extent.offset;
            Damage(format!("the data range at {offset} is not in order or not in the file"))
        })?;
    }
    Ok(())
}

/// The coverage of segment `number`. The extents, if there are any, have passed [`check`]; a file without has no
/// holes.
pub(crate) fn coverage(extents: Option<&[Extent]>, size: u64, number: usize) -> Coverage {
    let Some(extents) = extents else { return Coverage::Full };
    let start = segment_start(number);
    let length = segment_length(size, number);
    let stop = start.saturating_add(to_u64(length));
    let first = extents.partition_point(|it| it.offset.saturating_add(it.length) <= start);
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for extent in extents.iter().skip(first).take_while(|it| it.offset < stop) {
        let from = saturating_u32(extent.offset.max(start) - start);
        let to = saturating_u32(extent.offset.saturating_add(extent.length).min(stop) - start);
        match ranges.last_mut() {
            Some((begin, range)) if *begin + *range == from => *range = to - *begin,
            _ => ranges.push((from, to - from)),
        }
    }
    let length = saturating_u32(length);
    match ranges.as_slice() {
        [] => Coverage::Hole,
        [(0, all)] if *all == length => Coverage::Full,
        _ => Coverage::Partial(DataMap { length, ranges }),
    }
}

const ZEROS: [u8; 4096] = [0; 4096];

/// Adds zeros up to this length; `None` if `out` is longer already.
fn fill_to(out: &mut Vec<u8>, length: usize) -> Option<()> {
    let mut missing = length.checked_sub(out.len())?;
    while missing > 0 {
        let zeros = ZEROS.get(..missing).unwrap_or(&ZEROS);
        out.extend_from_slice(zeros);
        missing -= zeros.len();
    }
    Some(())
}

/// Whether all bytes are zero; compared in pieces, which is far faster than one by one.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|piece| ZEROS.get(..piece.len()) == Some(piece))
}

impl DataMap {
    /// The data ranges as positions in the segment.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Range<usize>> {
        self.ranges.iter().map(|(start, length)| {
            let start = to_usize(*start);
            start..start.saturating_add(to_usize(*length))
        })
    }

    /// Moves the data ranges to the front of the segment and cuts off the rest. `None` if a byte outside them is
    /// not zero, or if they are not within the segment.
    pub(crate) fn remove_holes(&self, segment: &mut Vec<u8>) -> Option<()> {
        let (mut end, mut kept) = (0, 0);
        for range in self.positions() {
            if !is_zero(segment.get(end..range.start)?) {
                return None;
            }
            end = range.end;
            let length = range.len();
            segment.get(range.clone())?;
            segment.copy_within(range, kept);
            kept += length;
        }
        if !is_zero(segment.get(end..)?) {
            return None;
        }
        segment.truncate(kept);
        Some(())
    }

    /// Replaces what is in `out` with the segment that has this data; `None` if it does not fit the ranges.
    pub(crate) fn insert_holes(&self, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        let mut rest = data;
        for range in self.positions() {
            let (now, later) = rest.split_at_checked(range.len())?;
            fill_to(out, range.start)?;
            out.extend_from_slice(now);
            rest = later;
        }
        fill_to(out, to_usize(self.length))?;
        rest.is_empty().then_some(())
    }
}

/// The map in front of a sparse member's data, in GNU tar's format 1.0: the number of ranges, then offset and
/// length of each, in decimal, each number on a line, padded to 512 bytes. A hole at the end of the file is
/// followed by a range of length 0.
pub(crate) fn tar_map(extents: &[Extent], size: u64) -> Vec<u8> {
    let end = extents.last().map_or(0, |it| it.offset.saturating_add(it.length));
    let closing = (end < size).then_some(Extent { offset: size, length: 0 });
    let count = extents.len() + usize::from(closing.is_some());
    let mut text = format!("{count}\n");
    for extent in extents.iter().chain(closing.as_ref()) {
        text.push_str(&extent.offset.to_string());
        text.push('\n');
        text.push_str(&extent.length.to_string());
        text.push('\n');
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(512), 0);
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn extent(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn the_extents_of_a_file_give_the_coverage_of_each_segment() {
        let extents = [extent(4096, 4096), extent(8192, 100), extent(1 << 20, 1 << 20)];
        let size = 4 << 20;
        let map = DataMap { length: 1 << 20, ranges: vec![(4096, 4196)] };
        assert_eq!(coverage(Some(&extents), size, 0), Coverage::Partial(map));
        assert_eq!(coverage(Some(&extents), size, 1), Coverage::Full);
        assert_eq!(coverage(Some(&extents), size, 2), Coverage::Hole);
        assert_eq!(coverage(None, size, 2), Coverage::Full);
    }

    #[test]
    fn holes_can_be_removed_and_inserted_again_and_data_in_a_hole_is_noticed() {
        let map = DataMap { length: 20, ranges: vec![(2, 3), (10, 5)] };
        let mut segment = vec![0; 20];
        segment[2..5].copy_from_slice(b"abc");
        segment[10..15].copy_from_slice(b"defgh");
        let (complete, mut back) = (segment.clone(), Vec::new());
        map.remove_holes(&mut segment).unwrap();
        assert_eq!(segment, b"abcdefgh");
        map.insert_holes(&segment, &mut back).unwrap();
        assert_eq!(back, complete);
        let mut outside = complete;
        outside[7] = 1;
        assert_eq!(map.remove_holes(&mut outside), None);
    }

    #[test]
    fn extents_out_of_order_or_beyond_the_file_are_refused() {
        assert!(check(&[extent(0, 5), extent(5, 5)], 10).is_ok());
        for bad in [[extent(5, 5), extent(0, 5)], [extent(0, 6), extent(5, 5)]] {
            assert!(check(&bad, 10).is_err());
        }
        assert!(check(&[extent(0, 11)], 10).is_err());
        assert!(check(&[extent(u64::MAX, 2)], 10).is_err());
    }
}
