//! Settles what the last process left unfinished, before anything is begun.

use std::sync::Arc;

use crate::catalog::Notice;
use crate::domain::{ArchiveFacts, Backup, Failure, FailureCode, Kind, Location};
use crate::storage::StoredArchive;

use super::chain::open_at;
use super::older_catalog::catch_up;
use super::presence::check;
use super::rebuild::rebuild_if_lost;
use super::{Context, JobError, OnProgress, Result, consolidate, facts, outline, proof};

/// How much of each was found and settled.
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
    /// Consolidations that begin again.
    pub consolidations: usize,
}

/// Settles what the last process left, and rebuilds a lost catalog. `None`: the archives are missing, so that is
/// done when they are there again, before anything else is begun. The caller holds the lock of the data directory.
pub fn settle(context: &Context, progress: OnProgress<'_>) -> Result<Option<Recovery>> {
    if !check(context) {
        let text = "what the last process left is settled when the archives are there again";
        context.catalog.set_notice(Notice::Unsettled, Some(text.to_owned()));
        return Ok(None);
    }
    rebuild_if_lost(context, progress)?;
    let mut recovery = recover(context)?;
    recovery.consolidations = consolidate::settle(context, progress)?;
    catch_up(context, progress)?;
    context.catalog.set_notice(Notice::Unsettled, None);
    Ok(Some(recovery))
}

/// Whether work may be begun. What the last process left is settled first; `settles` says whether by this thread.
pub(super) fn may_begin(context: &Context, settles: bool) -> bool {
    if !check(context) {
        return false;
    }
    if !context.catalog.has_notice(Notice::Unsettled) {
        return true;
    }
    if settles {
        match settle(context, &|_done, _total| ()) {
            Ok(settled) => {
                context.bell.ring();
                return settled.is_some();
            }
            Err(error) => log::error!("what the last process left is not settled: {error}"),
        }
    }
    false
}

fn recover(context: &Context) -> Result<Recovery> {
    let mut recovery = Recovery { swept: context.local.sweep()?, ..Recovery::default() };
    for backup in context.catalog.interrupted()? {
        if let Some((facts, version)) = published(context, &backup) {
            log::info!(
                "backup {} was published before the interruption: it is COMPLETED",
                backup.id
            );
            context.catalog.adopt(backup.id, facts, &version).wait()?;
            recovery.adopted += 1;
        } else {
            context.catalog.fail(backup.id, interrupted()).wait()?;
            recovery.failed += 1;
        }
    }
    for instance in context.catalog.reopen_restores().wait()? {
        context.local.remove_restored(&instance.project, instance.id)?;
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

/// The facts of the backup's archive, and the version of its database, if it was published. It was proven
/// before that.
fn published(context: &Context, backup: &Backup) -> Option<(ArchiveFacts, String)> {
    let instance = backup.instance?;
    let locations = [Kind::Full, Kind::Incremental].into_iter().flat_map(|kind| {
        let location =
            Location::of(&backup.project, backup.container.as_ref(), instance, backup.id, kind);
        [location.encrypted(), location]
    });
    locations.into_iter().find_map(|location| {
        read_facts(context, backup, &location).unwrap_or_else(|error| {
            log::warn!("archive {location} of interrupted backup {}: {error}", backup.id);
            if error.is_about_key() {
                give_up(context, &location);
            }
            None
        })
    })
}

/// The same of an encrypted archive that no key here reads, by what is kept beside it.
fn by_outline(
    context: &Context,
    backup: &Backup,
    stored: StoredArchive,
) -> Result<Option<(ArchiveFacts, String)>> {
    let found = outline::of_published(context, backup.id, &stored.location)?;
    Ok(found.map(|(manifest, bytes, checksum)| {
        let proven = proof::of_finished(&manifest, &stored);
        let facts = facts::of_archive(&manifest, stored.location, bytes, checksum, proven);
        (facts, manifest.datastore.version)
    }))
}

/// Nothing here can say what is in an encrypted archive whose backup was interrupted, and that backup has failed: the
/// archive goes into the trash.
fn give_up(context: &Context, location: &Location) {
    match context.storage.remove(location) {
        Ok(()) => log::warn!("{location} is moved to the trash: its backup has failed"),
        Err(error) => log::warn!("{location} is left over: {error}"),
    }
}

fn read_facts(
    context: &Context,
    backup: &Backup,
    location: &Location,
) -> Result<Option<(ArchiveFacts, String)>> {
    let Some(stored) = context.storage.stat(location)? else {
        if location.is_encrypted() {
            outline::forget(context, location);
        }
        return Ok(None);
    };
    let reader = match open_at(&*context.storage, location, &context.cancel) {
        Err(error) if error.is_about_key() => match by_outline(context, backup, stored)? {
            None => return Err(error),
            found => return Ok(found),
        },
        opened => Arc::new(opened?),
    };
    let manifest = reader.manifest();
    if manifest.backup.id != backup.id {
        let why = format!("it is that of backup {}", manifest.backup.id);
        return Err(JobError::ArchiveMismatch(why));
    }
    let checksum = reader.checksum(context.settings.compression_threads, &|_done| ())?;
    let proven = proof::of_finished(manifest, &stored);
    let bytes = reader.file_bytes();
    let facts = facts::of_archive(manifest, stored.location, bytes, checksum, proven);
    Ok(Some((facts, manifest.datastore.version.clone())))
}
