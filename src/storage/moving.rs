//! Moving a name without ever replacing another.

use std::ffi::OsStr;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::folder::Folder;

/// Renames `from` to `to`, which must be free: EEXIST otherwise. On filesystems that cannot promise that
/// in one step (NFS, old kernels), a second link does; only a folder, which has none, is looked for first.
pub(super) fn move_to_free_name(
    from: (&Folder, &OsStr),
    to: (&Folder, &OsStr),
) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => move_by_link(from, to),
        other => other,
    }
}

fn move_by_link(from: (&Folder, &OsStr), to: (&Folder, &OsStr)) -> Result<(), Errno> {
    match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
        Ok(()) => from.0.unlink(from.1).or_else(|error| {
            // The old name stays: then the new one must not, or the file would be there twice.
            to.0.unlink(to.1).and(Err(error))
        }),
        // A folder: no other thread of this process gives out `to`, and no other process holds the lock.
        Err(Errno::PERM) => match rustix::fs::statat(to.0, to.1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_occupied) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rustix::fs::renameat(from.0, from.1, to.0, to.1),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    fn write(path: &std::path::Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn neither_way_of_moving_replaces_anything() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::root(place.path()).unwrap();
        for (from, to) in [("file", "taken"), ("folder", "taken-folder")] {
            let (from, to) = (OsStr::new(from), OsStr::new(to));
            if from == "file" {
                write(&place.path().join(from), "new");
                write(&place.path().join(to), "old");
            } else {
                std::fs::create_dir(place.path().join(from)).unwrap();
                std::fs::create_dir(place.path().join(to)).unwrap();
            }
            for way in [move_to_free_name, move_by_link] {
                assert_eq!(way((&folder, from), (&folder, to)), Err(Errno::EXIST));
            }
            assert_eq!(move_by_link((&folder, from), (&folder, OsStr::new("x"))), Ok(()));
            assert_eq!(move_to_free_name((&folder, OsStr::new("x")), (&folder, from)), Ok(()));
        }
        assert_eq!(std::fs::read(place.path().join("taken")).unwrap(), b"old");
        assert_eq!(std::fs::read(place.path().join("file")).unwrap(), b"new");
    }
}
