//! The index: what is in an archive, and where the content of every segment is.
//!
//! The index is a stream of records, one for each entry, which is cut into compressed blocks (see `block`).
//! Numbers are LEB128 varints: 7 bits a byte, the lowest first. Signed numbers are zigzag-encoded.
//!
//! The manifest says in which [order](super::Order) the records come: by path, each greater than the one before,
//! which is also the rule if it says nothing; or in any order, as a server streams its files. In both a path
//! comes only once, and a reader refuses an index in which one comes twice.
//!
//! A record has these fields, in this order:
//!
//! | field | form |
//! |---|---|
//! | kind and flags | a byte: bits 0-1 file (0), directory, symlink, hard link (3); 4 stamp, 8 xattrs, 16 extents follow |
//! | path | number of bytes shared with the path before, number of bytes that follow, these bytes |
//! | mode, uid, gid, mtime | varints; mtime in nanoseconds, signed |
//! | stamp | ctime minus mtime (signed), inode, device, digest of files that belong to this one |
//! | xattrs | number of attributes; of each the length of the name, the name, the length of the value, the value |
//! | symlink, hard link | length of the target, its bytes; the record ends here |
//! | file: size | varint |
//! | file: extents | number of data ranges; of each the gap in front of it, and its length |
//! | file: segments | one for each MiB or part of one, see below |
//! | file: BLAKE3 | 32 bytes, only if there are two segments or more |
//!
//! A segment is a tag byte, a 32-byte hash, and then, as far as the tag says that there are any, a slice of a
//! frame of the root, a data map, and a slice of a patch frame:
//!
//! | bits of the tag | meaning |
//! |---|---|
//! | 0-1 | 0 hole: zeros; 1 root: as in the root; 2 delta: as in the root but for the pages in a patch frame; 3 whole: all of it is in a patch frame |
//! | 4 | the root's slice is not written: it is all of the frame after that of the root's slice before |
//! | 8 | a data map follows the root's slice: the slice has only the data ranges of a segment with holes |
//! | 16 | the patch is in the same archive as the patch before |
//!
//! The slice of a patch frame starts with the position of its archive in the chain (1 is the root's child), unless
//! bit 16 is set. A slice is a frame (difference to the frame of the slice before of the same sort, signed), an
//! offset in that frame's content, and a length. A data map is the length of the segment, the number of data
//! ranges, and of each the gap in front of it and its length.
//!
//! What "before" refers to continues from record to record and from block to block; at the start of the
//! index the path is empty and the numbers are 0. With all that an unchanged segment takes 33 bytes, and next to
//! nothing after compression with the root's index.

mod block;
mod block_reader;
mod code;
mod encode;
mod entries;
mod record;
mod root_index;
mod writer;

pub(super) use block::Block;
pub(super) use encode::{check_fits, encode};
pub use entries::Entries;
pub use record::Record;
pub(super) use record::{
    DataMap, FrameSlice, PatchSlice, RootSlice, Segment, SegmentPosition, Stored, segment_count,
    segment_length, segment_start,
};
pub(super) use root_index::RootIndex;
pub(super) use writer::{FinishedIndex, IndexWriter};
