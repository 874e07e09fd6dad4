//! The two directions of data: from a database into an [`Intake`], and from an archive into a [`Load`], which becomes
//! [`Staged`] and then is placed.

use std::path::PathBuf;
use std::sync::Arc;

use super::Pulse;
use super::error::{Result, Stop};
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{CheckLevel, Entry, LeftOut, SEGMENT_BYTES, WriteAt};

/// Whether the intake needs the content of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsContent {
    /// Every segment must follow, in order.
    Yes,
    /// It has none, or it is unchanged since the parent and its stamp was trusted.
    No,
}

pub trait Intake {
    /// Announces about how many bytes of content will follow, to show progress and reserve space.
    fn announce(&mut self, bytes: u64) -> Result<(), Stop>;

    /// Begins an entry. The previous one must be complete. `trust_stamp`: the content is not needed if the stamp is the
    /// same as in the parent.
    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<NeedsContent, Stop>;

    /// An empty buffer for a segment, with a capacity of [`crate::domain::SEGMENT_BYTES`]. Buffers are reused.
    fn buffer(&mut self) -> Vec<u8>;

    /// The next segment of the current file, in a buffer from [`Intake::buffer`]. Every segment but the last has the
    /// full length, holes are zeros, and together they must be as long as the entry says.
    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Stop>;

    /// The same for `length` zeros in which the entry has no data: whole segments, or all up to its end.
    fn hole(&mut self, length: u64) -> Result<(), Stop> {
        let mut left = length;
        while left > 0 {
            let now = saturating_usize(left).min(SEGMENT_BYTES);
            let mut zeros = self.buffer();
            zeros.resize(now, 0);
            self.segment(zeros)?;
            left -= to_u64(now);
        }
        Ok(())
    }

    /// What notices that the source does not answer any more; nothing does by default.
    fn pulse(&self) -> Pulse {
        Pulse::default()
    }

    /// Discards the current file, because it changed while it was read. The same path may be begun again.
    fn retract(&mut self) -> Result<(), Stop>;
}

/// A restore in progress. Dropped without [`Load::finish`] it leaves nothing behind.
pub trait Load: Send {
    /// Creates the entry. Returns a regular file that is not empty, to be written. Entries come in the archive's order:
    /// a folder before its members, a file before its hard links.
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>>;

    /// The same for a file that was created last and is in the archive once more: it replaces that one.
    fn entry_again(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
        self.entry(entry)
    }

    /// Sets modes, owners and times, syncs, and runs the engine's own check on what was restored. All content must have
    /// been written.
    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>>;

    /// The same for content of which some was lost, and is zeros. Dumps are not loaded then, but kept as files.
    fn finish_salvaged(self: Box<Self>) -> Result<Box<dyn Staged>> {
        self.finish(CheckLevel::Off)
    }
}

/// A complete and checked restore that is not at its target yet. Dropped without [`Staged::place`] it leaves nothing
/// behind.
pub trait Staged: Send {
    /// The name of the check that it passed, if one was made.
    fn check(&self) -> Option<&str>;

    /// Moves it to the target, durably. Never replaces anything. Adds to `left_out` what of the backup could not be
    /// created there.
    fn place(self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    At(PathBuf),
    /// In a running server: which server and databases, as text.
    In(String),
}
