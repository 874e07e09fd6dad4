//! The parent's index, in which an incremental looks up the older versions of its files.

use std::collections::HashMap;
use std::sync::Arc;

use crate::archive::error::{ArchiveError, Result};
use crate::archive::index::{Entries, Record, encode, segment_count};
use crate::archive::order::{Order, PathSet};
use crate::archive::read::Reader;
use crate::domain::{BackupId, Entry, EntryKind, EntryPath, Kind};

/// The index of an incremental's parent, read along with the new entries, and the root of the chain.
#[derive(Debug)]
pub struct ParentIndex {
    parent: Arc<Reader>,
    root: Arc<Reader>,
    entries: Entries,
    /// The parent's record that was read or found last.
    current: Option<Arc<Record>>,
    /// The entry after that, if it was read already, but none of its segments.
    ahead: Option<Entry>,
    /// The records that were skipped, if parent or child are unordered.
    skipped: Option<SkippedRecords>,
}

impl ParentIndex {
    /// Opens the index of `parent`. `root` is the full backup that its chain starts with, and may be `parent` itself.
    pub fn open(parent: Arc<Reader>, root: Arc<Reader>) -> Result<Self> {
        let mismatch =
            |what: &str| Err(ArchiveError::ChainMismatch { id: root.id(), what: what.to_owned() });
        if root.manifest().kind != Kind::Full {
            return mismatch("it is not a full backup");
        }
        if parent.manifest().root_id != root.id() {
            return mismatch("the chain starts with another full backup");
        }
        let is_root = parent.manifest().kind == Kind::Full;
        if is_root && parent.manifest_hash() != root.manifest_hash() {
            return mismatch("there are two archives with this id");
        }
        let entries = parent.entries(Some(&root))?;
        Ok(Self { parent, root, entries, current: None, ahead: None, skipped: None })
    }

    /// Sets the order in which paths will be looked up.
    pub(super) fn set_order(&mut self, order: Order) -> Result<()> {
        let both_ordered = order == Order::ByPath && self.parent.order() == Order::ByPath;
        self.skipped =
            if both_ordered { None } else { Some(SkippedRecords::new(&self.parent, &self.root)?) };
        Ok(())
    }

    pub(super) const fn parent(&self) -> &Arc<Reader> {
        &self.parent
    }

    pub(super) const fn root(&self) -> &Arc<Reader> {
        &self.root
    }

    /// The chain of the new backup without itself.
    pub(super) fn chain(&self) -> &[BackupId] {
        &self.parent.manifest().chain
    }

    /// Looks up the parent's regular file of this path, with at most so many of its segments: however long the parent's is,
    /// no more can be of use. Paths must come in the order that was set; the last one may come again.
    pub(super) fn file(&mut self, path: &EntryPath, most: usize) -> Result<Option<Arc<Record>>> {
        if self.skipped.is_some() {
            self.search(path, most)?;
        } else {
            self.read_up_to(path, most)?;
        }
        let found = self.current.as_ref().filter(|record| record.entry.path == *path);
        let is_file = |record: &&Arc<Record>| matches!(record.entry.kind, EntryKind::File { .. });
        Ok(found.filter(is_file).map(Arc::clone))
    }

    /// Reads on to the first path that is not less than this one.
    fn read_up_to(&mut self, path: &EntryPath, most: usize) -> Result<()> {
        while self.current.as_ref().is_none_or(|record| record.entry.path < *path) {
            let next = match self.ahead.take() {
                Some(entry) => Some(entry),
                None => self.entries.skip_to_entry()?,
            };
            let Some(entry) = next else { return Ok(()) };
            if entry.path > *path {
                self.ahead = Some(entry);
                return Ok(());
            }
            let wanted = if entry.path == *path { most } else { 0 };
            self.current = Some(Arc::new(self.entries.with_segments(entry, wanted)?));
        }
        Ok(())
    }

    /// Searches the skipped records for the path, then reads on until it comes.
    fn search(&mut self, path: &EntryPath, most: usize) -> Result<()> {
        let Some(skipped) = self.skipped.as_mut() else { return Ok(()) };
        let is_current = self.current.as_ref().is_some_and(|record| record.entry.path == *path);
        if is_current || !skipped.may_have(path) {
            return Ok(());
        }
        if let Some(bytes) = skipped.remove(path) {
            self.current = Some(Arc::new(self.entries.decode(bytes)?));
            return Ok(());
        }
        while let Some(entry) = self.entries.skip_to_entry()? {
            if entry.path == *path {
                self.current = Some(Arc::new(self.entries.with_segments(entry, most)?));
                return Ok(());
            }
            if skipped.may_keep(&entry) {
                skipped.insert(self.entries.with_segments(entry, usize::MAX)?);
            }
        }
        Ok(())
    }
}

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
        let mut entries = parent.entries(Some(root))?;
        while let Some(entry) = entries.skip_to_entry()? {
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

    /// Whether there is room for the record of this entry: each segment takes 33 bytes or more.
    fn may_keep(&self, entry: &Entry) -> bool {
        let EntryKind::File { size, .. } = entry.kind else { return false };
        let least = segment_count(size).unwrap_or(usize::MAX).saturating_mul(33);
        self.bytes.saturating_add(least) <= MAX_BYTES
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
