//! Passwords: read from a file, passed on through the environment or an unlinked file, never shown.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::domain::{FailureCode, num};
use crate::engine::{EngineError, Result};

/// The longest password that is accepted, in bytes.
const MAX_PASSWORD: u64 = 64 << 10;

/// Where systemd puts the files of `LoadCredential`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A password. `Debug` and errors do not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(OsString);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads a password file. A bare name is a systemd credential.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let path = resolve(file)?;
        let denied = |error: io::Error| {
            EngineError::known(
                FailureCode::SourceDenied,
                format!(
                    "the password file {} cannot be read: {error}; give the user that runs Coffer the \
                     right to read it",
                    path.display()
                ),
            )
        };
        let mut bytes = Vec::new();
        let opened = File::open(&path).map_err(denied)?;
        opened.take(MAX_PASSWORD + 1).read_to_end(&mut bytes).map_err(denied)?;
        Self::from_bytes(bytes).map_err(|problem| {
            EngineError::known(
                FailureCode::SourceInvalid,
                format!("the password file {} {problem}", path.display()),
            )
        })
    }

    /// The password in a file's content; else what is wrong with it. One line end at the end belongs to the
    /// editor and not to the password.
    pub(crate) fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, &'static str> {
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err("is empty; put the password into it");
        }
        if num::to_u64(bytes.len()) > MAX_PASSWORD {
            return Err("is longer than any password");
        }
        if bytes.contains(&0) {
            return Err("contains a zero byte, which no password can");
        }
        Ok(Self(OsString::from_vec(bytes)))
    }

    /// The password itself, for a child's environment or a [`SecretFile`].
    pub(crate) fn reveal(&self) -> &OsStr {
        &self.0
    }

    /// Replaces the password in `text`, and each of its lines: a program may print them separately.
    pub(super) fn redact(&self, text: &str) -> String {
        let password = String::from_utf8_lossy(self.0.as_bytes()).into_owned();
        let lines = password.lines().filter(|line| line.len() > 3 && *line != password);
        let redacted = text.replace(&password, "[password]");
        lines.fold(redacted, |text, line| text.replace(line, "[password]"))
    }
}

fn resolve(file: &Path) -> Result<PathBuf> {
    if file.is_absolute() {
        return Ok(file.to_owned());
    }
    std::env::var_os(CREDENTIALS).map(|folder| Path::new(&folder).join(file)).ok_or_else(|| {
        EngineError::known(
            FailureCode::SourceInvalid,
            format!(
                "password_file {:?} is a name and not a path, so it is a systemd credential, but {CREDENTIALS} \
                 is not set: add LoadCredential={} to the unit, or give an absolute path",
                file.display().to_string(),
                file.display()
            ),
        )
    })
}

/// A file that touches no disk, at its beginning.
pub(super) fn memory_file(content: &[u8]) -> io::Result<File> {
    let file = memfd_create("coffer", MemfdFlags::CLOEXEC)?;
    // Tools refuse password files that others may write to.
    fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(file);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// A file with secrets that exists only in memory, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct SecretFile(OwnedFd);

impl SecretFile {
    pub(crate) fn new(content: &[u8]) -> Result<Self> {
        let made = memory_file(content).map_err(|error| {
            EngineError::known(
                FailureCode::Internal,
                format!("no memory for a file with a password: {error}"),
            )
        });
        Ok(Self(made?.into()))
    }

    /// A path at which a child process of the same user can read it, until this value is dropped.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }
}
