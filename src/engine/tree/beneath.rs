//! Opens folders below a root, and never through a symbolic link.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

/// How many components are opened at once. They fit the system's longest path (4,096 bytes).
const STEP: usize = 15;

/// The most folders that are kept open.
const MAX_OPEN: usize = 64;

/// Folders below a root, opened one after another. Some of those above the last one stay open, so that in a tree of any
/// depth the next is near one of them.
#[derive(Debug)]
pub(in crate::engine) struct Folders {
    root: OwnedFd,
    /// Each is below the one before it.
    open: Vec<(Vec<u8>, OwnedFd)>,
}

impl Folders {
    pub(in crate::engine) fn below(root: OwnedFd) -> Self {
        Self { root, open: Vec::new() }
    }

    /// The folder at `path`, as with `O_PATH`. No symbolic link is followed.
    pub(in crate::engine) fn at(&mut self, path: &[u8]) -> rustix::io::Result<BorrowedFd<'_>> {
        let is_within = |folder: &[u8]| {
            path.strip_prefix(folder).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        };
        while self.open.pop_if(|(folder, _)| !is_within(folder)).is_some() {}
        loop {
            let (done, folder) = match self.open.last() {
                Some((folder, opened)) => (folder.len() + 1, opened),
                None => (0, &self.root),
            };
            let rest = path.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let slashes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let length = slashes.map(|(at, _)| at).nth(STEP - 1).unwrap_or(rest.len());
            let part = rest.get(..length).unwrap_or(rest);
            let opened = open_folder(folder.as_fd(), part, OFlags::PATH)?;
            self.open.push((path.get(..done + length).unwrap_or(path).to_vec(), opened));
            if self.open.len() > MAX_OPEN {
                self.open.remove(0);
            }
        }
        Ok(self.open.last().map_or(self.root.as_fd(), |(_, folder)| folder.as_fd()))
    }

    /// The same, opened to be read.
    pub(in crate::engine) fn opened(&mut self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        open_folder(self.at(path)?, b".", OFlags::RDONLY)
    }
}

/// Opens the folder at `path` below `root`.
fn open_folder(root: BorrowedFd<'_>, path: &[u8], access: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | access;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(root, path, flags, Mode::empty(), resolve)
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
    use std::path::Path;

    use super::*;

    #[test]
    fn a_path_splits_at_its_last_slash() {
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
    }

    fn below(root: &Path) -> Folders {
        Folders::below(rustix::fs::open(root, OFlags::PATH, Mode::empty()).unwrap())
    }

    #[test]
    fn a_symbolic_link_anywhere_in_the_path_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        symlink("a", root.path().join("link")).unwrap();
        let mut folders = below(root.path());
        for path in [&b"a/b"[..], b"", b"a"] {
            assert!(folders.opened(path).is_ok());
        }
        for path in [&b"link/b"[..], b"link", b"a/../.."] {
            assert!(folders.at(path).is_err());
        }
    }

    #[test]
    fn folders_of_any_depth_are_reached_from_below_and_above() {
        let root = tempfile::tempdir().unwrap();
        let mut folders = below(root.path());
        let depth = 3 * STEP * MAX_OPEN;
        let path = |levels: usize| vec!["d"; levels].join("/").into_bytes();
        for levels in 0..depth {
            let parent = folders.at(&path(levels)).unwrap();
            rustix::fs::mkdirat(parent, "d", Mode::RWXU).unwrap();
        }
        for levels in (0..=depth).rev() {
            folders.at(&path(levels)).unwrap();
            assert!(folders.open.len() <= MAX_OPEN);
        }
        for levels in [depth, 1, depth - 7, 0] {
            assert!(below(root.path()).at(&path(levels)).is_ok());
            assert!(folders.at(&path(levels)).is_ok());
        }
    }
}
