//! How bytes flow: out of a database into an [`Intake`], and into a [`Load`] until it is [`Staged`] and placed.

use std::path::PathBuf;
use std::sync::Arc;

use super::EngineError;
use crate::domain::{CheckLevel, Entry, WriteAt};

/// Whether the content of an entry is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Every segment, in order, then the next entry.
    Content,
    /// Nothing: it has none, or it is unchanged since the parent and its stamp was trusted.
    Nothing,
}

/// The taker of a dump said no: it was cancelled, or the archive could not be written. It knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the archive does not take more")]
pub struct Refused;

/// Where an engine pours what it reads.
pub trait Intake {
    /// Says how many bytes of content are to come, about: for progress and for reserving space.
    fn expect(&mut self, bytes: u64) -> Result<(), Refused>;

    /// Begins an entry. The one before must be complete.
    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<Wants, Refused>;

    /// An empty buffer that holds [`crate::domain::SEGMENT_BYTES`] without growing. Buffers go round.
    fn buffer(&mut self) -> Vec<u8>;

    /// The next segment of the file begun last: full length, but for the last one. Holes are given as zeros.
    /// Together they must be as long as the entry said.
    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Refused>;

    /// Forgets the file begun last, however much of it was given: it changed while it was read.
    /// The same path may be begun again.
    fn retract(&mut self) -> Result<(), Refused>;
}

/// A restore in progress. Dropped without [`Load::finish`] it leaves nothing behind.
pub trait Load: Send {
    /// Makes the entry. For a regular file of more than 0 bytes, gives the place for its content.
    /// Entries come in the archive's order, a folder before what is in it, a file before its hard links.
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError>;

    /// Every byte is written: sets modes, owners and times, syncs, and runs the engine's own check
    /// (`check`: how thoroughly) on what was restored.
    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>, EngineError>;
}

/// A restore that is whole and checked but not yet where it belongs.
/// Dropped without [`Staged::place`] it leaves nothing behind.
pub trait Staged: Send {
    /// The check that passed, if one was made.
    fn check(&self) -> Option<&str>;

    /// Moves it to the target, durably, without ever replacing anything.
    fn place(self: Box<Self>) -> Result<Placed, EngineError>;
}

/// Where a restore ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// At this path.
    At(PathBuf),
    /// In a running server: which one and which databases, for people.
    In(String),
}
