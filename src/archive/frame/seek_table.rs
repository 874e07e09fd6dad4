//! The seek table of zstd's seekable format: the stored and the decompressed length of every frame.
//!
//! <https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md>,
//! version 0.1.0, without checksums. Skippable frames are listed too, with a decompressed length of 0, as the
//! format allows.

use super::skippable::{SEEK_MAGIC, SKIPPABLE_HEADER, le32, skippable_content, skippable_header};
use crate::archive::error::Damage;
use crate::domain::num::{saturating_u32, to_u64, to_usize};

/// The last bytes of every archive.
pub(crate) const FOOTER_MAGIC: [u8; 4] = 0x8F92_EAB1_u32.to_le_bytes();
/// The length of the footer: number of frames, descriptor, magic.
pub(crate) const FOOTER_BYTES: usize = 9;
/// The length of an entry: two numbers.
pub(super) const ENTRY_BYTES: usize = 8;
/// A table of more frames than this, which is 16 TiB of data, is neither written nor read.
const MAX_FRAMES: u32 = 1 << 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) stored_bytes: usize,
    /// The length of its content; 0 for a skippable frame.
    pub(crate) content_bytes: usize,
}

/// The frames of an archive that is written or read, in order.
#[derive(Debug, Default)]
pub(crate) struct SeekTable {
    /// Stored length and content length of each frame.
    lengths: Vec<(u32, u32)>,
    offsets: Vec<u64>,
    end: u64,
}

impl SeekTable {
    pub(crate) fn count(&self) -> u32 {
        saturating_u32(self.lengths.len())
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn push(&mut self, stored: u32, content: u32) -> Result<(), Damage> {
        if self.count() >= MAX_FRAMES {
            return Err(Damage::new("more than 16 million pieces"));
        }
        self.offsets.push(self.end);
        self.lengths.push((stored, content));
        self.end = self
            .end
            .checked_add(u64::from(stored))
            .ok_or_else(|| Damage::new("the lengths in its list of pieces are too large"))?;
        Ok(())
    }

    pub(crate) fn get(&self, number: u32) -> Option<Frame> {
        let (stored, content) = *self.lengths.get(to_usize(number))?;
        Some(Frame {
            offset: *self.offsets.get(to_usize(number))?,
            stored_bytes: to_usize(stored),
            content_bytes: to_usize(content),
        })
    }

    pub(crate) fn to_frame(&self) -> Vec<u8> {
        let length = self.lengths.len().saturating_mul(ENTRY_BYTES).saturating_add(FOOTER_BYTES);
        let mut out = Vec::with_capacity(length.saturating_add(SKIPPABLE_HEADER));
        out.extend_from_slice(&skippable_header(SEEK_MAGIC, length));
        for (stored, content) in &self.lengths {
            out.extend_from_slice(&stored.to_le_bytes());
            out.extend_from_slice(&content.to_le_bytes());
        }
        out.extend_from_slice(&self.count().to_le_bytes());
        out.push(0);
        out.extend_from_slice(&FOOTER_MAGIC);
        out
    }

    /// The length of the table's frame, from the last [`FOOTER_BYTES`] of the file; `None` if they are no footer.
    pub(crate) fn frame_length(footer: &[u8]) -> Option<u64> {
        let count = le32(footer, 0)?;
        let without_checksums = footer.get(4) == Some(&0);
        if !without_checksums || !footer.ends_with(&FOOTER_MAGIC) || count > MAX_FRAMES {
            return None;
        }
        let entries = u64::from(count).checked_mul(to_u64(ENTRY_BYTES))?;
        entries.checked_add(to_u64(SKIPPABLE_HEADER + FOOTER_BYTES))
    }

    pub(crate) fn parse(frame: &[u8]) -> Result<Self, Damage> {
        let content = skippable_content(frame, SEEK_MAGIC)?;
        let entries = content.len().saturating_sub(FOOTER_BYTES);
        let mut table = Self::default();
        for entry in content.get(..entries).unwrap_or(&[]).chunks_exact(ENTRY_BYTES) {
            if let (Some(stored), Some(content)) = (le32(entry, 0), le32(entry, 4)) {
                table.push(stored, content)?;
            }
        }
        Ok(table)
    }
}
