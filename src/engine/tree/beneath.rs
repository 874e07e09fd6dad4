//! Opens folders below a root, and never through a symbolic link.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

/// The longest path that a system call takes, without the zero byte at its end.
const MAX_PATH_BYTES: usize = 4095;

/// Opens the folder at `path` below `root`, with `access` as in open(2). The path may be longer than the system's
/// limit: it is opened in pieces.
pub(in crate::engine) fn open_folder(
    root: BorrowedFd<'_>,
    path: &[u8],
    access: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let open = |folder: BorrowedFd<'_>, path: &[u8], access: OFlags| {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | access;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(folder, path, flags, Mode::empty(), resolve)
    };
    let mut opened: Option<OwnedFd> = None;
    let mut rest = path;
    loop {
        let folder = opened.as_ref().map_or(root, |opened| opened.as_fd());
        let Some(start) = rest.get(..=MAX_PATH_BYTES) else { return open(folder, rest, access) };
        let (start, _) = split(start);
        opened = Some(open(folder, start, OFlags::PATH)?);
        rest = rest.get(start.len() + 1..).unwrap_or_default();
    }
}

/// A path of `name` in an open folder, for system calls that take no folder.
pub(in crate::engine) fn path_in(folder: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name)
}

/// A path as the folder it is in, and its name there.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    match slash.and_then(|at| path.split_at_checked(at)) {
        None => (&[], path),
        Some((folder, rest)) => (folder, rest.strip_prefix(b"/").unwrap_or(rest)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_splits_at_its_last_slash() {
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
    }

    #[test]
    fn a_symbolic_link_anywhere_in_the_path_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        symlink("a", root.path().join("link")).unwrap();
        let open = rustix::fs::open(root.path(), OFlags::PATH, Mode::empty()).unwrap();
        let open = open.as_fd();
        assert!(open_folder(open, b"a/b", OFlags::RDONLY).is_ok());
        assert!(open_folder(open, b"", OFlags::RDONLY).is_ok());
        assert!(open_folder(open, b"link/b", OFlags::RDONLY).is_err());
        assert!(open_folder(open, b"link", OFlags::RDONLY).is_err());
        assert!(open_folder(open, b"a/../..", OFlags::RDONLY).is_err());
    }
}
