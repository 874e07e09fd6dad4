//! Passwords: read from a file, handed on by environment or an unlinked file, shown to nobody.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::domain::FailureCode;
use crate::engine::EngineError;

/// No password is longer.
const LONGEST: u64 = 64 << 10;

/// Where systemd puts the files of `LoadCredential`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A password, byte for byte. Neither `Debug` nor an error shows it.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::engine) struct Secret(OsString);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

impl Secret {
    /// The content of a password file. One line end behind it is the editor's and not the password's.
    /// A bare name is a systemd credential.
    pub(in crate::engine) fn read(file: &Path) -> Result<Self, EngineError> {
        let path = placed(file)?;
        let denied = |error: std::io::Error| {
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
        opened.take(LONGEST + 1).read_to_end(&mut bytes).map_err(denied)?;
        Self::from_bytes(bytes).map_err(|what| {
            EngineError::known(
                FailureCode::SourceInvalid,
                format!("the password file {} {what}", path.display()),
            )
        })
    }

    /// The same from bytes; else what is wrong with them.
    pub(in crate::engine) fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, &'static str> {
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err("is empty; put the password into it");
        }
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST {
            return Err("is longer than any password");
        }
        if bytes.contains(&0) {
            return Err("holds a zero byte, which no password has");
        }
        Ok(Self(OsString::from_vec(bytes)))
    }

    /// The password itself, for a child's environment or a [`SecretFile`].
    pub(in crate::engine) fn reveal(&self) -> &OsStr {
        &self.0
    }

    /// Takes the password out of a text, and each of its lines too: a program may show it in pieces.
    pub(super) fn conceal(&self, text: &str) -> String {
        let whole = String::from_utf8_lossy(self.0.as_bytes()).into_owned();
        let lines = whole.lines().filter(|line| line.len() > 3 && *line != whole);
        let concealed = text.replace(&whole, "[password]");
        lines.fold(concealed, |text, line| text.replace(line, "[password]"))
    }
}

/// Where a password file lies: a bare name is among systemd's credentials.
fn placed(file: &Path) -> Result<PathBuf, EngineError> {
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

/// A file with secrets that lies on no disk and is gone with this value or with the process.
#[derive(Debug)]
pub(in crate::engine) struct SecretFile(OwnedFd);

impl SecretFile {
    /// Such a file with this content.
    pub(in crate::engine) fn new(content: &[u8]) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| {
            EngineError::known(
                FailureCode::Internal,
                format!("no memory for a file with a password: {error}"),
            )
        };
        let file = memfd_create("coffer-secret", MemfdFlags::CLOEXEC)
            .map_err(|error| failed(error.into()))?;
        // Tools do not take passwords from files that others may write.
        fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
        let mut file = File::from(file);
        file.write_all(content).map_err(failed)?;
        Ok(Self(file.into()))
    }

    /// Its name for a child process of the same user, while this value lives.
    pub(in crate::engine) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }
}
