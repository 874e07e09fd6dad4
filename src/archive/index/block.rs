//! Blocks: the pieces in which the index is compressed and stored.
//!
//! The index is cut every [`BLOCK_BYTES`], also within a record. Each block is a zstd frame, inside a skippable
//! frame.
//!
//! Most of an incremental's index is what the root's says: the same paths, times and hashes. Hashes do not
//! compress, so each block of an incremental has a part of the root's index as zstd prefix, and a record that is
//! the root's takes next to nothing. The zstd frame of such a block has 8 bytes in front of it: the offset in the
//! root's index, decompressed, at which the prefix starts. The prefix is [`PREFIX_BYTES`] long, or ends with the
//! root's index.
//!
//! The prefix is the root's and not the parent's for the same reason as that of patches (see the archive
//! module): whatever the depth, an index can be read with two archives.

use crate::archive::error::Damage;
use crate::archive::frame::{INDEX_MAGIC, content_length, le64, skippable_content};
use crate::domain::Kind;

/// The length of a block before compression; only the last one is shorter.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// The length of a block's prefix.
pub(super) const PREFIX_BYTES: usize = 2 * BLOCK_BYTES;

pub(crate) struct Block<'a> {
    /// Of an incremental: where in the root's index its prefix starts.
    pub(super) prefix_start: Option<u64>,
    pub(super) frame: &'a [u8],
    pub(crate) length: usize,
}

impl<'a> Block<'a> {
    /// Reads the parts of a block from its skippable frame, in a backup of this kind.
    pub(crate) fn parse(stored: &'a [u8], kind: Kind) -> Result<Self, Damage> {
        let content = skippable_content(stored, INDEX_MAGIC)?;
        let (prefix_start, frame) = if kind == Kind::Full {
            (None, content)
        } else {
            let cut = || Damage::new("a block of its index is cut short");
            (Some(le64(content, 0).ok_or_else(cut)?), content.get(8..).ok_or_else(cut)?)
        };
        let too_long = || Damage::new("a block of its index is too long");
        let length =
            content_length(frame).filter(|length| *length <= BLOCK_BYTES).ok_or_else(too_long)?;
        Ok(Self { prefix_start, frame, length })
    }
}
