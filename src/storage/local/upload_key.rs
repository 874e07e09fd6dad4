//! The keys of encrypted uploads, a small file for each in `uploads/`: an upload that was broken off goes on with the same
//! bytes, so with the same key. It goes as soon as the copy is proven, and reads nothing but that one copy, whose archive
//! lies on this disk as it is.

use std::ffi::OsString;
use std::io::Read as _;

use super::folder::{Folder, failed};
use super::layout::{Layout, UPLOADS};
use crate::domain::BackupId;
use crate::storage::Result;

/// A longer file is not one that Coffer wrote.
const LONGEST: u64 = 1 << 20;

fn name_of(backup: BackupId, place: &str) -> OsString {
    format!("{backup}.{place}").into()
}

/// The folder; `None`: there is none.
fn folder(layout: &Layout) -> Result<Option<Folder>> {
    let path = layout.root.join(UPLOADS);
    if path.exists() { Folder::open(&path).map(Some) } else { Ok(None) }
}

pub(super) fn write(layout: &Layout, backup: BackupId, place: &str, key: &[u8]) -> Result<()> {
    let folder = Folder::open_named(&layout.root)?.make_folder(UPLOADS.as_ref())?;
    layout.replace_file(&folder, &name_of(backup, place), key)
}

pub(super) fn read(layout: &Layout, backup: BackupId, place: &str) -> Result<Option<Vec<u8>>> {
    let Some(folder) = folder(layout)? else { return Ok(None) };
    let name = name_of(backup, place);
    let file = match folder.open_file(&name) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    let mut key = Vec::new();
    let read = file.take(LONGEST).read_to_end(&mut key);
    read.map_err(failed("reading", &folder.path_of(&name)))?;
    Ok(Some(key))
}

/// Of which backups and places there are keys.
pub(super) fn list(layout: &Layout) -> Result<Vec<(BackupId, String)>> {
    let mut found = Vec::new();
    let Some(folder) = folder(layout)? else { return Ok(found) };
    for name in folder.names()? {
        let name = name?;
        let parts = name.to_str().and_then(|it| it.split_once('.'));
        found.extend(parts.and_then(|(id, place)| Some((id.parse().ok()?, place.to_owned()))));
    }
    Ok(found)
}

pub(super) fn remove(layout: &Layout, backup: BackupId, place: &str) -> Result<()> {
    let Some(folder) = folder(layout)? else { return Ok(()) };
    folder.remove_file(&name_of(backup, place))?;
    folder.sync()
}
