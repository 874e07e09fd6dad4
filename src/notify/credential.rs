//! Secrets of channels: in the configuration, in files, or systemd credentials.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::domain::Secret;

use super::{NotifyError, Result};

/// The longest secret that is accepted, in bytes.
const LONGEST: u64 = 8 << 10;

/// Where systemd puts the files of `LoadCredential`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Bits of a file's mode for others than its owner.
const OF_OTHERS: u32 = 0o077;

/// Where a secret comes from. A file is read for each message, so that a new secret needs no restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Text(Secret),
    /// A path, or the name of a systemd credential.
    File(PathBuf),
}

impl Credential {
    /// Whether it is a systemd credential, which only the service can read, and this is not the service.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::File(file) if !file.is_absolute())
            && env::var_os(CREDENTIALS).is_none()
    }

    pub fn read(&self) -> Result<Secret> {
        match self {
            Self::Text(secret) => Ok(secret.clone()),
            Self::File(file) if file.is_absolute() => read(file, true),
            Self::File(name) => {
                let wrong = |why: String| NotifyError::Credential { path: name.clone(), why };
                let folder = env::var_os(CREDENTIALS).ok_or_else(|| {
                    wrong(format!(
                        "is a name and not a path, so it is a systemd credential, but {CREDENTIALS} is not set: add \
                         LoadCredential={} to the unit, or give an absolute path",
                        name.display()
                    ))
                })?;
                if name.components().count() != 1 {
                    return Err(wrong("is neither an absolute path nor a name".to_owned()));
                }
                // systemd sets the permissions of these.
                read(&Path::new(&folder).join(name), false)
            }
        }
    }
}

fn read(path: &Path, check_mode: bool) -> Result<Secret> {
    let unreadable = |reason| NotifyError::Unreadable { path: path.to_owned(), reason };
    let wrong = |why: String| NotifyError::Credential { path: path.to_owned(), why };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if check_mode && mode & OF_OTHERS != 0 {
        let shown = path.display();
        return Err(wrong(format!(
            "holds a secret that others may read or change (mode {:04o}): chmod 600 {shown}, and give it to the user \
             that runs Coffer",
            mode & 0o7777
        )));
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("is empty; put the secret into it".to_owned()));
    }
    if u64::try_from(text.len()).is_ok_and(|it| it > LONGEST) {
        return Err(wrong("is longer than any secret".to_owned()));
    }
    Ok(Secret::new(text.to_owned()))
}
