//! The catalog again, from nothing but the archives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::archive::{self, Reader};
use crate::catalog::Recovered;
use crate::domain::{ArchiveFacts, BackupId, Kind, Location};
use crate::storage::Stored;

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

/// Where the full backups lie that were found sound.
type Roots = BTreeMap<BackupId, Location>;

/// Reads every archive of the store and writes the rows the catalog lacks: all bytes are decoded and
/// compared with the hashes, because a row that says COMPLETED says that they are sound. Rows that are
/// there stay as they are.
pub fn rebuild(context: &Context, progress: Progress<'_>) -> Result<Rebuilt, JobError> {
    let mut stored = context.storage.list()?;
    let total = stored.iter().map(|archive| archive.bytes).sum();
    let mut rebuilt = Rebuilt { archives: stored.len(), ..Rebuilt::default() };
    // An incremental is looked at with its root, so full ones come first.
    stored.sort_by_key(|archive| archive.location.kind() == Kind::Incremental);
    let (mut rows, mut roots) = (Vec::new(), Roots::new());
    let mut before = 0;
    for archive in &stored {
        match read(context, &roots, archive, &|done| progress(before + done, total)) {
            Ok(row) => {
                if row.backup.kind == Kind::Full {
                    roots.insert(row.backup.id, archive.location.clone());
                }
                rows.push(row);
            }
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
    roots: &Roots,
    archive: &Stored,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Recovered, JobError> {
    let reader = open(context, &archive.location)?;
    let manifest = reader.manifest();
    let id = manifest.backup.id;
    if archive.location.backup_id().is_some_and(|named| named != id) {
        let why = format!("it is the archive of backup {id}, under another one's name");
        return Err(JobError::Unsuitable { why });
    }
    let root = match roots.get(&manifest.root_id) {
        Some(location) if manifest.kind == Kind::Incremental => Some(open(context, location)?),
        _ => None,
    };
    let workers = context.settings.compression_threads;
    let checksum = if manifest.kind == Kind::Full || root.is_some() {
        archive::verify_file(&reader, root.as_ref(), workers, progress)?
    } else {
        // Nothing restores it while its root is missing; its row says what is missing.
        reader.checksum(workers, progress)?
    };
    let facts = ArchiveFacts {
        location: archive.location.clone(),
        stored_bytes: archive.bytes,
        source_bytes: manifest.totals.content_bytes,
        checksum,
        verified_at: archive.modified,
        verify_level: facts::level_of(manifest),
    };
    Ok(facts::recovered(manifest, facts))
}

fn open(context: &Context, location: &Location) -> Result<Arc<Reader>, JobError> {
    let bytes = context.storage.open(location)?;
    Ok(Arc::new(Reader::open(bytes, &context.cancel)?))
}
