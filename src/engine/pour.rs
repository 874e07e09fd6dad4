//! Gives the content of files to an intake.

use std::io::{self, Read};

use super::{EngineError, Intake, NeedsContent, Stop};
use crate::domain::{Entry, EntryKind, SEGMENT_BYTES};

/// Why a file did not reach the intake.
#[derive(Debug)]
pub(super) enum PourError<E = io::Error> {
    /// It could not be read; `UnexpectedEof` means that it is shorter than its entry says.
    Read(E),
    /// The intake stopped.
    Stopped(Stop),
}

impl<E> From<Stop> for PourError<E> {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl<E> PourError<E> {
    /// Converts to an engine's error; `read` says what a read error means.
    pub(super) fn explain(self, read: impl FnOnce(E) -> EngineError) -> EngineError {
        match self {
            Self::Read(error) => read(error),
            Self::Stopped(stop) => stop.into(),
        }
    }
}

/// Gives one regular file to `intake`: as many bytes of `content` as `entry` says. `inspect` sees each piece.
pub(super) fn pour(
    entry: &Entry,
    content: &mut impl Read,
    intake: &mut dyn Intake,
    inspect: impl FnMut(&[u8]),
) -> Result<(), PourError> {
    let needs = intake.entry(entry, false)?;
    match entry.kind {
        EntryKind::File { size, .. } if needs == NeedsContent::Yes => {
            pour_content(size, content, intake, inspect)
        }
        _ => Ok(()),
    }
}

/// The same for a file whose entry the intake has and wants the content of.
pub(super) fn pour_content(
    size: u64,
    content: &mut impl Read,
    intake: &mut dyn Intake,
    mut inspect: impl FnMut(&[u8]),
) -> Result<(), PourError> {
    let mut left = size;
    while left > 0 {
        let wanted = left.min(u64::try_from(SEGMENT_BYTES).unwrap_or(u64::MAX));
        let mut buffer = intake.buffer();
        let read = content.take(wanted).read_to_end(&mut buffer).map_err(PourError::Read)?;
        if u64::try_from(read).ok() != Some(wanted) {
            return Err(PourError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        inspect(&buffer);
        intake.segment(buffer)?;
        left -= wanted;
    }
    Ok(())
}
