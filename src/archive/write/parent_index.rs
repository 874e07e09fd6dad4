//! The parent's index, in which an incremental looks up the older versions of its files.

use std::sync::Arc;

use super::skipped_records::SkippedRecords;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::index::{Entries, Record};
use crate::archive::order::Order;
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
