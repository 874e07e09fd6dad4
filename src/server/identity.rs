//! Which data directory is the right one. A file outside of it remembers that: if the disk with the data directory is not
//! mounted, the empty mount point looks like a first start, and what was begun there would be hidden by the disk later.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::config::Config;
use crate::storage::Local;

use super::ServerError;

/// Fails if another data directory than this one was used last, or none is there where one was.
pub fn require_known(config: &Config) -> Result<(), ServerError> {
    let Some(file) = config.storage.identity_file() else { return Ok(()) };
    let Some(known) = read(file).map_err(|source| failed(file, source))? else { return Ok(()) };
    let found = Local::data_id(&config.data_dir)?;
    if found == Some(known) {
        return Ok(());
    }
    let path = config.data_dir.display().to_string();
    let what = if found.is_none() { "was never used" } else { "is another one" };
    Err(ServerError::OtherDataDir { path, what, file: file.display().to_string() })
}

/// Remembers the data directory that is used now, durably.
pub(super) fn remember(config: &Config, local: &Local) -> Result<(), ServerError> {
    let id = local.make_data_id()?;
    let Some(file) = config.storage.identity_file() else { return Ok(()) };
    if read(file).map_err(|source| failed(file, source))? == Some(id) {
        return Ok(());
    }
    write(file, id).map_err(|source| failed(file, source))
}

fn read(file: &Path) -> io::Result<Option<Uuid>> {
    // A link is the administrator's. A pipe or a device would not end.
    if fs::metadata(file).is_ok_and(|it| !it.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    match fs::read_to_string(file) {
        Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(file: &Path, id: Uuid) -> io::Result<()> {
    let folder = file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let mut made = NamedTempFile::with_prefix_in(".data.id-", &folder)?;
    writeln!(made, "{id}")?;
    made.as_file().sync_all()?;
    made.persist(file).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

fn failed(file: &Path, source: io::Error) -> ServerError {
    ServerError::IdentityFile { file: file.display().to_string(), source }
}
