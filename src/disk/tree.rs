//! Removing trees.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, unlinkat};

use super::{Handle, Mount};

/// Removes a tree, even if folders in it are not writable. No link in it is followed, nor one in its place, and what is
/// mounted in it stays: that is an error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mount = Mount::of(folder.unwrap_or(Path::new(".")))?;
    remove(CWD, path.as_os_str(), mount, path)
}

/// `path` is for messages.
fn remove(within: impl AsFd, name: &OsStr, mount: Mount, path: &Path) -> io::Result<()> {
    let folder = match Handle::open_folder(&within, name) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(unlinkat(within, name, AtFlags::empty())?);
        }
        folder => folder?,
    };
    if Mount::of_open(&folder)? != mount {
        let why =
            format!("{} is mounted, and what it holds is not removed: unmount it", path.display());
        return Err(io::Error::other(why));
    }
    if folder.metadata()?.mode() & 0o700 != 0o700 {
        // Who may not do that may still be allowed to remove it.
        folder.set_mode(0o700).ok();
    }
    let listed = folder.list()?;
    for entry in Dir::read_from(&listed)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            remove(&listed, name, mount, &path.join(name))?;
        }
    }
    Ok(unlinkat(within, name, AtFlags::REMOVEDIR)?)
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
}
