//! The archive file while it is written: counts and hashes its bytes, and lists its frames.

use std::io::Write;

use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::frame::SeekTable;
use crate::domain::num::{saturating_u32, to_u64};

#[derive(Debug)]
pub(super) struct Output<W> {
    sink: W,
    hasher: blake3::Hasher,
    table: SeekTable,
    bytes: u64,
}

impl<W: Write> Output<W> {
    pub(super) fn new(sink: W) -> Self {
        Self { sink, hasher: blake3::Hasher::new(), table: SeekTable::default(), bytes: 0 }
    }

    pub(super) const fn table(&self) -> &SeekTable {
        &self.table
    }

    /// Writes frames with these stored lengths and content lengths.
    pub(super) fn write_frames(&mut self, bytes: &[u8], lengths: &[(u32, u32)]) -> Result<()> {
        for (stored, content) in lengths {
            self.list_frame(*stored, *content)?;
        }
        self.write(bytes)
    }

    pub(super) fn write_skippable(&mut self, frame: &[u8]) -> Result<()> {
        self.write_frames(frame, &[(saturating_u32(frame.len()), 0)])
    }

    /// Adds a frame to the seek table without writing it.
    pub(super) fn list_frame(&mut self, stored: u32, content: u32) -> Result<()> {
        self.table.push(stored, content).map_err(|Damage(what)| ArchiveError::TooLarge(what))
    }

    /// Writes bytes without adding a frame to the seek table.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes = self.bytes.saturating_add(to_u64(bytes.len()));
        Ok(())
    }

    /// Flushes the sink and returns it, with the length and the BLAKE3 in hex of what was written.
    pub(super) fn finish(mut self) -> Result<(W, u64, String)> {
        self.sink.flush()?;
        Ok((self.sink, self.bytes, self.hasher.finalize().to_hex().as_str().to_owned()))
    }
}
