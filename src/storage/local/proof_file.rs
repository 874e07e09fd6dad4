//! The proof beside an archive, `<archive's name>.proof`: when it was verified last, and what its last drill found.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;

use super::folder::failed;
use super::layout::Layout;
use super::opened_path::OpenedPath;
use crate::domain::Location;
use crate::storage::Result;

const ENDING: &str = ".proof";

/// A longer file is not one that Coffer wrote.
const LONGEST: u64 = 4 << 20;

fn name_of(archive: &OsStr) -> OsString {
    let mut name = archive.to_owned();
    name.push(ENDING);
    name
}

pub(super) fn is_proof(path: &str) -> bool {
    path.strip_suffix(ENDING).is_some_and(|archive| archive.parse::<Location>().is_ok())
}

/// Reads the proof of an archive; `None`: there is none.
pub(super) fn read(path: &OpenedPath<'_>) -> Result<Option<Vec<u8>>> {
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

pub(super) fn write(layout: &Layout, path: &OpenedPath<'_>, proof: &[u8]) -> Result<()> {
    layout.replace_file(&path.folder, &name_of(path.name), proof)
}

/// The path of the proof of the archive at `path`.
pub(super) fn path_of(archive: &str) -> String {
    format!("{archive}{ENDING}")
}
