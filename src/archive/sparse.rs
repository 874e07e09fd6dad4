//! Holes: which parts of a segment hold data, and the map that GNU tar reads.

use super::bytes::wide;
use super::error::Flaw;
use super::index::{Layout, segment_length};
use crate::domain::Extent;

/// Which bytes of a segment are data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cover {
    /// All.
    Whole,
    /// None.
    Hole,
    /// These.
    Part(Layout),
}

/// Whether the extents are in order, apart, not empty and within the file.
pub(super) fn check(extents: &[Extent], size: u64) -> Result<(), Flaw> {
    let mut end = 0;
    for extent in extents {
        let stop = extent.offset.checked_add(extent.length).filter(|stop| *stop <= size);
        let sound = extent.length > 0 && extent.offset >= end;
        end = stop.filter(|_| sound).ok_or_else(|| {
            Flaw(format!("the data range at {} is not in order or not in the file", extent.offset))
        })?;
    }
    Ok(())
}

/// Which bytes of this segment are data. The extents are sound (see [`check`]).
pub(super) fn cover(extents: &[Extent], size: u64, number: usize) -> Cover {
    let start = wide(number).saturating_mul(1 << 20);
    let length = segment_length(size, number);
    let stop = start.saturating_add(wide(length));
    let first = extents.partition_point(|it| it.offset.saturating_add(it.length) <= start);
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for extent in extents.iter().skip(first).take_while(|it| it.offset < stop) {
        let from = narrow(extent.offset.max(start) - start);
        let to = narrow(extent.offset.saturating_add(extent.length).min(stop) - start);
        match ranges.last_mut() {
            Some((begin, long)) if *begin + *long == from => *long = to - *begin,
            _ => ranges.push((from, to - from)),
        }
    }
    let length = narrow(wide(length));
    match ranges.as_slice() {
        [] => Cover::Hole,
        [(0, all)] if *all == length => Cover::Whole,
        _ => Cover::Part(Layout { length, ranges }),
    }
}

/// Within a segment everything fits 32 bits.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The data ranges of a segment, as positions in it.
pub(super) fn positions(layout: &Layout) -> impl Iterator<Item = std::ops::Range<usize>> {
    layout.ranges.iter().map(|(start, length)| {
        let start = usize::try_from(*start).unwrap_or(usize::MAX);
        start..start.saturating_add(usize::try_from(*length).unwrap_or(usize::MAX))
    })
}

/// Moves the data ranges of a segment together to its front, and cuts off the rest. `None`: a byte
/// outside of them is not zero, or they are not within the segment.
pub(super) fn gather(segment: &mut Vec<u8>, layout: &Layout) -> Option<()> {
    let (mut end, mut kept) = (0, 0);
    for range in positions(layout) {
        if segment.get(end..range.start)?.iter().any(|byte| *byte != 0) {
            return None;
        }
        end = range.end;
        let length = range.len();
        segment.get(range.clone())?;
        segment.copy_within(range, kept);
        kept += length;
    }
    if segment.get(end..)?.iter().any(|byte| *byte != 0) {
        return None;
    }
    segment.truncate(kept);
    Some(())
}

/// The opposite: the segment from its data ranges. `None`: they do not fit.
pub(super) fn scatter(data: &[u8], layout: &Layout, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    out.resize(usize::try_from(layout.length).ok()?, 0);
    let mut rest = data;
    for range in positions(layout) {
        let (now, later) = rest.split_at_checked(range.len())?;
        out.get_mut(range)?.copy_from_slice(now);
        rest = later;
    }
    rest.is_empty().then_some(())
}

/// The head of a sparse member's data in GNU tar's format 1.0: how many ranges, then offset and length of
/// each, in decimal, a line each, filled up to 512 bytes. A hole at the end is told by a range of length 0.
pub(super) fn map(extents: &[Extent], size: u64) -> Vec<u8> {
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
    fn a_segment_knows_its_data() {
        let extents = [extent(4096, 4096), extent(8192, 100), extent(1 << 20, 1 << 20)];
        let size = 4 << 20;
        let layout = Layout { length: 1 << 20, ranges: vec![(4096, 4196)] };
        assert_eq!(cover(&extents, size, 0), Cover::Part(layout));
        assert_eq!(cover(&extents, size, 1), Cover::Whole);
        assert_eq!(cover(&extents, size, 2), Cover::Hole);
    }

    #[test]
    fn data_gathered_scatters_to_the_same_segment_and_lost_bytes_are_noticed() {
        let layout = Layout { length: 20, ranges: vec![(2, 3), (10, 5)] };
        let mut segment = vec![0; 20];
        segment[2..5].copy_from_slice(b"abc");
        segment[10..15].copy_from_slice(b"defgh");
        let (whole, mut back) = (segment.clone(), Vec::new());
        gather(&mut segment, &layout).unwrap();
        assert_eq!(segment, b"abcdefgh");
        scatter(&segment, &layout, &mut back).unwrap();
        assert_eq!(back, whole);
        let mut outside = whole;
        outside[7] = 1;
        assert_eq!(gather(&mut outside, &layout), None);
    }

    #[test]
    fn ranges_out_of_order_or_beyond_the_file_are_refused() {
        assert!(check(&[extent(0, 5), extent(5, 5)], 10).is_ok());
        for bad in [[extent(5, 5), extent(0, 5)], [extent(0, 6), extent(5, 5)]] {
            assert!(check(&bad, 10).is_err());
        }
        assert!(check(&[extent(0, 11)], 10).is_err());
        assert!(check(&[extent(u64::MAX, 2)], 10).is_err());
    }
}
