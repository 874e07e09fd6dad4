//! Why a stream could not be unpacked.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

#[derive(Debug)]
pub(in crate::engine::mariadb) enum UnpackError {
    /// The stream could not be read, or is malformed.
    Stream(io::Error),
    /// This path could not be written.
    Folder(PathBuf, io::Error),
}

impl From<io::Error> for UnpackError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

/// The error for a malformed stream.
pub(super) fn malformed(problem: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem.into())
}
