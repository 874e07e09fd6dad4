//! The index beside an encrypted archive, `<archive's name>.index`: what can be known of it without its key.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::io::Write;

use super::folder::failed;
use super::layout::Layout;
use super::opened_path::OpenedPath;
use crate::domain::Location;
use crate::storage::Result;

const ENDING: &str = ".index";

pub(super) fn is_index(path: &str) -> bool {
    path.strip_suffix(ENDING).is_some_and(|archive| archive.parse::<Location>().is_ok())
}

fn name_of(path: &OpenedPath<'_>) -> OsString {
    let mut name = path.name.to_owned();
    name.push(ENDING);
    name
}

/// Opens the index of an archive; `None`: there is none.
pub(super) fn open(path: &OpenedPath<'_>) -> Result<Option<File>> {
    match path.folder.open_file(&name_of(path)) {
        Err(error) if error.is_not_found() => Ok(None),
        opened => opened.map(Some),
    }
}

/// Puts what `fill` writes beside the archive at this location, which need not be there yet, durably.
pub(super) fn write(
    layout: &Layout,
    location: &Location,
    fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let written = layout.write_small_with(fill)?;
    let _folders = layout.folders.lock();
    let path = OpenedPath::make(&layout.archives, location.as_str())?;
    let name = name_of(&path);
    rustix::fs::renameat(rustix::fs::CWD, written.path(), &path.folder, &name)
        .map_err(failed("placing", &path.folder.path_of(&name)))?;
    path.folder.sync()
}

/// Removes it. It is no error if there is none.
pub(super) fn remove(layout: &Layout, location: &Location) -> Result<()> {
    let _folders = layout.folders.lock();
    let Some(path) = OpenedPath::find(&layout.archives, location.as_str())? else { return Ok(()) };
    let name = name_of(&path);
    if path.folder.metadata(&name)?.is_some() {
        path.folder.remove_file(&name)?;
        path.folder.sync()?;
    }
    path.remove_empty_folders();
    Ok(())
}

/// The path of the index of the archive at `path`.
pub(super) fn path_of(archive: &str) -> String {
    format!("{archive}{ENDING}")
}
