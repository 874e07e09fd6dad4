//! The seek table of zstd's seekable format: how long each frame is, stored and decompressed.
//!
//! <https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md>,
//! version 0.1.0, without checksums. Skippable frames are in it too, with a decompressed length of 0,
//! as the format provides for.

use super::bytes::{le32, wide};
use super::error::Flaw;
use super::frame::{SEEK_MAGIC, SKIPPABLE_HEADER, skippable_content, skippable_header};

/// The last 4 bytes of every archive.
const FOOTER_MAGIC: u32 = 0x8F92_EAB1;
/// Number of frames, descriptor, magic.
pub(super) const FOOTER_BYTES: usize = 9;
const ENTRY_BYTES: usize = 8;
/// More frames than this are not believed: 16 TiB of data.
const MOST_FRAMES: u32 = 1 << 24;

/// One frame of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// How long it is in the file.
    pub(super) stored: usize,
    /// How long its visible content is; 0 for a skippable frame.
    pub(super) raw: usize,
}

/// The frames of an archive in order, being written or read.
#[derive(Debug, Default)]
pub(super) struct SeekTable {
    frames: Vec<(u32, u32)>,
    /// Where each frame starts.
    offsets: Vec<u64>,
    end: u64,
}

impl SeekTable {
    /// How many frames there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    /// Where the last frame ends.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Adds the next frame.
    pub(super) fn push(&mut self, stored: u32, raw: u32) -> Result<(), Flaw> {
        if self.count() >= MOST_FRAMES {
            return Err(Flaw::new("more than 16 million frames"));
        }
        self.offsets.push(self.end);
        self.frames.push((stored, raw));
        self.end = self
            .end
            .checked_add(u64::from(stored))
            .ok_or_else(|| Flaw::new("the seek table's lengths are too large"))?;
        Ok(())
    }

    /// The frame with this number.
    pub(super) fn get(&self, number: u32) -> Option<Frame> {
        let at = usize::try_from(number).ok()?;
        let (stored, raw) = *self.frames.get(at)?;
        Some(Frame {
            offset: *self.offsets.get(at)?,
            stored: usize::try_from(stored).ok()?,
            raw: usize::try_from(raw).ok()?,
        })
    }

    /// The table as the skippable frame at the end of the file.
    pub(super) fn to_frame(&self) -> Vec<u8> {
        let length = self.frames.len().saturating_mul(ENTRY_BYTES).saturating_add(FOOTER_BYTES);
        let mut out = Vec::with_capacity(length.saturating_add(SKIPPABLE_HEADER));
        out.extend_from_slice(&skippable_header(SEEK_MAGIC, length));
        for (stored, raw) in &self.frames {
            out.extend_from_slice(&stored.to_le_bytes());
            out.extend_from_slice(&raw.to_le_bytes());
        }
        out.extend_from_slice(&self.count().to_le_bytes());
        out.push(0);
        out.extend_from_slice(&FOOTER_MAGIC.to_le_bytes());
        out
    }

    /// How long the table's frame is, told by the last [`FOOTER_BYTES`] of the file; `None`: it is not one.
    pub(super) fn frame_length(footer: &[u8]) -> Option<u64> {
        let count = le32(footer, 0)?;
        let plain = footer.get(4) == Some(&0);
        if !plain || le32(footer, 5)? != FOOTER_MAGIC || count > MOST_FRAMES {
            return None;
        }
        let entries = u64::from(count).checked_mul(wide(ENTRY_BYTES))?;
        entries.checked_add(wide(SKIPPABLE_HEADER + FOOTER_BYTES))
    }

    /// The table that this frame holds.
    pub(super) fn parse(frame: &[u8]) -> Result<Self, Flaw> {
        let content = skippable_content(frame, SEEK_MAGIC)?;
        let entries = content.len().saturating_sub(FOOTER_BYTES);
        let mut table = Self::default();
        for entry in content.get(..entries).unwrap_or(&[]).chunks_exact(ENTRY_BYTES) {
            if let (Some(stored), Some(raw)) = (le32(entry, 0), le32(entry, 4)) {
                table.push(stored, raw)?;
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_back_and_knows_where_frames_are() {
        let mut table = SeekTable::default();
        for (stored, raw) in [(100, 1000), (58, 0), (7, 70)] {
            table.push(stored, raw).unwrap();
        }
        let frame = table.to_frame();
        let footer = &frame[frame.len() - FOOTER_BYTES..];
        assert_eq!(SeekTable::frame_length(footer), Some(frame.len() as u64));
        let back = SeekTable::parse(&frame).unwrap();
        assert_eq!(back.get(2), Some(Frame { offset: 158, stored: 7, raw: 70 }));
        assert_eq!((back.get(3), back.end(), back.count()), (None, 165, 3));
    }
}
