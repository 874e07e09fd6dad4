//! Skippable frames (RFC 8878, 3.1.2): zstd passes over them. Their numbers are little-endian.

use std::ops::Range;

use crate::archive::error::Damage;
use crate::domain::num::saturating_u32;

pub(crate) const SIGNATURE_MAGIC: u32 = 0x184D_2A5A;
pub(crate) const PATCH_MAGIC: u32 = 0x184D_2A5B;
pub(crate) const INDEX_MAGIC: u32 = 0x184D_2A5C;
pub(super) const TRAILER_MAGIC: u32 = 0x184D_2A5D;
/// From zstd's seekable format.
pub(super) const SEEK_MAGIC: u32 = 0x184D_2A5E;
/// The magics of all skippable frames are this, but for the last four bits.
const ANY_MAGIC: u32 = 0x184D_2A50;
/// The length of the magic and the length in front of the content.
pub(crate) const SKIPPABLE_HEADER: usize = 8;

/// Whether this is the magic of a skippable frame, of whatever program.
pub(crate) const fn is_skippable(magic: u32) -> bool {
    magic & !0xF == ANY_MAGIC
}

/// The number of 32 bits at this offset, if the bytes reach so far.
pub(crate) fn le32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|found| u32::from_le_bytes(*found))
}

pub(crate) fn le64(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|found| u64::from_le_bytes(*found))
}

/// The magic and the length in front of content of this length.
pub(super) fn skippable_header(magic: u32, length: usize) -> [u8; SKIPPABLE_HEADER] {
    let header = u64::from(saturating_u32(length)) << 32 | u64::from(magic);
    header.to_le_bytes()
}

/// Appends a skippable frame whose content is what `fill` appends; returns where the content is in `out`.
pub(crate) fn push_skippable<E>(
    out: &mut Vec<u8>,
    magic: u32,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<Range<usize>, E> {
    let start = out.len();
    let content = start + SKIPPABLE_HEADER;
    out.resize(content, 0);
    fill(out)?;
    let end = out.len();
    if let Some(header) = out.get_mut(start..content) {
        header.copy_from_slice(&skippable_header(magic, end - content));
    }
    Ok(content..end)
}

/// The content of `frame`, if that is exactly one skippable frame with this magic.
pub(crate) fn skippable_content(frame: &[u8], magic: u32) -> Result<&[u8], Damage> {
    let content = frame.get(SKIPPABLE_HEADER..).unwrap_or(&[]);
    let length = u32::try_from(content.len()).ok();
    if le32(frame, 0) == Some(magic) && le32(frame, 4) == length && length.is_some() {
        Ok(content)
    } else {
        Err(Damage::new("a piece of it is not of the kind that the archive says"))
    }
}
