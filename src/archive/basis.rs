//! What an incremental is built on.

use std::sync::Arc;

use super::error::ArchiveError;
use super::index::{Entries, Record};
use super::reader::Reader;
use crate::domain::{BackupId, EntryKind, EntryPath, Kind};

/// The parent's index, read along with the new backup's entries, and the root's content.
#[derive(Debug)]
pub struct Basis {
    parent: Arc<Reader>,
    root: Arc<Reader>,
    entries: Entries<Arc<Reader>>,
    head: Option<Arc<Record>>,
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
        let entries = Entries::new(Arc::clone(&parent))?;
        Ok(Self { parent, root, entries, head: None })
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

    /// The parent's regular file of this path. Paths must be asked for in order.
    pub(super) fn file(&mut self, path: &EntryPath) -> Result<Option<Arc<Record>>, ArchiveError> {
        while self.head.as_ref().is_none_or(|head| head.entry.path < *path) {
            match self.entries.next() {
                Some(record) => self.head = Some(Arc::new(record?)),
                None => return Ok(None),
            }
        }
        let same = self.head.as_ref().filter(|head| head.entry.path == *path);
        Ok(same.filter(|head| matches!(head.entry.kind, EntryKind::File { .. })).map(Arc::clone))
    }
}
