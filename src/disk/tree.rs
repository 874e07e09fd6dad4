//! Removing trees, with few open files and little memory.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, unlinkat};
use rustix::io::Errno;

use super::{Handle, Mount, rename_to_free_name};

/// How many folders deep a removal descends, with one open file each. Deeper ones are moved up first.
const DEEPEST: usize = 24;

/// Where a removal stopped, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct NotRemoved {
    pub path: PathBuf,
    pub source: io::Error,
}

/// Removes a tree, even if folders in it are not writable. No link in it is followed, nor one in its place, and what is
/// mounted in it stays: that is an error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mount = Mount::of(folder.unwrap_or(Path::new(".")))?;
    let removed = Removal { mount, next: 0, bytes: 0 }.remove(CWD, path.as_os_str(), path);
    removed.map(drop).map_err(|error| error.source)
}

/// The same of `name` in an open folder, whose path is for messages. Returns how many bytes the files had. Folders that
/// are too deep are moved into the tree's uppermost one, so that a removal that is interrupted leaves only that.
pub fn remove_tree_in(folder: impl AsFd, name: &OsStr, path: &Path) -> Result<u64, NotRemoved> {
    let mount = Mount::of_open(&folder).map_err(failed(path))?;
    Removal { mount, next: 0, bytes: 0 }.remove(folder, name, &path.join(name))
}

fn failed<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> NotRemoved {
    |source| NotRemoved { path: path.to_owned(), source: source.into() }
}

struct Removal {
    /// What is in another mount is not removed.
    mount: Mount,
    /// The number of the next folder that is moved up.
    next: u64,
    bytes: u64,
}

impl Removal {
    /// `path` is for messages.
    fn remove(mut self, within: impl AsFd, name: &OsStr, path: &Path) -> Result<u64, NotRemoved> {
        if let Some(tree) = self.begin(&within, name, path)? {
            // What was moved up is seen next time.
            loop {
                let moved = self.next;
                self.empty(&tree, &tree, path, 0)?;
                if self.next == moved {
                    break;
                }
            }
            unlinkat(within, name, AtFlags::REMOVEDIR).map_err(failed(path))?;
        }
        Ok(self.bytes)
    }

    /// Removes what is at `name`, or opens it if it is a folder.
    fn begin(
        &mut self,
        within: impl AsFd,
        name: &OsStr,
        path: &Path,
    ) -> Result<Option<OwnedFd>, NotRemoved> {
        let found = Handle::open(&within, name).map_err(failed(path))?;
        let metadata = found.metadata().map_err(failed(path))?;
        if !metadata.is_dir() {
            unlinkat(within, name, AtFlags::empty()).map_err(failed(path))?;
            self.bytes = self.bytes.saturating_add(metadata.len());
            return Ok(None);
        }
        if Mount::of_open(&found).map_err(failed(path))? != self.mount {
            let why = "something is mounted here, and what it holds is not removed; unmount it";
            return Err(failed(path)(io::Error::other(why)));
        }
        if metadata.mode() & 0o700 != 0o700 {
            // Who may not do that may still be allowed to remove it.
            found.set_mode(0o700).ok();
        }
        found.list().map(Some).map_err(failed(path))
    }

    /// Removes what is in a folder, which is so many levels below `top`; moves folders there that are too deep.
    fn empty(
        &mut self,
        top: &OwnedFd,
        folder: &OwnedFd,
        path: &Path,
        level: usize,
    ) -> Result<(), NotRemoved> {
        for entry in Dir::read_from(folder).map_err(failed(path))? {
            let entry = entry.map_err(failed(path))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let path = path.join(name);
            let inner = match self.begin(folder, name, &path) {
                Ok(Some(inner)) => inner,
                Ok(None) => continue,
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if level >= DEEPEST {
                self.move_up((folder, name), top).map_err(failed(&path))?;
                continue;
            }
            self.empty(top, &inner, &path, level + 1)?;
            match unlinkat(folder, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(failed(&path)(error)),
            }
        }
        Ok(())
    }

    fn move_up(&mut self, from: (&OwnedFd, &OsStr), top: &OwnedFd) -> Result<(), Errno> {
        loop {
            let free = format!("lifted.{}", self.next);
            self.next += 1;
            match rename_to_free_name(from, (top, free)) {
                Err(Errno::EXIST) => {}
                moved => return moved,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_tree_with_locked_folders_is_removed_and_what_links_lead_to_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let [tree, home] = ["tree", "home"].map(|name| place.path().join(name));
        let deep = tree.join("a/b");
        for folder in [&deep, &home] {
            std::fs::create_dir_all(folder).unwrap();
            symlink("nowhere", folder.join("file")).unwrap();
        }
        symlink(&home, tree.join("a/planted")).unwrap();
        symlink("nowhere", tree.join("broken")).unwrap();
        for folder in [&deep, &tree.join("a"), &home] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
        }
        // A link in the place of the tree itself.
        let link = place.path().join("link");
        symlink(&home, &link).unwrap();
        remove_tree(&link).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && !link.exists());
        assert_eq!((mode_of(&home), home.join("file").is_symlink()), (0o555, true));
        let missing = remove_tree(&tree).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    fn a_deep_tree_is_removed_with_few_open_files_and_its_bytes_are_counted() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("kept"), "kept").unwrap();
        let mut inner = place.path().join("tree");
        std::fs::create_dir(&inner).unwrap();
        // Names that the removal itself gives.
        std::fs::create_dir(inner.join("lifted.0")).unwrap();
        std::fs::write(inner.join("lifted.1"), "12345").unwrap();
        let mut folders = vec![inner.clone()];
        for _ in 0..120 {
            inner.push("folder");
            for name in ["", "wide", "wide/deep"] {
                std::fs::create_dir(inner.join(name)).unwrap();
            }
            std::fs::write(inner.join("wide/deep/file"), "12345").unwrap();
            symlink(place.path().join("kept"), inner.join("link")).unwrap();
            symlink(place.path(), inner.join("up")).unwrap();
            folders.push(inner.clone());
        }
        for folder in folders.iter().rev() {
            std::fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
        }
        let top = std::fs::File::open(place.path()).unwrap();
        let bytes = remove_tree_in(&top, OsStr::new("tree"), place.path()).unwrap();
        let links = 120 * (place.path().as_os_str().len() * 2 + "/kept".len());
        assert_eq!(bytes, u64::try_from(121 * 5 + links).unwrap());
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(std::fs::read(place.path().join("kept")).unwrap(), b"kept");
    }

    #[test]
    fn what_cannot_be_removed_is_named() {
        let place = tempfile::tempdir().unwrap();
        let top = std::fs::File::open(place.path()).unwrap();
        let missing = remove_tree_in(&top, OsStr::new("tree"), place.path()).unwrap_err();
        assert_eq!(missing.path, place.path().join("tree"));
        assert!(missing.to_string().contains("/tree: "), "{missing}");
    }
}
