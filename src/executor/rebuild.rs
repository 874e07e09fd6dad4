//! The catalog again, from nothing but the archives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::archive;
use crate::catalog::{Notice, Recovered};
use crate::domain::{BackupId, Kind, Location};
use crate::storage::StoredArchive;

use super::chain::open_at;
use super::presence::require_archives;
use super::{Context, JobError, OnProgress, Result, facts, instance_file, proof};
use crate::failpoint;

/// What a rebuilt catalog does not have.
pub const NOT_BROUGHT_BACK: &str = "Not brought back: tokens made at run time, quotas, strategies, failed backups, the \
                                    history of jobs, and what was in the trash";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RebuildReport {
    /// Archives that were read.
    pub archives: usize,
    /// Backups that the catalog did not have.
    pub imported: usize,
    /// Restored instances that the catalog did not have.
    pub instances: usize,
    /// Archives and records of instances.
    pub unusable: instance_file::Unusable,
}

/// Where the full backups are that are sound.
type Roots = BTreeMap<BackupId, Location>;

/// Reads every archive in the storage and adds the rows that the catalog lacks. All bytes are decoded and
/// compared with their hashes, because a COMPLETED row says that they are sound. Existing rows stay as they
/// are.
pub fn rebuild(context: &Context, progress: OnProgress<'_>) -> Result<RebuildReport> {
    let mut stored = context.storage.list()?;
    let total = stored.iter().map(|archive| archive.bytes).sum();
    let mut rebuilt = RebuildReport { archives: stored.len(), ..RebuildReport::default() };
    // An incremental is checked against its root, so full ones come first.
    stored.sort_by_key(|archive| archive.location.kind() == Kind::Incremental);
    let (mut rows, mut roots) = (Vec::new(), Roots::new());
    let mut done_before = 0;
    for archive in &stored {
        match read(context, &roots, archive, &|done| progress(done_before + done, total)) {
            Ok(row) => {
                if row.backup.kind == Kind::Full {
                    roots.insert(row.backup.id, archive.location.clone());
                }
                rows.push(row);
            }
            Err(JobError::Cancelled) => return Err(JobError::Cancelled),
            Err(error) => rebuilt.unusable.push((archive.location.to_string(), error.to_string())),
        }
        done_before += archive.bytes;
        failpoint::at("mid-rebuild");
    }
    // If their disk was taken away meanwhile, what could not be read is not unusable.
    require_archives(context)?;
    rows.sort_by_key(|row| (row.backup.created, row.backup.id));
    let (instances, unusable) = instance_file::read_all(context)?;
    rebuilt.unusable.extend(unusable);
    rebuilt.imported = context.catalog.import(rows).wait()?;
    rebuilt.instances = context.catalog.import_instances(instances).wait()?;
    Ok(rebuilt)
}

/// Rebuilds a catalog that has no backup although there are archives: it was lost. All its rows are added at once,
/// so that a rebuild that is cut short begins again.
pub(super) fn rebuild_if_lost(context: &Context, progress: OnProgress<'_>) -> Result<()> {
    let stored = if context.catalog.is_empty()? { context.storage.list()? } else { Vec::new() };
    if stored.is_empty() {
        return Ok(());
    }
    let count = stored.len();
    log::warn!(
        "the catalog has no backup, but there are {count} archives: it is rebuilt from them"
    );
    let RebuildReport { archives, imported, instances, unusable } = rebuild(context, progress)?;
    for (what, why) in &unusable {
        log::warn!("not in the catalog: {what}: {why}");
    }
    let text = format!(
        "the catalog was lost and is rebuilt: {imported} backups from {archives} archives, and {instances} restored \
         instances. {NOT_BROUGHT_BACK}"
    );
    log::warn!("{text}");
    context.catalog.set_notice(Notice::CatalogRebuilt, Some(text));
    Ok(())
}

fn read(
    context: &Context,
    roots: &Roots,
    archive: &StoredArchive,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Recovered> {
    let open = |location| open_at(&*context.storage, location, &context.cancel).map(Arc::new);
    let reader = open(&archive.location)?;
    let manifest = reader.manifest();
    let id = manifest.backup.id;
    if archive.location.backup_id().is_some_and(|named| named != id) {
        let why = format!("it is the archive of backup {id}, under another backup's name");
        return Err(JobError::ArchiveMismatch(why));
    }
    let root = match roots.get(&manifest.root_id) {
        Some(location) if manifest.kind == Kind::Incremental => Some(open(location)?),
        _ => None,
    };
    let workers = context.settings.compression_threads;
    let checksum = if manifest.kind == Kind::Full || root.is_some() {
        archive::verify_file(&reader, root.as_ref(), workers, progress)?
    } else {
        // It cannot be restored without its root; its row will say what is missing.
        reader.checksum(workers, progress)?
    };
    let proven = proof::of_finished(manifest, archive);
    let location = archive.location.clone();
    let facts = facts::of_archive(manifest, location, archive.bytes, checksum, proven);
    Ok(proof::add_record(&*context.storage, facts::recovered(manifest, facts)))
}
