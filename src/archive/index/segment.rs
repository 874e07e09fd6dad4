//! A segment of a file, and where its content is.

use crate::archive::hash::{self, Digest};
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{Entry, EntryKind, SEGMENT_BYTES};

/// A file of more segments, which is 4 TiB, cannot be backed up.
const MAX_SEGMENTS: u64 = 1 << 22;
/// The longest path, link target, and name or value of an extended attribute.
pub(super) const MAX_TEXT_BYTES: usize = 1 << 20;
/// The most that the extended attributes of an entry may [count](xattr_cost) together.
pub(super) const MAX_XATTRS_BYTES: usize = 4 << 20;
pub(super) const MAX_EXTENTS: usize = 1 << 21;
/// The most data ranges of a segment: in memory they take half of what it has itself. Filesystems cannot make that many.
pub(super) const MAX_RANGES: u32 = 1 << 16;

/// Bytes in the decompressed content of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FrameSlice {
    pub(crate) frame: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

/// The data ranges of a segment with holes. All else in it is zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataMap {
    /// The length of the segment, with its holes.
    pub(crate) length: u32,
    /// Start and length of each range, in order.
    pub(crate) ranges: Vec<(u32, u32)>,
}

/// A segment in the root of the chain, which is a full backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootSlice {
    pub(crate) slice: FrameSlice,
    /// Which bytes of the segment these are; `None` if they are all.
    pub(crate) map: Option<Box<DataMap>>,
}

impl RootSlice {
    /// The length of the segment in the root.
    pub(super) fn segment_length(&self) -> u32 {
        self.map.as_ref().map_or(self.slice.length, |map| map.length)
    }
}

/// What an incremental stored of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PatchSlice {
    /// The position in the chain of the archive that has the patch frame; 1 is the root's child.
    pub(crate) depth: u16,
    /// The frame. The length is that of the segment.
    pub(crate) slice: FrameSlice,
}

/// Where the content of a segment comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Nowhere: it is zeros.
    Hole,
    /// The segment is that of the root.
    Root(RootSlice),
    /// The segment is that of the root but for the pages in the patch.
    Delta(RootSlice, PatchSlice),
    /// The patch has all of the segment.
    Whole(PatchSlice),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// See [`hash::segment`].
    pub(crate) hash: Digest,
    pub(crate) stored: Stored,
}

impl Segment {
    /// The root's version of this segment.
    pub(crate) const fn root(&self) -> Option<&RootSlice> {
        match &self.stored {
            Stored::Root(root) | Stored::Delta(root, _) => Some(root),
            Stored::Hole | Stored::Whole(_) => None,
        }
    }

    /// The position in the chain of the archive that stored this version; `None` for a hole.
    pub(crate) const fn depth(&self) -> Option<u16> {
        match &self.stored {
            Stored::Hole => None,
            Stored::Root(_) => Some(0),
            Stored::Delta(_, patch) | Stored::Whole(patch) => Some(patch.depth),
        }
    }
}

/// The number of a segment in its file, and what else its hash depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentPosition {
    pub(crate) number: usize,
    /// Whether the file has no other segment.
    pub(crate) only: bool,
    pub(crate) length: usize,
}

impl SegmentPosition {
    /// That of segment `number` of a file of this size and so many segments.
    pub(crate) fn of(number: usize, size: u64, count: usize) -> Self {
        Self { number, only: count == 1, length: segment_length(size, number) }
    }

    pub(crate) fn hash(self, content: &[u8]) -> Digest {
        hash::segment(content, self.number, self.only)
    }
}

/// The length of a regular file; 0 for everything else.
pub(crate) const fn size_of(entry: &Entry) -> u64 {
    match entry.kind {
        EntryKind::File { size, .. } => size,
        _ => 0,
    }
}

/// The number of segments of a file of this size; `None` if it is too large.
pub(crate) fn segment_count(size: u64) -> Option<usize> {
    let count = size.div_ceil(to_u64(SEGMENT_BYTES));
    if count > MAX_SEGMENTS { None } else { usize::try_from(count).ok() }
}

pub(crate) const fn segment_start(number: usize) -> u64 {
    to_u64(number).saturating_mul(to_u64(SEGMENT_BYTES))
}

/// The length of segment `number` of a file of this size.
pub(crate) fn segment_length(size: u64, number: usize) -> usize {
    saturating_usize(size.saturating_sub(segment_start(number))).min(SEGMENT_BYTES)
}

/// What an extended attribute counts against [`MAX_XATTRS_BYTES`].
pub(super) const fn xattr_cost(name: &[u8], value: &[u8]) -> usize {
    name.len().saturating_add(value.len()).saturating_add(16)
}
