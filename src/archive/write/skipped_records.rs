//! Records of the parent's index that an incremental has skipped, where the two are not in the same order.
//!
//! A path is searched for by reading on in the parent's index. The records before it are kept until their paths are
//! asked for. The index is read twice: the paths of all of the parent's files are collected first, so that a search
//! for a file that the parent does not have need not read on to the end.
//!
//! Memory: 9 to 18 bytes for each of the parent's files, for the paths; and for each skipped file its path, about
//! 60 bytes, 45 more for each segment, and 40 for the table. With 100,000 files of one segment that is 1.2 MB if
//! both are in the same order, whatever was added or removed, and about 15 MB if the order is the
//! reverse. Beyond [`MAX_BYTES`] no more records are kept, and files whose records were skipped are stored
//! completely, as if they were new.

use std::collections::HashMap;
use std::sync::Arc;

use crate::archive::error::Result;
use crate::archive::index::{Record, encode};
use crate::archive::order::PathSet;
use crate::archive::read::Reader;
use crate::domain::{EntryKind, EntryPath};

/// The most that the kept records may take, each counted with [`OVERHEAD`].
const MAX_BYTES: usize = 24 << 20;
/// What a record takes besides its bytes: its place in the table, half of which may be empty, and the allocator's
/// header.
const OVERHEAD: usize = 64;

/// The paths of the parent's files, and the records that were skipped.
#[derive(Debug)]
pub(super) struct SkippedRecords {
    files: PathSet,
    records: HashMap<u64, Box<[u8]>>,
    bytes: usize,
}

impl SkippedRecords {
    /// Collects the paths of this parent's files. `root` is that of its chain.
    pub(super) fn new(parent: &Arc<Reader>, root: &Arc<Reader>) -> Result<Self> {
        let mut files = PathSet::default();
        for record in parent.entries(Some(root))? {
            let entry = record?.entry;
            if matches!(entry.kind, EntryKind::File { .. }) {
                files.insert(&entry.path).map_err(|error| error.of_given(&entry.path))?;
            }
        }
        Ok(Self { files, records: HashMap::new(), bytes: 0 })
    }

    /// Whether the parent has a file of this path. There is a chance of one in millions that `true` is wrong.
    pub(super) fn may_have(&self, path: &EntryPath) -> bool {
        self.files.contains(path)
    }

    pub(super) fn insert(&mut self, record: Record) {
        let mut record = record;
        let EntryKind::File { extents, .. } = &mut record.entry.kind else { return };
        *extents = None;
        record.entry.xattrs.clear();
        let bytes = encode(&record);
        let cost = bytes.len().saturating_add(OVERHEAD);
        if self.bytes.saturating_add(cost) <= MAX_BYTES {
            self.bytes = self.bytes.saturating_add(cost);
            self.records.insert(self.files.hash(&record.entry.path), bytes.into_boxed_slice());
        }
    }

    /// Removes and returns the record with this path, as [`encode`]d bytes.
    pub(super) fn remove(&mut self, path: &EntryPath) -> Option<Vec<u8>> {
        let bytes = self.records.remove(&self.files.hash(path))?;
        self.bytes = self.bytes.saturating_sub(bytes.len().saturating_add(OVERHEAD));
        Some(bytes.into_vec())
    }
}
