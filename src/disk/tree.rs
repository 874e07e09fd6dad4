//! Removing trees.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType};

use super::Handle;

/// Removes a tree, even if folders in it are not writable. No link in it is followed, nor one in its place.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(CWD, path.as_os_str())?;
            std::fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Gives the owner all permissions on the folders of a tree.
fn make_writable(within: impl AsFd, name: &OsStr) -> io::Result<()> {
    let folder = Handle::open_folder(within, name)?;
    folder.set_mode(0o700)?;
    let listed = folder.list()?;
    for entry in Dir::read_from(&listed)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let may_be_folder = [FileType::Directory, FileType::Unknown].contains(&entry.file_type());
        if !may_be_folder || name == "." || name == ".." {
            continue;
        }
        match make_writable(&listed, name) {
            // It is none, or something else is there by now.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            made => made?,
        }
    }
    Ok(())
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
    fn folders_are_made_writable_and_what_links_lead_to_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let [tree, home] = ["tree", "home"].map(|name| place.path().join(name));
        let deep = tree.join("a/b");
        for folder in [&deep, &home] {
            std::fs::create_dir_all(folder).unwrap();
        }
        symlink(&home, tree.join("a/planted")).unwrap();
        for folder in [&deep, &tree.join("a"), &home] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
        }
        make_writable(CWD, tree.as_os_str()).unwrap();
        assert_eq!([&deep, &tree.join("a")].map(|it| mode_of(it)), [0o700; 2]);
        assert_eq!(mode_of(&home), 0o555);
        // A link in the place of the tree itself.
        let link = place.path().join("link");
        symlink(&home, &link).unwrap();
        make_writable(CWD, link.as_os_str()).unwrap_err();
        assert_eq!(mode_of(&home), 0o555);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && home.exists());
    }
}
