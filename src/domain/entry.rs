//! Entries: the files, folders and links of a source, as an engine reads them and an archive keeps them.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The path is absolute, could leave the folder that it is relative to, or is not in its plain form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a plain relative path")]
pub struct BadPath(pub String);

/// A relative path as raw bytes (names need not be UTF-8), separated by `/`, without empty, `.` or `..`
/// components. The empty path is the root. Paths compare component by component, which is the order of a
/// sorted depth-first walk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryPath(Vec<u8>);

/// Whether a path may have this component.
fn is_plain(part: &[u8]) -> bool {
    !part.is_empty() && part != b"." && part != b".." && !part.contains(&0)
}

impl Entry {
    /// The same without the places of a file's data, of which there may be millions.
    #[must_use]
    pub fn without_extents(&self) -> Self {
        let kind = match &self.kind {
            EntryKind::File { size, .. } => EntryKind::File { size: *size, extents: None },
            other => other.clone(),
        };
        let Self { mode, uid, gid, mtime_ns, stamp, .. } = *self;
        let (path, xattrs) = (self.path.clone(), self.xattrs.clone());
        Self { path, kind, mode, uid, gid, mtime_ns, xattrs, stamp }
    }
}

impl EntryPath {
    /// The root: the source itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path with these bytes, if they are one.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, BadPath> {
        let bytes = bytes.into();
        let plain = bytes.is_empty() || bytes.split(|byte| *byte == b'/').all(is_plain);
        if plain {
            Ok(Self(bytes))
        } else {
            Err(BadPath(String::from_utf8_lossy(&bytes).into_owned()))
        }
    }

    /// This path with one more component.
    pub fn join(&self, name: &[u8]) -> Result<Self, BadPath> {
        if !is_plain(name) || name.contains(&b'/') {
            return Err(BadPath(String::from_utf8_lossy(name).into_owned()));
        }
        let slash: &[u8] = if self.is_root() { b"" } else { b"/" };
        Ok(Self([&self.0, slash, name].concat()))
    }

    /// Whether this is `other`, or in the folder `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(other.as_bytes());
        rest.is_some_and(|rest| other.is_root() || matches!(rest.first(), None | Some(b'/')))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path for the filesystem, to be joined to that of the root.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

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

/// For messages: bytes that are not UTF-8 become replacement characters.
impl fmt::Display for EntryPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A range of a file that holds data. Between such ranges are holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    /// How long it is, in bytes; never 0.
    pub length: u64,
}

/// What shows without reading it whether a file has changed: with an equal stamp and size it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When data or metadata last changed, in nanoseconds. No program can set it.
    pub ctime_ns: i128,
    pub inode: u64,
    pub device: u64,
    /// A digest of what else shows a change: where a database's log began and how long it is. 0 if the file
    /// stands alone.
    pub beside: u64,
}

/// The kind of an entry, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    File {
        /// Its length in bytes, holes included.
        size: u64,
        /// The ranges that hold data, in order; `None` if the file has no holes.
        extents: Option<Vec<Extent>>,
    },
    Directory,
    Symlink {
        /// Its content, byte for byte.
        target: Vec<u8>,
    },
    /// Another name of a regular file that comes earlier.
    HardLink {
        to: EntryPath,
    },
}

/// A file, folder or link of a source, with everything that a restore gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, relative to the source.
    pub path: EntryPath,
    pub kind: EntryKind,
    /// Permission bits, with set-uid, set-gid and sticky: 12 bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// When the data last changed, in nanoseconds since the epoch; may be negative.
    pub mtime_ns: i128,
    /// Extended attributes: name and value, ordered by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// For regular files; `None` if only reading the file can show whether it has changed.
    pub stamp: Option<Stamp>,
}
