//! The index: what is in an archive, and where every segment's content lies.
//!
//! A stream of records, cut into compressed blocks (see `blocks`). Numbers are LEB128 varints,
//! signed ones zigzagged.
//!
//! The manifest says in which order they are ([`super::Order`]): by path, each greater than the one before,
//! which is the rule where it says nothing; or in any order, as a server streams its files. A path comes
//! once in either case, and a reader refuses an index where it does not.
//!
//! A record, in order:
//!
//! | field | form |
//! |---|---|
//! | kind and flags | byte: bits 0-1 file, directory, symlink, hard link; 4 stamp, 8 xattrs, 16 extents follow |
//! | path | bytes shared with the record before, bytes that follow, these bytes |
//! | mode, uid, gid, mtime | varints; mtime in nanoseconds, signed |
//! | stamp | ctime less mtime (signed), inode, device, digest of what lies beside |
//! | xattrs | count, then name and value, each with its length in front |
//! | symlink, hard link | length, bytes; the record ends here |
//! | file: size | varint |
//! | file: extents | count, then gap before and length of each |
//! | file: segments | one for each started MiB, see below |
//! | file: BLAKE3 | 32 bytes, only with two segments or more |
//!
//! A segment is a tag (bits 0-1: hole, root, delta, alone; 4 root place is the next one; 8 a layout
//! follows; 16 same holder as before), its 32-byte hash, then the root place, the layout, and the
//! patch place, as far as the tag has them. A place is the frame (difference to the place before,
//! signed), the offset in its content, and the length. "The next one": the whole of the frame after
//! the last root place's. With that an unchanged segment costs 33 bytes, and compressed after the root's index
//! next to none.

mod blocks;
mod code;
mod read;
mod write;

use crate::domain::{Entry, EntryKind, SEGMENT_BYTES};

use super::hash::Digest;

#[cfg(test)]
pub(super) use blocks::IndexBlocks;
pub(super) use blocks::{RootIndex, raw_length};
pub use read::Entries;
pub(super) use write::{FinishedIndex, IndexWriter, check_fits, encode};

/// How long a block of the index is at most, decompressed.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// A file of more segments than this (4 TiB) is not taken.
const MOST_SEGMENTS: u64 = 1 << 22;
/// No path, link target, or name or value of an extended attribute is longer.
const LONGEST_TEXT: usize = 1 << 20;
/// An entry's extended attributes together are no longer, each counted 16 bytes longer than it is.
const LONGEST_XATTRS: usize = 4 << 20;
/// A file has no more data ranges.
const MOST_EXTENTS: usize = 1 << 21;

/// Where bytes lie in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The frame's number in the file.
    pub(super) frame: u32,
    /// Where in its decompressed content.
    pub(super) offset: u32,
    /// How many.
    pub(super) length: u32,
}

/// How the data ranges of a segment with holes are laid out; between them are zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The segment's length, holes included.
    pub(super) length: u32,
    /// Start and length of each range, in order.
    pub(super) ranges: Vec<(u32, u32)>,
}

/// A segment in the chain's root, the full backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RootPlace {
    /// Where its bytes are.
    pub(super) place: Place,
    /// Which bytes of it these are; `None`: all.
    pub(super) layout: Option<Box<Layout>>,
}

impl RootPlace {
    /// How long the segment is in the root.
    pub(super) fn length(&self) -> u32 {
        self.layout.as_ref().map_or(self.place.length, |layout| layout.length)
    }
}

/// What an incremental stored of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PatchPlace {
    /// Which archive of the chain has it: 1 is the root's child.
    pub(super) holder: u16,
    /// Where it is in that archive.
    pub(super) place: Place,
}

/// Where a segment's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// Zeros.
    Hole,
    /// As it is in the root.
    Root(RootPlace),
    /// As it is in the root, but for the pages that the patch holds.
    Delta(RootPlace, PatchPlace),
    /// The patch holds all of it.
    Alone(PatchPlace),
}

/// A segment of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// See [`super::hash::segment`].
    pub(super) hash: Digest,
    /// Where its content comes from.
    pub(super) stored: Stored,
}

impl Segment {
    /// The root's version of it.
    pub(super) const fn root(&self) -> Option<&RootPlace> {
        match &self.stored {
            Stored::Root(root) | Stored::Delta(root, _) => Some(root),
            Stored::Hole | Stored::Alone(_) => None,
        }
    }
}

/// One entry of an archive, with where its content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The entry.
    pub entry: Entry,
    pub(super) segments: Vec<Segment>,
    /// BLAKE3 of a regular file's content.
    pub(super) hash: Option<Digest>,
}

impl Record {
    /// BLAKE3 of a regular file's content in hex, as `b3sum` prints it.
    pub fn blake3(&self) -> Option<String> {
        self.hash.map(hex::encode)
    }

    /// The length of a regular file; 0 for everything else.
    pub const fn size(&self) -> u64 {
        match self.entry.kind {
            EntryKind::File { size, .. } => size,
            _ => 0,
        }
    }
}

/// How many segments a file of this length has; `None`: it is too long.
pub(super) fn segment_count(size: u64) -> Option<usize> {
    let count = size.div_ceil(1 << 20);
    if count > MOST_SEGMENTS { None } else { usize::try_from(count).ok() }
}

/// How long this segment of a file of this length is.
pub(super) fn segment_length(size: u64, number: usize) -> usize {
    let before = super::bytes::wide(number).saturating_mul(1 << 20);
    usize::try_from(size.saturating_sub(before)).unwrap_or(SEGMENT_BYTES).min(SEGMENT_BYTES)
}

/// What an extended attribute counts.
const fn xattr_cost(name: &[u8], value: &[u8]) -> usize {
    name.len().saturating_add(value.len()).saturating_add(16)
}
