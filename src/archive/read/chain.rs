//! A backup with everything that it is built on, to verify or restore it.

use std::sync::Arc;

use super::reader::Reader;
use super::segment_reader::ChainReaders;
use super::walk::{Content, Counts, Walk};
use super::walk::{Lost, LostRanges};
use crate::archive::error::{ArchiveError, Result};
use crate::domain::{BackupId, Cancel, Entry, Kind, WriteAt};

/// The archives of a backup's chain. The backup itself is the last one.
#[derive(Debug)]
pub struct Chain {
    last: Arc<Reader>,
    readers: Arc<ChainReaders>,
}

impl Chain {
    /// The chain of these archives, the full backup first. Checks that each is built on the one before.
    pub fn open(readers: Vec<Arc<Reader>>) -> Result<Self> {
        let Some(last) = readers.last().map(Arc::clone) else {
            return Err(ArchiveError::Misuse("a chain of no archives".to_owned()));
        };
        let ids: Vec<BackupId> = readers.iter().map(|reader| reader.id()).collect();
        let mut needed_by = last.id();
        for id in last.manifest().chain.iter().rev() {
            if !ids.contains(id) {
                return Err(ArchiveError::MissingParent { id: *id, needed_by });
            }
            needed_by = *id;
        }
        for (position, reader) in readers.iter().enumerate() {
            let parent = position.checked_sub(1).and_then(|parent| readers.get(parent));
            check_link(reader, parent, ids.get(..=position).unwrap_or(&[]))?;
        }
        Ok(Self { last, readers: Arc::new(ChainReaders::new(readers)) })
    }

    /// The archive of the backup itself.
    pub const fn last(&self) -> &Arc<Reader> {
        &self.last
    }

    pub fn archives(&self) -> impl Iterator<Item = &Arc<Reader>> {
        self.readers.iter()
    }

    pub(crate) const fn readers(&self) -> &Arc<ChainReaders> {
        &self.readers
    }

    /// Reads every segment of the backup and compares it with the hash taken from the source.
    /// `progress` is called with the number of bytes of content that are done.
    pub fn verify(&self, workers: usize, progress: &(dyn Fn(u64) + Sync)) -> Result<Counts> {
        self.walk(workers, &Cancel::default(), progress).run(|_entry| Ok(Content::Check))
    }

    /// Restores the backup. `make` makes each entry and returns where to write its content: `None` if it has none or
    /// it is not wanted. Entries come in the archive's order, a folder before what is in it, and no path twice.
    /// Content is written by several threads, and only after its hash was compared. All places are dropped
    /// when this returns. Besides the archives' own, `cancel` ends a restore.
    pub fn restore<E: From<ArchiveError>>(
        &self,
        mut make: impl FnMut(&Entry) -> Result<Option<Arc<dyn WriteAt>>, E>,
        workers: usize,
        cancel: &Cancel,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Counts, E> {
        self.walk(workers, cancel, progress)
            .run(|entry| Ok(make(entry)?.map_or(Content::Skip, Content::Write)))
    }

    /// Restores what can be had of a damaged backup: where a segment cannot be read as it was backed up, nothing is
    /// written, and its range is returned.
    pub fn salvage<E: From<ArchiveError>>(
        &self,
        mut make: impl FnMut(&Entry) -> Result<Option<Arc<dyn WriteAt>>, E>,
        workers: usize,
        cancel: &Cancel,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(Counts, Vec<Lost>), E> {
        let lost = Arc::<LostRanges>::default();
        let walk = Walk { lost: Some(&lost), ..self.walk(workers, cancel, progress) };
        let counts =
            walk.run::<E>(|entry| Ok(make(entry)?.map_or(Content::Skip, Content::Write)))?;
        // The workers, which shared it, have ended.
        Ok((counts, Arc::into_inner(lost).unwrap_or_default().into_ranges()))
    }

    fn walk<'a>(
        &'a self,
        workers: usize,
        cancel: &'a Cancel,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Walk<'a> {
        let (backup, chain) = (&self.last, &self.readers);
        Walk { backup, chain, only_own_except: None, lost: None, workers, cancel, progress }
    }
}

/// Checks that `reader` is a child of `parent`. `ids` are the chain up to and with `reader`.
fn check_link(reader: &Reader, parent: Option<&Arc<Reader>>, ids: &[BackupId]) -> Result<()> {
    let manifest = reader.manifest();
    let mismatch =
        |what: String| Err(ArchiveError::ChainMismatch { id: reader.reported_id(), what });
    if manifest.chain != ids {
        return mismatch("it is built on other backups".to_owned());
    }
    match parent {
        None if manifest.kind == Kind::Full => Ok(()),
        None => mismatch("it is not a full backup".to_owned()),
        Some(parent) if manifest.parent_manifest == Some(parent.manifest_hash()) => Ok(()),
        Some(parent) => {
            mismatch(format!("it was built on another archive of its parent {}", parent.id()))
        }
    }
}
