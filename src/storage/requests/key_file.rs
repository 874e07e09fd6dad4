//! Files that hold what a store knows its users by.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::disk::open_regular;
use crate::domain::shell_word;
use crate::storage::{Result, StorageError};

/// A longer file holds something else.
const LONGEST: u64 = 64 << 10;

/// The text of such a file. One that is private must not be open to others; where another lies protects it.
pub(in crate::storage) fn read(path: &Path, is_private: bool) -> Result<String> {
    let shown = path.display().to_string();
    let mut options = OpenOptions::new();
    options.read(true);
    let file = if is_private { open_regular(path, &options) } else { File::open(path) };
    let file = file.map_err(|error| failed(&shown, error))?;
    let mode = file.metadata().map_err(|error| failed(&shown, error))?.mode();
    if is_private && mode & 0o077 != 0 {
        return Err(StorageError::Untrusted {
            why: format!("can be read or written by other users (mode {:o})", mode & 0o7777),
            mend: format!("chmod 0600 {}", shell_word(path)),
            what: shown,
        });
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| failed(&shown, error))?;
    Ok(text)
}

/// The error for what holds no credentials, or not all.
pub(in crate::storage) fn incomplete(what: impl Into<String>, why: &'static str) -> StorageError {
    failed(what, io::Error::new(io::ErrorKind::InvalidData, why))
}

fn failed(what: impl Into<String>, source: io::Error) -> StorageError {
    StorageError::Io { action: "reading the credentials in", what: what.into(), source }
}
