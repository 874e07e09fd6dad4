//! The archives that a backup needs, together: verify, restore, export.

use std::io::Write;
use std::sync::Arc;

use super::bytes::wide;
use super::error::ArchiveError;
use super::index::segment_length;
use super::load::{Holders, Loader, Position};
use super::reader::Reader;
use super::walk::{Ground, Outlet, walk};
use super::writer::Writer;
use crate::domain::{BackupId, Kind};

/// A backup with everything it is built on. The backup is the chain's last.
#[derive(Debug)]
pub struct Chain {
    target: Arc<Reader>,
    holders: Arc<Holders>,
}

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyReport {
    /// Entries of every kind.
    pub entries: u64,
    /// Regular files among them.
    pub files: u64,
    /// Bytes of content that were decompressed and had the right hash.
    pub bytes: u64,
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreReport {
    /// Entries of every kind.
    pub entries: u64,
    /// Regular files among them.
    pub files: u64,
    /// Bytes of content, holes included.
    pub bytes: u64,
}

impl Chain {
    /// The chain of these archives, the full backup first. Checks that each is the one the next was
    /// built on.
    pub fn open(readers: Vec<Arc<Reader>>) -> Result<Self, ArchiveError> {
        let Some(target) = readers.last().map(Arc::clone) else {
            return Err(ArchiveError::Misuse("a chain of no archives".to_owned()));
        };
        let ids: Vec<BackupId> = readers.iter().map(|reader| reader.id()).collect();
        let mut needed_by = target.id();
        for id in target.manifest().chain.iter().rev() {
            if !ids.contains(id) {
                return Err(ArchiveError::MissingParent { id: *id, needed_by });
            }
            needed_by = *id;
        }
        for (position, reader) in readers.iter().enumerate() {
            let before = position.checked_sub(1).and_then(|before| readers.get(before));
            check_link(reader, before, ids.get(..=position).unwrap_or(&[]))?;
        }
        Ok(Self { target, holders: Arc::new(Holders::of(readers)) })
    }

    /// The backup itself.
    pub const fn target(&self) -> &Arc<Reader> {
        &self.target
    }

    /// Every archive of the chain, the root first.
    pub fn archives(&self) -> impl Iterator<Item = &Arc<Reader>> {
        self.holders.iter()
    }

    fn ground(&self) -> Ground<'_> {
        Ground { target: &self.target, holders: &self.holders, own_but: None }
    }

    /// Decompresses every segment of the backup and compares it with the hash taken from the source.
    /// `progress` is told how many bytes of content are done.
    pub fn verify(
        &self,
        workers: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<VerifyReport, ArchiveError> {
        let seen = walk(self.ground(), workers, None, progress)?;
        Ok(VerifyReport { entries: seen.entries, files: seen.files, bytes: seen.bytes })
    }

    /// Gives the backup's content to `outlet`. Nothing is written before its hash was compared. The places
    /// are let go when this returns: whole, or with an error.
    pub fn restore(
        &self,
        outlet: &mut dyn Outlet,
        workers: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<RestoreReport, ArchiveError> {
        let seen = walk(self.ground(), workers, Some(outlet), progress)?;
        Ok(RestoreReport { entries: seen.entries, files: seen.files, bytes: seen.bytes })
    }

    /// Gives the backup's content to `writer`, as an engine would: for a full backup of any point.
    /// `progress` is told how many bytes of content are done.
    pub fn export<W: Write>(
        &self,
        writer: &mut Writer<W>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), ArchiveError> {
        let mut done = 0_u64;
        let mut loader = Loader::new(Arc::clone(&self.holders))?;
        let mut scratch = Vec::new();
        for record in self.target.entries(Some(self.holders.root()?))? {
            let record = record?;
            if !writer.entry(&record.entry, false)? {
                continue;
            }
            let only = record.segments.len() == 1;
            for (number, segment) in record.segments.iter().enumerate() {
                let length = segment_length(record.size(), number);
                let position = Position { number, only, length };
                let mut content = writer.buffer();
                content.extend_from_slice(loader.checked(segment, position, &mut scratch)?);
                done = done.saturating_add(wide(content.len()));
                writer.segment(content)?;
                progress(done);
            }
        }
        Ok(())
    }
}

/// Checks that `reader` is a child of `before`; `ids` are all up to itself.
fn check_link(
    reader: &Reader,
    before: Option<&Arc<Reader>>,
    ids: &[BackupId],
) -> Result<(), ArchiveError> {
    let manifest = reader.manifest();
    let mismatch =
        |what: &str| Err(ArchiveError::ChainMismatch { id: reader.name(), what: what.to_owned() });
    if manifest.chain != ids {
        return mismatch("it is built on other backups");
    }
    match before {
        None if manifest.kind == Kind::Full => Ok(()),
        None => mismatch("it is not a full backup"),
        Some(parent) if manifest.parent_manifest == Some(parent.manifest_hash()) => Ok(()),
        Some(parent) => {
            let what = format!("the archive of its parent {} is another one", parent.id());
            mismatch(&what)
        }
    }
}
