//! Start-up, before the port is bound: nothing is left running, nothing half there.

use std::sync::Arc;

use crate::archive::Reader;
use crate::domain::{ArchiveFacts, Backup, Failure, FailureCode, Kind, Location};

use super::{Context, JobError, facts};

/// What was found and put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Unfinished files removed.
    pub swept: usize,
    /// Published archives whose backup is COMPLETED now.
    pub adopted: usize,
    /// Backups that are FAILED (`interrupted`) now.
    pub failed: usize,
    /// Restores that begin again.
    pub restores: usize,
    /// Drills that are made again.
    pub drills: usize,
}

/// Puts in order what the last process left. The caller holds the store's lock.
pub fn recover(context: &Context) -> Result<Recovery, JobError> {
    let mut recovery = Recovery { swept: context.storage.sweep()?, ..Recovery::default() };
    for backup in context.catalog.interrupted()? {
        if let Some((facts, version)) = published(context, &backup) {
            log::info!("backup {} was published before the interruption: adopted", backup.id);
            context.catalog.adopt(backup.id, facts, &version).wait()?;
            recovery.adopted += 1;
        } else {
            context.catalog.fail(backup.id, interrupted()).wait()?;
            recovery.failed += 1;
        }
    }
    for instance in context.catalog.reopen_restores().wait()? {
        context.local.discard_restored(&instance.project, instance.id)?;
        recovery.restores += 1;
    }
    recovery.drills = context.catalog.reopen_drills().wait()?;
    context.catalog.reopen_removals().wait()?;
    Ok(recovery)
}

fn interrupted() -> Failure {
    Failure::new(
        FailureCode::Interrupted,
        "the server stopped or lost power while this backup ran; nothing of it was kept: make a new one",
    )
}

/// The facts of the backup's archive and the version of the database, if it got as far as being published: it was proven before that.
fn published(context: &Context, backup: &Backup) -> Option<(ArchiveFacts, String)> {
    let instance = backup.instance?;
    [Kind::Full, Kind::Incremental].into_iter().find_map(|kind| {
        let location =
            Location::of(&backup.project, backup.container.as_ref(), instance, backup.id, kind);
        match read_facts(context, backup, &location) {
            Ok(facts) => facts,
            Err(error) => {
                log::warn!("archive {location} of interrupted backup {}: {error}", backup.id);
                None
            }
        }
    })
}

fn read_facts(
    context: &Context,
    backup: &Backup,
    location: &Location,
) -> Result<Option<(ArchiveFacts, String)>, JobError> {
    let Some(stored) = context.storage.stat(location)? else { return Ok(None) };
    let bytes = context.storage.open(location)?;
    let reader = Arc::new(Reader::open(bytes, &context.cancel)?);
    let manifest = reader.manifest();
    if manifest.backup.id != backup.id {
        let why = format!("it is that of backup {}", manifest.backup.id);
        return Err(JobError::Unsuitable { why });
    }
    let version = manifest.datastore.version.clone();
    let facts = ArchiveFacts {
        location: location.clone(),
        stored_bytes: stored.bytes,
        source_bytes: manifest.totals.content_bytes,
        checksum: reader.checksum(context.settings.compression_threads, &|_done| ())?,
        verified_at: stored.modified,
        verify_level: facts::level_of(manifest),
    };
    Ok(Some((facts, version)))
}
