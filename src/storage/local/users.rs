//! The list of users, in `users.json`.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{FlockOperation, flock};

use super::folder::{Folder, failed};
use super::layout::Layout;
use super::ownership;
use crate::storage::Result;

const USERS: &str = "users.json";

/// A longer file is not one that Coffer wrote.
const LONGEST: u64 = 4 << 20;

/// Inode, time of change in nanoseconds, and size; `None`: there is no such file.
pub(super) fn stamp(layout: &Layout) -> Result<Option<(u64, i128, u64)>> {
    let found = Folder::open_named(&layout.root)?.metadata(USERS.as_ref())?;
    Ok(found.map(|it| {
        let changed = i128::from(it.ctime()) * 1_000_000_000 + i128::from(it.ctime_nsec());
        (it.ino(), changed, it.size())
    }))
}

/// Its text; `None`: there is no such file.
pub(super) fn read(layout: &Layout) -> Result<Option<Vec<u8>>> {
    let folder = Folder::open_named(&layout.root)?;
    let file = match folder.open_file(USERS.as_ref()) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    let read = file.take(LONGEST).read_to_end(&mut text);
    read.map_err(failed("reading", &folder.path_of(USERS)))?;
    Ok(Some(text))
}

/// Replaces it by what `change` makes of it. Only one process does so at a time.
pub(super) fn change<E>(
    layout: &Layout,
    change: impl FnOnce(Option<Vec<u8>>) -> Result<String, E>,
) -> Result<Result<(), E>> {
    let folder = Folder::open_named(&layout.root)?;
    ownership::check(&folder)?;
    // The folder itself: nothing else locks it, and it needs no further file.
    flock(&folder, FlockOperation::LockExclusive).map_err(failed("locking", folder.path()))?;
    match change(read(layout)?) {
        Ok(text) => layout.replace_file(&folder, USERS.as_ref(), text.as_bytes()).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}
