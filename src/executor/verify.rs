//! Proving a backup again: every segment its restore would need is decoded and its hash compared.

use crate::archive::Chain;
use crate::domain::BackupId;

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
pub fn verify(
    chain: &Chain,
    workers: usize,
    progress: Progress<'_>,
) -> Result<Verified, JobError> {
    let total = chain.content_bytes();
    let report = chain.verify(workers, &|done| progress(done, total)).map_err(|error| {
        match error.culprit() {
            Some(culprit) if error.is_damage() => {
                JobError::ChainBroken { culprit, why: error.to_string(), lasting: true }
            }
            _ => error.into(),
        }
    })?;
    let manifest = chain.manifest();
    Ok(Verified {
        id: manifest.backup.id,
        chain: manifest.chain.clone(),
        entries: report.entries,
        content_bytes: report.content_bytes,
    })
}
