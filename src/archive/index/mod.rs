//! The index: what is in an archive, and where the content of every segment is.
//!
//! The index is a stream of records, one for each entry (a file, folder or link), which is cut into compressed
//! blocks (see `block`).
//! Numbers are LEB128 varints: 7 bits a byte, the lowest first. Signed numbers are zigzag-encoded.
//!
//! The manifest says in which [order](super::Order) the records come: sorted by path (also if it says nothing), or
//! in any order, such as that in which a database server streams its files. A path comes only once; a reader
//! refuses an index in which one comes twice.
//!
//! A record has these fields, in this order:
//!
//! | field | form |
//! |---|---|
//! | kind and flags | a byte; its low two bits (mask 3): 0 file, 1 directory, 2 symlink, 3 hard link; mask 4: a stamp follows; mask 8: xattrs follow; mask 16: extents follow |
//! | path | number of bytes shared with the previous path, number of bytes that follow, these bytes |
//! | mode, uid, gid, mtime | varints; mtime in nanoseconds, signed |
//! | stamp | ctime minus mtime (signed), inode, device, digest of the companion files, such as the `-wal` of a SQLite database |
//! | xattrs | number of attributes; of each the length of the name, the name, the length of the value, the value |
//! | symlink, hard link | length of the target, its bytes; the record ends here |
//! | file: size | varint |
//! | file: extents | of a file with holes: number of data ranges; of each the gap in front of it, and its length |
//! | file: segments | one for each MiB or part of one, see below |
//! | file: BLAKE3 | 32 bytes, only if there are two segments or more |
//!
//! A segment is a tag byte, a 32-byte hash, and then those of the following that the tag announces: a slice of a
//! frame of the root, a data map, and a slice of a patch frame. The root of a full backup is this archive itself.
//!
//! | mask in the tag | meaning |
//! |---|---|
//! | 3 | 0 hole: zeros; 1 root: as in the root; 2 delta: as in the root, except for the pages in a patch frame; 3 whole: all of it is in a patch frame |
//! | 4 | no root slice follows: it is the whole frame after that of the previous root slice |
//! | 8 | a data map follows the root slice, which has only the data ranges of a segment with holes |
//! | 16 | the patch is in the same archive as the previous patch |
//!
//! In a file of more than 4096 segments the hash of a hole may be 32 zero bytes: it was not hashed. The file's BLAKE3 is
//! then made with these in its place, and is not that of its content.
//!
//! A slice is three numbers: a frame (signed difference to the frame of the previous slice of the same sort, root or
//! patch), an offset in that frame's content, and a length. A patch slice starts with the depth of its archive, which
//! is its position in the chain (1 is the root's child), unless mask 16 is set. A data map is the length of the
//! segment, the number of data ranges, and of each the gap in front of it and its length.
//!
//! What "previous" refers to continues from record to record and from block to block; at the start of the index
//! the path is empty and the numbers are 0. An unchanged segment takes a tag and a hash, 33 bytes, and almost nothing
//! once its block is compressed with the root's index as prefix.

mod block;
mod block_reader;
mod code;
mod encode;
mod entries;
mod record;
mod root_index;
mod segment;
mod segments;
mod writer;

pub(super) use block::Block;
pub(super) use encode::{check_fits, encode};
pub use entries::Entries;
pub(super) use entries::Piece;
pub use record::Record;
pub(super) use root_index::RootIndex;
pub(super) use segment::{
    DataMap, FrameSlice, PatchSlice, RootSlice, Segment, SegmentPosition, Stored, segment_count,
    segment_length, segment_start, size_of,
};
pub(super) use segments::{HOLE, Segments};
pub(super) use writer::{FinishedIndex, IndexWriter};
