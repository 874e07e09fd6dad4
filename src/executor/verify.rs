//! Proving a backup again: every segment its restore would need is decoded and its hash compared.

use crate::archive::Chain;
use crate::domain::BackupId;

use super::chain::blame;
use super::{JobError, Progress};

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
}

/// Decodes everything that restoring the last backup of `chain` would write, and writes nothing.
pub fn verify(chain: &Chain, workers: usize, progress: Progress<'_>) -> Result<Verified, JobError> {
    let manifest = chain.target().manifest();
    let total = manifest.totals.content_bytes;
    let report = chain.verify(workers, &|done| progress(done, total)).map_err(blame)?;
    Ok(Verified {
        id: manifest.backup.id,
        chain: manifest.chain.clone(),
        entries: report.entries,
        content_bytes: report.bytes,
    })
}
