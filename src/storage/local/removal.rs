//! Removing files and whole trees, with few open files and little memory.

use std::ffi::{OsStr, OsString};
use std::io;

use super::folder::{Folder, failed};
use crate::disk::Mount;
use crate::storage::Result;

/// How many folders deep a removal descends, with one open file each. Deeper ones are moved up first.
const DEEPEST: usize = 24;

/// Removes `name` in `top` with everything below it, following no link; returns how many bytes the files
/// had. Folders that are too deep are moved to `top` under names that begin with `stem`; a removal that is
/// interrupted leaves such names to the next one.
pub(super) fn remove(top: &Folder, name: &OsStr, stem: &str) -> Result<u64> {
    let pending = vec![name.to_owned()];
    let mount = top.mount()?;
    let mut removal = Removal { top, mount, stem, next: 0, pending, bytes: 0 };
    while let Some(name) = removal.pending.pop() {
        removal.entry(top, &name, 0)?;
    }
    Ok(removal.bytes)
}

struct Removal<'a> {
    top: &'a Folder,
    /// What is mounted below `top` is not removed.
    mount: Mount,
    stem: &'a str,
    /// The number of the next folder that is moved up.
    next: u64,
    /// Names in `top` that are still to be removed.
    pending: Vec<OsString>,
    bytes: u64,
}

impl Removal<'_> {
    fn entry(&mut self, folder: &Folder, name: &OsStr, depth: usize) -> Result<()> {
        let Some(metadata) = folder.metadata(name)? else { return Ok(()) };
        if !metadata.is_dir() {
            folder.remove_file(name)?;
            self.bytes = self.bytes.saturating_add(metadata.len());
            return Ok(());
        }
        if folder.mount_of(name)? != self.mount {
            let why = "something is mounted here, and what it holds is not removed; unmount it";
            return Err(failed("removing", &folder.path_of(name))(io::Error::other(why)));
        }
        let inner = folder.open_writable_folder(name)?;
        if depth >= DEEPEST {
            return self.move_up(folder, name);
        }
        for inner_name in inner.names()? {
            self.entry(&inner, &inner_name?, depth + 1)?;
        }
        folder.remove_folder(name)
    }

    fn move_up(&mut self, folder: &Folder, name: &OsStr) -> Result<()> {
        let names = (self.next..).map(|number| format!("{}.lifted.{number}", self.stem));
        self.pending.push(folder.move_to(name, self.top, names)?);
        self.next += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    fn a_deep_tree_with_locked_folders_is_removed_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("kept"), "kept").unwrap();
        let mut inner = place.path().join("tree");
        std::fs::create_dir(&inner).unwrap();
        let mut folders = vec![inner.clone()];
        for _ in 0..120 {
            inner.push("folder");
            std::fs::create_dir(&inner).unwrap();
            std::fs::write(inner.join("file"), "12345").unwrap();
            symlink(place.path().join("kept"), inner.join("link")).unwrap();
            symlink(place.path(), inner.join("up")).unwrap();
            folders.push(inner.clone());
        }
        for folder in folders.iter().rev() {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
        }
        let top = Folder::open_named(place.path()).unwrap();
        let bytes = remove(&top, OsStr::new("tree"), "7").unwrap();
        assert!(bytes >= 120 * 5, "{bytes}");
        let left: Vec<_> = top.names().unwrap().map(Result::unwrap).collect();
        assert_eq!(left, ["kept"]);
        assert_eq!(std::fs::read(place.path().join("kept")).unwrap(), b"kept");
    }
}
