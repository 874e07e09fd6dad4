//! Frames, the pieces of an archive file: zstd frames, and skippable frames for what only Coffer reads.

mod patch;
mod seek_table;
mod skippable;
mod stored_table;
mod trailer;
mod zstd;

pub(super) use patch::{Changes, WHOLE_SEGMENTS, apply, check_result};
pub(super) use seek_table::{FOOTER_BYTES, FOOTER_MAGIC, Frame, SeekTable};
pub(super) use skippable::{
    INDEX_MAGIC, PATCH_MAGIC, SIGNATURE_MAGIC, SKIPPABLE_HEADER, is_skippable, le32, le64,
    push_skippable, skippable_content,
};
pub(super) use stored_table::StoredTable;
pub(super) use trailer::{FORMAT, TRAILER_BYTES, Trailer};
pub(super) use zstd::{
    Compressor, Decompressor, ZSTD_MAGIC, content_length, decompress_with_prefix, stored_length,
};

/// The longest frame that is written: what zstd makes of an incompressible MiB, the bitmap of a patch, and a page
/// to spare. Longer ones are not read into memory.
pub(super) const MAX_FRAME_BYTES: usize = (1 << 20) + (1 << 18);
