//! Gives files to an intake: those of a source, and those that an engine makes itself.

use std::io::{self, Read};

use super::file_name::entry_path;
use super::file_stat::now_ns;
use super::{EngineError, Intake, NeedsContent, Result, Stop};
use crate::domain::{Entry, EntryKind, SEGMENT_BYTES, num};

/// Why a file did not reach the intake.
#[derive(Debug)]
pub(super) enum PourError<E = io::Error> {
    /// It could not be read; `UnexpectedEof` means that it is shorter than its entry says.
    Read(E),
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
        let wanted = left.min(num::to_u64(SEGMENT_BYTES));
        let mut buffer = intake.buffer();
        let read = content.take(wanted).read_to_end(&mut buffer).map_err(PourError::Read)?;
        if num::to_u64(read) != wanted {
            return Err(PourError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        inspect(&buffer);
        intake.segment(buffer)?;
        left -= wanted;
    }
    Ok(())
}

/// Gives a folder that the engine itself makes to `intake`.
pub(super) fn pour_folder(path: &str, intake: &mut dyn Intake) -> Result<()> {
    intake.entry(&own_entry(path, EntryKind::Directory)?, false)?;
    Ok(())
}

/// Gives a file that the engine itself makes to `intake`.
pub(super) fn pour_bytes(path: &str, mut content: &[u8], intake: &mut dyn Intake) -> Result<()> {
    let size = num::to_u64(content.len());
    let entry = own_entry(path, EntryKind::File { size, extents: None })?;
    pour(&entry, &mut content, intake, |_| ())
        .map_err(|failed| failed.explain(|error| EngineError::io("reading", path.as_ref(), error)))
}

/// A private entry that is owned by the user that runs Coffer and was modified now.
pub(super) fn own_entry(path: &str, kind: EntryKind) -> Result<Entry> {
    let path = entry_path(path)?;
    let mode = if kind == EntryKind::Directory { 0o700 } else { 0o600 };
    Ok(Entry {
        path,
        kind,
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime_ns: now_ns(),
        xattrs: Vec::new(),
        stamp: None,
    })
}
