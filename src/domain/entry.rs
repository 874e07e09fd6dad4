//! One member of a source: a file, a folder or a link, as an engine reads it and an archive keeps it.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A path that does not stay below the root it is relative to, or cannot exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a plain relative path")]
pub struct BadPath(pub String);

/// A relative path in raw bytes (names need not be UTF-8), `/`-separated, without empty, `.` or
/// `..` components. The empty path is the root itself. Ordered component by component, which is
/// the order of a sorted depth-first walk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryPath(Vec<u8>);

impl EntryPath {
    /// The root of the tree.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path with these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, BadPath> {
        let bytes = bytes.into();
        let plain = bytes.is_empty()
            || bytes.split(|byte| *byte == b'/').all(|part| {
                !part.is_empty() && part != b"." && part != b".." && !part.contains(&0)
            });
        if plain {
            Ok(Self(bytes))
        } else {
            Err(BadPath(String::from_utf8_lossy(&bytes).into_owned()))
        }
    }

    /// This path with one more component.
    pub fn join(&self, name: &[u8]) -> Result<Self, BadPath> {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self::new(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as a path of the filesystem, to be joined to the root's.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl Ord for EntryPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.split(|byte| *byte == b'/').cmp(other.0.split(|byte| *byte == b'/'))
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// For messages: what is not UTF-8 is shown as the replacement character.
impl fmt::Display for EntryPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A range of a file that holds data; what lies between such ranges are holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; never 0.
    pub length: u64,
}

/// What tells without reading whether a file is still the one that was backed up.
/// Equal stamps and sizes mean: not changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Time of the last change of data or metadata, which no program can set: nanoseconds.
    pub ctime_ns: i128,
    /// The file's number in its filesystem.
    pub inode: u64,
    /// The filesystem's device number.
    pub device: u64,
    /// A digest of what else tells of a change: where a database's log began and how far it goes. 0 for a
    /// file that is all there is.
    pub beside: u64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Its length in bytes, holes included.
        size: u64,
        /// The ranges that hold data, in order, if the file has holes; `None`: it has none.
        extents: Option<Vec<Extent>>,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What it says, byte for byte.
        target: Vec<u8>,
    },
    /// Another name of a regular file that came earlier.
    HardLink {
        /// The earlier name.
        to: EntryPath,
    },
}

/// One member of a source, with everything a restore gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, relative to the source's root.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, with set-uid, set-gid and sticky: 12 bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Last change of the data, nanoseconds since the epoch; may be negative.
    pub mtime_ns: i128,
    /// Extended attributes: name and value, in order of name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// For regular files of a tree; `None` where only reading can tell.
    pub stamp: Option<Stamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text).unwrap()
    }

    #[test]
    fn a_path_that_could_leave_its_root_is_refused() {
        for bad in ["/etc", "..", "a/../b", "a//b", "a/", "./a", "a\0b"] {
            assert!(EntryPath::new(bad).is_err(), "{bad}");
        }
        assert!(EntryPath::root().is_root());
        assert_eq!(path("a").join(b"b").unwrap(), path("a/b"));
        assert!(path("a").join(b"..").is_err());
    }

    #[test]
    fn paths_sort_as_a_walk_meets_them() {
        let mut paths = [path("a.txt"), path("a/b"), path("a"), path("a-b"), EntryPath::root()];
        paths.sort();
        assert_eq!(paths, [EntryPath::root(), path("a"), path("a/b"), path("a-b"), path("a.txt")]);
    }
}
