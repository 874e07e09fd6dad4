//! What an incremental passes over in its parent's index, where the two are not in the same order.
//!
//! A path is looked for by reading on in the parent's index, and what is passed over is kept until it is
//! asked for. So that a file the parent does not have makes nobody read to the end, the paths of the
//! parent's files are known before: the index is read twice.
//!
//! Memory: 9 to 18 bytes a file of the parent for the paths, and for each file passed over its path, about
//! 60 bytes, 45 a segment, and 40 to keep them by. With 100,000 files of one segment that is 1.2 MB when both
//! are in the same order, whatever came or went, and about 15 MB in the opposite order. Beyond
//! [`MOST_BYTES`] nothing more is kept: a file that was passed over then is stored whole, as if it were new.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::ArchiveError;
use super::index::{Entries, Record, encode};
use super::order::PathSet;
use super::reader::Reader;
use crate::domain::{EntryKind, EntryPath};

/// Records kept are no longer than this together, each counted with [`ROOM`].
const MOST_BYTES: usize = 24 << 20;
/// What a record takes besides its bytes: its place in the table, which may be half empty, and the
/// allocator's head.
const ROOM: usize = 64;

/// The parent's files, and those that were passed over.
#[derive(Debug)]
pub(super) struct Aside {
    files: PathSet,
    kept: HashMap<u64, Box<[u8]>>,
    bytes: usize,
}

impl Aside {
    /// Nothing is passed over yet of this parent, in a chain that begins with `root`.
    pub(super) fn of(parent: &Arc<Reader>, root: &Arc<Reader>) -> Result<Self, ArchiveError> {
        let mut files = PathSet::default();
        for record in Entries::new(Arc::clone(parent), Some(root))? {
            let entry = record?.entry;
            if matches!(entry.kind, EntryKind::File { .. }) {
                files.insert(&entry.path).map_err(|unfit| unfit.given(&entry.path))?;
            }
        }
        Ok(Self { files, kept: HashMap::new(), bytes: 0 })
    }

    /// Whether the parent has a file of this path; by a chance of one in millions, `true` is wrong.
    pub(super) fn may_have(&self, path: &EntryPath) -> bool {
        self.files.contains(path)
    }

    /// Keeps a record that was passed over, as far as an incremental asks for it.
    pub(super) fn keep(&mut self, record: Record) {
        let mut record = record;
        let EntryKind::File { extents, .. } = &mut record.entry.kind else { return };
        *extents = None;
        record.entry.xattrs.clear();
        let bytes = encode(&record);
        let cost = bytes.len().saturating_add(ROOM);
        if self.bytes.saturating_add(cost) <= MOST_BYTES {
            self.bytes = self.bytes.saturating_add(cost);
            self.kept.insert(self.files.hash(&record.entry.path), bytes.into_boxed_slice());
        }
    }

    /// Takes out what was kept under this path.
    pub(super) fn take(&mut self, path: &EntryPath) -> Option<Vec<u8>> {
        let bytes = self.kept.remove(&self.files.hash(path))?;
        self.bytes = self.bytes.saturating_sub(bytes.len().saturating_add(ROOM));
        Some(bytes.into_vec())
    }
}
