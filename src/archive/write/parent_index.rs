//! The parent's index, in which an incremental looks up the older versions of its files.

use std::collections::HashMap;
use std::sync::Arc;

use crate::archive::error::{ArchiveError, Result};
use crate::archive::index::{Entries, Record, encode};
use crate::archive::order::{Order, PathSet};
use crate::archive::read::Reader;
use crate::domain::{BackupId, EntryKind, EntryPath, Kind};

/// The index of an incremental's parent, read along with the new entries, and the root of the chain.
#[derive(Debug)]
pub struct ParentIndex {
    parent: Arc<Reader>,
    root: Arc<Reader>,
    entries: Entries,
    /// The parent's record that was read or found last.
    current: Option<Arc<Record>>,
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
        Ok(Self { parent, root, entries, current: None, skipped: None })
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

    /// Looks up the parent's regular file of this path. Paths must come in the order that was set; the last one may
    /// come again.
    pub(super) fn file(&mut self, path: &EntryPath) -> Result<Option<Arc<Record>>> {
        if self.skipped.is_some() {
            self.search(path)?;
        } else {
            self.read_up_to(path)?;
        }
        let found = self.current.as_ref().filter(|record| record.entry.path == *path);
        let is_file = |record: &&Arc<Record>| matches!(record.entry.kind, EntryKind::File { .. });
        Ok(found.filter(is_file).map(Arc::clone))
    }

    /// Reads on to the first path that is not less than this one.
    fn read_up_to(&mut self, path: &EntryPath) -> Result<()> {
        while self.current.as_ref().is_none_or(|record| record.entry.path < *path) {
            match self.entries.next() {
                Some(record) => self.current = Some(Arc::new(record?)),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Searches the skipped records for the path, then reads on until it comes.
    fn search(&mut self, path: &EntryPath) -> Result<()> {
        let Some(skipped) = self.skipped.as_mut() else { return Ok(()) };
        let is_current = self.current.as_ref().is_some_and(|record| record.entry.path == *path);
        if is_current || !skipped.may_have(path) {
            return Ok(());
        }
        if let Some(bytes) = skipped.remove(path) {
            self.current = Some(Arc::new(self.entries.decode(bytes)?));
            return Ok(());
        }
        for record in self.entries.by_ref() {
            let record = record?;
            if record.entry.path == *path {
                self.current = Some(Arc::new(record));
                return Ok(());
            }
            skipped.insert(record);
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
