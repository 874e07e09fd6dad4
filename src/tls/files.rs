//! Reading the two files.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Result, TlsError};

/// Where systemd puts the files of `LoadCredential`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// A longer file holds something else.
const LONGEST: u64 = 1 << 20;

/// What a file with the certificates is called in messages.
pub(super) const CERTIFICATE: &str = "the certificate";
pub(super) const PRIVATE_KEY: &str = "the private key";

/// The content of a file that anybody may read.
pub(super) fn certificate(path: &Path) -> Result<Vec<u8>> {
    let path = resolve(CERTIFICATE, path)?;
    let read = open(&path).and_then(content);
    read.map_err(|source| TlsError::Unreadable { what: CERTIFICATE, path, source })
}

/// The content of a file that nobody else may read.
pub(super) fn private_key(path: &Path) -> Result<Vec<u8>> {
    let is_credential = !path.is_absolute();
    let path = resolve(PRIVATE_KEY, path)?;
    let unreadable =
        |source| TlsError::Unreadable { what: PRIVATE_KEY, path: path.clone(), source };
    let file = open(&path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    // systemd sets the permissions of a credential.
    if !is_credential && is_open(found.mode(), found.uid()) {
        return Err(TlsError::Open { mode: found.mode() & 0o7777, path });
    }
    content(file).map_err(unreadable)
}

/// Whether others than those who have to may read or change a key. A group may read one of root's: it is how a service gets
/// at a key that is not its own.
const fn is_open(mode: u32, owner: u32) -> bool {
    let of_others = if owner == 0 { 0o037 } else { 0o077 };
    mode & of_others != 0
}

/// The path; of a bare name, that of the systemd credential.
fn resolve(what: &'static str, path: &Path) -> Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let name = path.display().to_string();
    let folder = env::var_os(CREDENTIALS).ok_or(TlsError::NoCredential { what, name })?;
    Ok(Path::new(&folder).join(path))
}

/// Opens a file, also by a link: certbot makes those. Nothing else than a file is waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

fn content(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_owners_and_one_of_root_may_be_a_groups_to_read() {
        for (mode, owner, expected) in [
            (0o100_600, 1000, false),
            (0o100_640, 1000, true),
            (0o100_604, 1000, true),
            (0o100_600, 0, false),
            (0o100_640, 0, false),
            (0o100_660, 0, true),
            (0o100_644, 0, true),
        ] {
            assert_eq!(is_open(mode, owner), expected, "{mode:o} of {owner}");
        }
    }
}
