//! Removing whatever a name stands for, whole trees too, with few open files and little memory.

use std::ffi::{OsStr, OsString};

use rustix::io::Errno;

use super::StorageError;
use super::folder::{Folder, failed};
use super::moving::move_to_free_name;

/// How many folders deep a removal goes with one open file each. What lies deeper is first moved up.
const DEEPEST: usize = 24;

/// Removes `name` in `top` with everything below it and follows no link. Gives back how many bytes the
/// removed files were long. Folders too deep to descend to are moved to `top`, under names that begin with
/// `stem`; a removal that is cut short leaves such names behind, for the next one.
pub(super) fn remove(top: &Folder, name: &OsStr, stem: &str) -> Result<u64, StorageError> {
    let mut removal = Removal { top, stem, next: 0, lifted: vec![name.to_owned()], bytes: 0 };
    while let Some(name) = removal.lifted.pop() {
        removal.entry(top, &name, 0)?;
    }
    Ok(removal.bytes)
}

struct Removal<'a> {
    top: &'a Folder,
    stem: &'a str,
    next: u64,
    lifted: Vec<OsString>,
    bytes: u64,
}

impl Removal<'_> {
    fn entry(&mut self, folder: &Folder, name: &OsStr, depth: usize) -> Result<(), StorageError> {
        let what = folder.path_of(name);
        let Some(metadata) = folder.look(name)? else { return Ok(()) };
        if !metadata.is_dir() {
            return match folder.unlink(name) {
                Ok(()) => {
                    self.bytes = self.bytes.saturating_add(metadata.len());
                    Ok(())
                }
                Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(failed("removing", &what)(error)),
            };
        }
        let inner = folder.below_writable(name).map_err(failed("opening", &what))?;
        if depth >= DEEPEST {
            return self.lift(folder, name);
        }
        for inner_name in inner.names()? {
            self.entry(&inner, &inner_name?, depth + 1)?;
        }
        match folder.unlink_folder(name) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("removing", &what)(error)),
        }
    }

    fn lift(&mut self, folder: &Folder, name: &OsStr) -> Result<(), StorageError> {
        loop {
            let free = OsString::from(format!("{}.lifted.{}", self.stem, self.next));
            self.next += 1;
            match move_to_free_name((folder, name), (self.top, &free)) {
                Ok(()) => {
                    self.lifted.push(free);
                    return Ok(());
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("moving", &folder.path_of(name))(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    fn a_deep_tree_with_locked_folders_and_links_goes_and_what_links_name_stays() {
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
        let top = Folder::root(place.path()).unwrap();
        let bytes = remove(&top, OsStr::new("tree"), "7").unwrap();
        assert!(bytes >= 120 * 5, "{bytes}");
        let left: Vec<_> = top.names().unwrap().map(Result::unwrap).collect();
        assert_eq!(left, ["kept"]);
        assert_eq!(std::fs::read(place.path().join("kept")).unwrap(), b"kept");
    }
}
