//! What a salvage could not vouch for.

use parking_lot::Mutex;

use crate::archive::error::{ArchiveError, Result};
use crate::archive::index::{SegmentPosition, segment_start};
use crate::domain::EntryPath;
use crate::domain::num::to_u64;

/// A range of a file that could not be read back as it was backed up. What was restored has zeros there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub path: EntryPath,
    pub offset: u64,
    pub bytes: u64,
    pub why: String,
}

/// Collects lost ranges, from several threads.
#[derive(Debug, Default)]
pub(super) struct LostRanges(Mutex<Vec<Lost>>);

impl LostRanges {
    /// Notes a segment that could not be read; an error that is not of the archive's bytes ends the salvage.
    pub(super) fn note(
        &self,
        path: &EntryPath,
        position: SegmentPosition,
        error: ArchiveError,
    ) -> Result<()> {
        if !error.is_damage() && !matches!(error, ArchiveError::Io(_)) {
            return Err(error);
        }
        let (offset, bytes) = (segment_start(position.number), to_u64(position.length));
        self.0.lock().push(Lost { path: path.clone(), offset, bytes, why: error.to_string() });
        Ok(())
    }

    /// The ranges in order, adjacent ones as one.
    pub(super) fn into_ranges(self) -> Vec<Lost> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.path, a.offset).cmp(&(&b.path, b.offset)));
        let mut ranges: Vec<Lost> = Vec::new();
        for lost in all {
            match ranges.last_mut() {
                Some(last) if last.path == lost.path && last.offset + last.bytes == lost.offset => {
                    last.bytes += lost.bytes;
                }
                _ => ranges.push(lost),
            }
        }
        ranges
    }
}
