//! What an incremental is built on.

use std::sync::Arc;

use super::aside::Aside;
use super::error::ArchiveError;
use super::index::{Entries, Record};
use super::order::Order;
use super::reader::Reader;
use crate::domain::{BackupId, EntryKind, EntryPath, Kind};

/// The parent's index, read along with the new backup's entries, and the root's content.
#[derive(Debug)]
pub struct Basis {
    parent: Arc<Reader>,
    root: Arc<Reader>,
    entries: Entries<Arc<Reader>>,
    /// The parent's record that was met last.
    head: Option<Arc<Record>>,
    /// Where parent or child are in no order: what was passed over.
    aside: Option<Aside>,
}

impl Basis {
    /// The basis for a child of `parent`. `root` is the full backup its chain begins with; may be
    /// `parent` itself.
    pub fn open(parent: Arc<Reader>, root: Arc<Reader>) -> Result<Self, ArchiveError> {
        let mismatch =
            |what: &str| Err(ArchiveError::ChainMismatch { id: root.id(), what: what.to_owned() });
        if root.manifest().kind != Kind::Full {
            return mismatch("it is not a full backup");
        }
        if parent.manifest().root_id != root.id() {
            return mismatch("another full backup is at the chain's begin");
        }
        let is_root = parent.manifest().kind == Kind::Full;
        if is_root && parent.manifest_hash() != root.manifest_hash() {
            return mismatch("there are two archives of this id");
        }
        let entries = Entries::new(Arc::clone(&parent), Some(&root))?;
        Ok(Self { parent, root, entries, head: None, aside: None })
    }

    /// Says in which order paths will be asked for.
    pub(super) fn expect(&mut self, order: Order) -> Result<(), ArchiveError> {
        let in_order = order == Order::ByPath && self.parent.order() == Order::ByPath;
        self.aside = if in_order { None } else { Some(Aside::of(&self.parent, &self.root)?) };
        Ok(())
    }

    pub(super) fn parent(&self) -> &Arc<Reader> {
        &self.parent
    }

    pub(super) const fn root(&self) -> &Arc<Reader> {
        &self.root
    }

    /// The new backup's chain, without itself.
    pub(super) fn chain(&self) -> &[BackupId] {
        &self.parent.manifest().chain
    }

    /// The parent's regular file of this path. Paths must be asked for in the order that was said; the
    /// one asked for last may be asked for again.
    pub(super) fn file(&mut self, path: &EntryPath) -> Result<Option<Arc<Record>>, ArchiveError> {
        if self.aside.is_some() {
            self.seek(path)?;
        } else {
            self.follow(path)?;
        }
        let same = self.head.as_ref().filter(|head| head.entry.path == *path);
        Ok(same.filter(|head| matches!(head.entry.kind, EntryKind::File { .. })).map(Arc::clone))
    }

    /// Reads on to where the path would be.
    fn follow(&mut self, path: &EntryPath) -> Result<(), ArchiveError> {
        while self.head.as_ref().is_none_or(|head| head.entry.path < *path) {
            match self.entries.next() {
                Some(record) => self.head = Some(Arc::new(record?)),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Looks for the path among what was passed over, then reads on until it comes.
    fn seek(&mut self, path: &EntryPath) -> Result<(), ArchiveError> {
        let Some(aside) = self.aside.as_mut() else { return Ok(()) };
        let met = self.head.as_ref().is_some_and(|head| head.entry.path == *path);
        if met || !aside.may_have(path) {
            return Ok(());
        }
        if let Some(bytes) = aside.take(path) {
            self.head = Some(Arc::new(self.entries.decode(bytes)?));
            return Ok(());
        }
        for record in self.entries.by_ref() {
            let record = record?;
            if record.entry.path == *path {
                self.head = Some(Arc::new(record));
                return Ok(());
            }
            aside.keep(record);
        }
        Ok(())
    }
}
