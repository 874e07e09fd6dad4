//! The archive file as it is written: counted and hashed, frame by frame.

use std::io::Write;

use super::bytes::wide;
use super::error::{ArchiveError, Flaw};
use super::seek_table::SeekTable;

/// Where frames go.
#[derive(Debug)]
pub(super) struct Output<W> {
    sink: W,
    hasher: blake3::Hasher,
    table: SeekTable,
    bytes: u64,
}

impl<W: Write> Output<W> {
    /// An empty archive.
    pub(super) fn new(sink: W) -> Self {
        Self { sink, hasher: blake3::Hasher::new(), table: SeekTable::default(), bytes: 0 }
    }

    /// The frames so far.
    pub(super) const fn table(&self) -> &SeekTable {
        &self.table
    }

    /// Writes frames of these stored and visible lengths.
    pub(super) fn frames(
        &mut self,
        bytes: &[u8],
        frames: &[(u32, u32)],
    ) -> Result<(), ArchiveError> {
        for (stored, raw) in frames {
            self.note(*stored, *raw)?;
        }
        self.raw(bytes)
    }

    /// Writes a skippable frame.
    pub(super) fn skippable(&mut self, frame: &[u8]) -> Result<(), ArchiveError> {
        self.frames(frame, &[(u32::try_from(frame.len()).unwrap_or(u32::MAX), 0)])
    }

    /// Enters a frame into the table.
    pub(super) fn note(&mut self, stored: u32, raw: u32) -> Result<(), ArchiveError> {
        self.table.push(stored, raw).map_err(|Flaw(what)| ArchiveError::TooLarge(what))
    }

    /// Writes bytes whose frame is in the table already, or never will be.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.sink.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes = self.bytes.saturating_add(wide(bytes.len()));
        Ok(())
    }

    /// Everything is written: gives back the sink, with length and BLAKE3 of what it got.
    pub(super) fn finish(mut self) -> Result<(W, u64, String), ArchiveError> {
        self.sink.flush()?;
        Ok((self.sink, self.bytes, self.hasher.finalize().to_hex().as_str().to_owned()))
    }
}
