//! The proof beside an archive, `<archive's name>.proof`: when it was verified last.

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};

use super::folder::{Folder, OpenedPath, failed};
use super::layout::Layout;
use crate::domain::Location;
use crate::storage::StorageError;

const ENDING: &str = ".proof";

/// A longer file is not one that Coffer wrote.
const LONGEST: u64 = 64 << 10;

fn name_of(archive: &OsStr) -> OsString {
    let mut name = archive.to_owned();
    name.push(ENDING);
    name
}

pub(super) fn is_proof(path: &str) -> bool {
    path.strip_suffix(ENDING).is_some_and(|archive| archive.parse::<Location>().is_ok())
}

/// Reads the proof of an archive; `None`: there is none.
pub(super) fn read(path: &OpenedPath<'_>) -> Result<Option<Vec<u8>>, StorageError> {
    let name = name_of(path.name);
    let file = match path.folder.open_file(&name) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    let mut proof = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut proof)
        .map_err(failed("reading", &path.folder.path_of(&name)))?;
    Ok(Some(proof))
}

/// Writes the proof of an archive under a temporary name, and renames it.
pub(super) fn write(
    layout: &Layout,
    path: &OpenedPath<'_>,
    proof: &[u8],
) -> Result<(), StorageError> {
    let tmp = Folder::open(&layout.tmp)?;
    let mut unfinished = tempfile::Builder::new()
        .prefix("proof-")
        .tempfile_in(tmp.path())
        .map_err(failed("creating a file in", tmp.path()))?;
    let what = unfinished.path().to_owned();
    unfinished.write_all(proof).map_err(failed("writing", &what))?;
    unfinished.as_file().sync_all().map_err(failed("syncing", &what))?;
    let name = name_of(path.name);
    rustix::fs::renameat(&tmp, &*what, &path.folder, &*name)
        .map_err(failed("placing", &path.folder.path_of(&name)))?;
    path.folder.sync()
}

/// Removes the proof of an archive, if there is one.
pub(super) fn remove(path: &OpenedPath<'_>) -> Result<(), StorageError> {
    let name = name_of(path.name);
    if path.folder.metadata(&name)?.is_none() {
        return Ok(());
    }
    path.folder.remove_file(&name)?;
    path.folder.sync()
}
