//! Why a restore in place or its undo is refused or failed.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub type Result<T, E = UndoError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    #[error("{}: there is nothing to replace: restore without --in-place", path.display())]
    NothingThere { path: PathBuf },
    #[error("{}: {why}", path.display())]
    NotReplaceable { path: PathBuf, why: &'static str },
    #[error(
        "{} is open in {programs}: stop that first, or it goes on with what is set aside; --even-if-open replaces it \
         all the same", path.display()
    )]
    InUse { path: PathBuf, programs: String },
    /// The filesystem has no step that exchanges two names.
    #[error(
        "{}: its filesystem cannot exchange two names in one step: restore to another path, and put that in place \
         yourself", path.display()
    )]
    NoExchange { path: PathBuf },
    /// Another process works on the same undo point.
    #[error("{} is in use by another coffer command: wait until that has ended", path.display())]
    Busy { path: PathBuf },
    #[error("{}: there is nothing in it to bring back: coffer restore forget removes it", path.display())]
    Empty { path: PathBuf },
    #[error("{} cannot be read: {why}; its folder holds what was replaced", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// Somebody else made it, or may change it: what it says could lead anywhere.
    #[error(
        "{} belongs to user {owner} or can be written by others: if it is an undo point, run the command as that user",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl UndoError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NothingThere { .. })
    }
}

/// For `map_err`: what was done to which file.
pub(super) fn failed<E: Into<io::Error>>(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> UndoError {
    let path = path.to_owned();
    move |source| UndoError::Io { action, path, source: source.into() }
}

/// Whether the kernel or the filesystem does not know how.
pub(super) fn is_unknown(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}
