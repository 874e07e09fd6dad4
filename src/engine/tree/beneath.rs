//! Folders opened from a root downwards, through no link.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{Mode, OFlags, openat};

/// Opens the folder at `path` below `root`; `access` is how the last one is opened. One component at a
/// time, so that neither a link nor the length of the path matters, and with one folder open at most.
pub(in crate::engine) fn open_folder(
    root: BorrowedFd<'_>,
    path: &[u8],
    access: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if path.is_empty() {
        return openat(root, ".", flags | access, Mode::empty());
    }
    let mut folder: Option<OwnedFd> = None;
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        let how = if parts.peek().is_some() { OFlags::PATH } else { access };
        let part = OsStr::from_bytes(part);
        folder = Some(match &folder {
            None => openat(root, part, flags | how, Mode::empty())?,
            Some(folder) => openat(folder, part, flags | how, Mode::empty())?,
        });
    }
    folder.ok_or(rustix::io::Errno::NOENT)
}

/// A path as the folder it is in, and its name there.
pub(in crate::engine) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    match slash.and_then(|at| path.split_at_checked(at)) {
        None => (&[], path),
        Some((folder, rest)) => (folder, rest.strip_prefix(b"/").unwrap_or(rest)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_splits_at_its_last_slash() {
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
    }

    #[test]
    fn a_link_on_the_way_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        symlink("a", root.path().join("link")).unwrap();
        let open = rustix::fs::open(root.path(), OFlags::PATH, Mode::empty()).unwrap();
        let open = open.as_fd();
        assert!(open_folder(open, b"a/b", OFlags::RDONLY).is_ok());
        assert!(open_folder(open, b"link/b", OFlags::RDONLY).is_err());
        assert!(open_folder(open, b"link", OFlags::RDONLY).is_err());
    }
}
