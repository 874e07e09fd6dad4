//! Proving a backup again: every segment that a restore needs is decoded and its hash compared.

use std::sync::Arc;

use crate::archive::{self, ArchiveError, Chain, Reader};
use crate::domain::{Backup, BackupId, Cancel, VerifyLevel};
use crate::storage::Storage;

use super::chain::{job_error, open_stored};
use super::{JobError, OnProgress, Result, facts};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    pub id: BackupId,
    /// The backups that it needs, root first, itself last.
    pub chain: Vec<BackupId>,
    /// The backups that it is built on, as the catalog knows them: every byte of their archives was compared, too.
    pub built_on: Vec<BackupId>,
    /// Files, folders and links.
    pub entries: u64,
    pub content_bytes: u64,
    /// How far it is proven: bytes, and the check of its source if one was made then.
    pub level: VerifyLevel,
}

/// Decodes everything that a restore of the last backup of `chain` would write. Then checks each complete
/// archive, because a restore by hand also reads what ours does not need: against the checksum in its row, or,
/// where `rows` has none for it, by decoding it from front to back.
pub fn verify(
    chain: &Chain,
    rows: &[Backup],
    workers: usize,
    progress: OnProgress<'_>,
) -> Result<VerifyReport> {
    let manifest = chain.last().manifest();
    let content = manifest.totals.content_bytes;
    let total = chain.archives().fold(content, |sum, it| sum.saturating_add(it.stored_bytes()));
    let report = chain.verify(workers, &|done| progress(done, total)).map_err(job_error)?;
    let mut before = content;
    for reader in chain.archives() {
        let progress = |done: u64| progress(before.saturating_add(done), total);
        check_file(chain, reader, rows, workers, &progress)?;
        before = before.saturating_add(reader.stored_bytes());
    }
    let id = chain.last().reported_id();
    Ok(VerifyReport {
        id,
        chain: manifest.chain.clone(),
        built_on: chain.archives().map(|it| it.reported_id()).filter(|it| *it != id).collect(),
        entries: report.entries,
        content_bytes: report.bytes,
        level: facts::level_of(manifest),
    })
}

/// Compares the bytes of a backup's file with the checksum that they had when they were proven, and decodes nothing: for an
/// encrypted archive, also without a key.
pub fn check_bytes(
    storage: &dyn Storage,
    backup: &Backup,
    workers: usize,
    cancel: &Cancel,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let file = open_stored(storage, backup)?;
    let Some(facts) = &backup.facts else { return Ok(()) };
    if archive::file_checksum(&file, cancel, workers, progress)? == facts.checksum {
        return Ok(());
    }
    Err(other_checksum(backup.id))
}

/// Checks one complete archive.
fn check_file(
    chain: &Chain,
    reader: &Arc<Reader>,
    rows: &[Backup],
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let row = rows.iter().find(|row| row.id == reader.reported_id());
    let Some(facts) = row.and_then(|row| row.facts.as_ref()) else {
        archive::verify_file(reader, chain.archives().next(), workers, progress)
            .map_err(job_error)?;
        return Ok(());
    };
    compare(reader, &facts.checksum, workers, progress)
}

/// Compares the bytes of a backup's own archive with the checksum that is known of it.
pub(super) fn check_archive(
    reader: &Arc<Reader>,
    backup: &Backup,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    match &backup.facts {
        Some(facts) => compare(reader, &facts.checksum, workers, progress),
        None => Ok(()),
    }
}

fn compare(
    reader: &Arc<Reader>,
    checksum: &str,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    if reader.checksum(workers, progress)? == checksum {
        return Ok(());
    }
    Err(other_checksum(reader.reported_id()))
}

fn other_checksum(backup: BackupId) -> JobError {
    job_error(ArchiveError::Damaged {
        backup: Some(backup),
        what: "its checksum is not the one in the catalog".to_owned(),
    })
}
