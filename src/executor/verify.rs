//! Proving a backup again: every segment its restore would need is decoded and its hash compared.

use std::sync::Arc;

use crate::archive::{self, ArchiveError, Chain, Reader};
use crate::domain::{Backup, BackupId, VerifyLevel};

use super::chain::blame;
use super::{JobError, Progress, facts};

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The backup.
    pub id: BackupId,
    /// Those it needs, root first, itself last.
    pub chain: Vec<BackupId>,
    /// Members.
    pub entries: u64,
    /// Bytes of content decoded.
    pub content_bytes: u64,
    /// How far it is proven: the check of its source, if one was made, still stands.
    pub level: VerifyLevel,
}

/// Decodes everything that restoring the last backup of `chain` would write, and writes nothing. Then
/// looks at what no restore of ours reads, but one by hand does: each file as a whole is compared with the
/// checksum in its row, or, where `rows` has none for it, decoded from front to back.
pub fn verify(
    chain: &Chain,
    rows: &[Backup],
    workers: usize,
    progress: Progress<'_>,
) -> Result<Verified, JobError> {
    let manifest = chain.last().manifest();
    let content = manifest.totals.content_bytes;
    let total = chain.archives().fold(content, |sum, it| sum.saturating_add(it.stored_bytes()));
    let report = chain.verify(workers, &|done| progress(done, total)).map_err(blame)?;
    let mut before = content;
    for reader in chain.archives() {
        let told = |done: u64| progress(before.saturating_add(done), total);
        whole(chain, reader, rows, workers, &told)?;
        before = before.saturating_add(reader.stored_bytes());
    }
    Ok(Verified {
        id: chain.last().reported_id(),
        chain: manifest.chain.clone(),
        entries: report.entries,
        content_bytes: report.bytes,
        level: facts::level_of(manifest),
    })
}

/// Looks at one file as a whole.
fn whole(
    chain: &Chain,
    reader: &Arc<Reader>,
    rows: &[Backup],
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), JobError> {
    let row = rows.iter().find(|row| row.id == reader.reported_id());
    let Some(facts) = row.and_then(|row| row.facts.as_ref()) else {
        archive::verify_file(reader, chain.archives().next(), workers, progress).map_err(blame)?;
        return Ok(());
    };
    if reader.checksum(workers, progress)? == facts.checksum {
        return Ok(());
    }
    Err(blame(ArchiveError::Damaged {
        backup: Some(reader.reported_id()),
        what: "its checksum is not the one in the catalog".to_owned(),
    }))
}
