//! The catalog again, from nothing but the archives.

use std::sync::Arc;

use crate::archive::Reader;
use crate::catalog::Recovered;
use crate::domain::ArchiveFacts;
use crate::storage::Stored;

use super::chain::StoredBytes;
use super::{Context, JobError, Progress, facts};

/// What a rebuild found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Archives that were read.
    pub archives: usize,
    /// Backups that the catalog did not have.
    pub imported: usize,
    /// Archives that could not be taken in, with the reason.
    pub unusable: Vec<(String, String)>,
}

/// Reads every archive of the store (all its bytes: the checksum is part of the record) and writes the
/// rows the catalog lacks. Rows that are there stay as they are.
pub fn rebuild(context: &Context, progress: Progress<'_>) -> Result<Rebuilt, JobError> {
    let stored = context.storage.list()?;
    let total = stored.iter().map(|archive| archive.bytes).sum();
    let mut rebuilt = Rebuilt { archives: stored.len(), ..Rebuilt::default() };
    let mut rows = Vec::new();
    let mut before = 0;
    for archive in &stored {
        match read(context, archive, &|done| progress(before + done, total)) {
            Ok(row) => rows.push(row),
            Err(error) => {
                rebuilt.unusable.push((archive.location.to_string(), error.to_string()));
            }
        }
        before += archive.bytes;
    }
    rows.sort_by_key(|row| (row.backup.created, row.backup.id));
    rebuilt.imported = context.catalog.import(rows).wait()?;
    Ok(rebuilt)
}

fn read(
    context: &Context,
    archive: &Stored,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Recovered, JobError> {
    let bytes = StoredBytes::new(context.storage.open(&archive.location)?, &context.cancel);
    let reader = Reader::open(Arc::new(bytes))?;
    let manifest = reader.manifest();
    let facts = ArchiveFacts {
        location: archive.location.to_string(),
        stored_bytes: archive.bytes,
        source_bytes: manifest.totals.content_bytes,
        checksum: reader.checksum(progress)?,
        verified_at: archive.modified,
        verify_level: facts::level_of(manifest),
    };
    Ok(facts::recovered(manifest, facts))
}
