//! Whether the archives and the catalog are where they were. A store that is suddenly empty is not believed, since
//! its disk may not be mounted: until it is there again, nothing is begun and nothing is settled.

use std::error::Error;

use crate::catalog::{CatalogError, Notice};
use crate::domain::{BackupId, DiskRoom, Here, Location, Timestamp, with_causes};
use crate::storage::{FolderId, KnownArchives, OpenArchives, StoredArchive};

use super::{Context, JobError, Result, key_trials};

/// Why the archives are thought to be missing as a whole, if so.
pub fn why_archives_missing(context: &Context) -> Result<Option<String>, CatalogError> {
    find(context).map(|found| found.err().map(|why| missing(&why)))
}

fn missing(why: &str) -> String {
    format!(
        "the archives are not where they were: {why}. Is their disk mounted? Until they are there again, nothing \
         is backed up, restored or deleted. If they are lost for good, run `coffer catalog accept-loss`"
    )
}

/// The folder that holds the archives; or why it is thought that something else, or nothing, is in their place.
fn find(context: &Context) -> Result<Result<FolderId, String>, CatalogError> {
    let (known, archives) = match (context.local.known_archives(), context.local.open_archives()) {
        (Ok(known), Ok(archives)) => (known, archives),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error.to_string())),
    };
    let after = known.map_or(Timestamp::from_micros(-1), |known| known.expected_after());
    let newest = context.catalog.newest_archives(after)?;
    let folder = archives.id();
    if newest.iter().any(|location| archives.has(location)) {
        return Ok(Ok(folder));
    }
    let same = known.is_some_and(|known| known.folder == folder);
    let found = match newest.len() {
        // Whether a single archive is lost, or all are, only the folder tells.
        0 if known.is_none() || same => true,
        1 if same => true,
        // A folder with archives, but without a catalog that knows them: they were copied to here.
        0 => {
            let listed = context.storage.list();
            listed.is_ok_and(|all| all.iter().any(|it| archives.has(&it.location)))
        }
        // The newest may be lost one by one. And the folder is right, or the first one of a data directory, if it has others
        // of ours: retention may have removed all that a copy of the catalog knows since it was made.
        _ => {
            any_exists(context, &archives, after)?
                || (known.is_none() || same) && holds_ours(context, &archives)?
        }
    };
    Ok(if found {
        Ok(folder)
    } else if newest.is_empty() {
        Err("another folder is in their place".to_owned())
    } else {
        Err("none of those in the catalog is there".to_owned())
    })
}

fn exists(context: &Context, location: &Location) -> bool {
    matches!(context.storage.stat(location), Ok(Some(_)))
}

fn any_exists(
    context: &Context,
    archives: &OpenArchives,
    after: Timestamp,
) -> Result<bool, CatalogError> {
    let Ok(stored) = context.storage.list() else { return Ok(false) };
    for StoredArchive { location, .. } in stored {
        if context.catalog.is_expected(&location, after)? && archives.has(&location) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there are archives of projects that the catalog knows.
fn holds_ours(context: &Context, archives: &OpenArchives) -> Result<bool, CatalogError> {
    let instances = context.catalog.known_instances()?;
    let Ok(stored) = context.storage.list() else { return Ok(false) };
    Ok(stored.iter().any(|StoredArchive { location, .. }| {
        instances.iter().any(|it| location.is_in(&it.project)) && archives.has(location)
    }))
}

/// Whether the archives are where they were. What fails after they were taken away is not worth a warning of its own.
pub(super) fn are_here(context: &Context) -> bool {
    matches!(why_archives_missing(context), Ok(None))
}

/// The same for the process that holds the lock: it remembers the folder, and tells the log and the health check
/// when this changes.
pub(super) fn check(context: &Context) -> bool {
    let moved = context.catalog.why_moved();
    tell(context, Notice::CatalogMoved, moved.as_deref(), "the catalog is where it was again");
    let damaged = context.catalog.why_damaged();
    tell(context, Notice::CatalogDamaged, damaged.as_deref(), "the catalog is sound");
    let written = context.catalog.why_written_by_others();
    tell(context, Notice::CatalogWritten, written.as_deref(), "the catalog is as it was");
    let read_only = context.catalog.why_read_only();
    tell(context, Notice::ReadOnly, read_only.as_deref(), "the catalog can be written again");
    // The catalog has logged it when it began to use its reserve.
    context.catalog.set_notice(Notice::DiskFull, context.catalog.why_full());
    match context.catalog.why_clock_jumped() {
        Ok(jumped) => tell(context, Notice::ClockJumped, jumped.as_deref(), "the clock is right"),
        Err(error) => log::debug!("whether the clock jumped is not known: {error}"),
    }
    let found = find(context).map_or_else(
        |error| {
            Err(format!("whether the archives are there is not known: {}", with_causes(&error)))
        },
        |found| found.map_err(|why| missing(&why)),
    );
    let why = found.as_ref().err().map(String::as_str);
    tell(context, Notice::ArchivesMissing, why, "the archives are there again");
    note_room(context);
    key_trials::check(context);
    if let Ok(folder) = found
        && read_only.is_none()
        && let Err(error) = remember(context, folder)
        && are_here(context)
    {
        log::warn!("which folder holds the archives is not remembered: {}", with_causes(&error));
    }
    moved.is_none() && damaged.is_none() && read_only.is_none() && found.is_ok()
}

/// Tells the health check that the disk of the data directory reported an error, if this is one: a job that is tried
/// again may pass, and the disk would fail unseen.
pub(super) fn note_disk_error(context: &Context, is_disk_error: bool, error: &dyn Error) {
    if is_disk_error {
        let at = context.clock.now().to_wire();
        let text = format!(
            "the disk of the data directory reported an error at {at} UTC: {}. See in the kernel's log (dmesg) which \
             disk it is and check it (smartctl); copy the archives to another one. This is said until the next start",
            with_causes(error)
        );
        context.catalog.set_notice(Notice::DiskFailing, Some(text));
    }
}

/// Tells the catalog how much room the disk has.
pub fn note_room(context: &Context) {
    match context.local.room() {
        Ok((free_bytes, total_bytes)) => {
            let headroom_bytes = context.settings.headroom_bytes;
            let room = DiskRoom { free_bytes, total_bytes, headroom_bytes };
            context.catalog.note_room(room, context.settings.room_for_backups);
        }
        Err(error) => log::debug!("how much room the disk has is not known: {error}"),
    }
}

fn tell(context: &Context, about: Notice, why: Option<&str>, over: &str) {
    if context.catalog.set_notice(about, why.map(str::to_owned)) {
        match why {
            Some(why) => log::error!("{why}"),
            None => log::warn!("{over}: work goes on"),
        }
        context.bell.ring();
    }
}

/// Remembers the folder in which the archives were found: another one may be in its place by now.
fn remember(context: &Context, folder: FolderId) -> Result<()> {
    let known = context.local.known_archives()?;
    let now = known.map_or(KnownArchives::new(folder), |known| known.moved_to(folder));
    if known != Some(now) {
        context.local.remember_archives(&now)?;
    }
    Ok(())
}

/// A person says that archives which are missing now are lost for good: they are not waited for any more. Returns
/// the backups whose archives those are.
pub fn accept_loss(context: &Context) -> Result<Vec<BackupId>> {
    let folder = context.local.make_archives_folder()?;
    let backups = context.catalog.every_backup()?;
    let missing = backups.iter().filter(|backup| {
        let lies_here = backup.here == Here::Yes;
        backup.facts.as_ref().is_some_and(|it| lies_here && !exists(context, &it.location))
    });
    let missing: Vec<BackupId> = missing.map(|backup| backup.id).collect();
    let known = KnownArchives::new(folder);
    let known = backups.last().map_or(known, |newest| known.lost_until(newest.created));
    context.local.remember_archives(&known)?;
    Ok(missing)
}

/// Fails while the archives are missing: something that was begun before must not go on.
pub(super) fn require_archives(context: &Context) -> Result<()> {
    match why_archives_missing(context)? {
        None => Ok(()),
        Some(why) => Err(JobError::ArchivesMissing(why)),
    }
}

/// Clears what was said of archives that were missing and are there again.
pub(super) fn find_again(context: &Context) -> Result<()> {
    for backup in context.catalog.missing_archives()? {
        if backup.facts.as_ref().is_some_and(|facts| exists(context, &facts.location)) {
            log::info!("the archive of backup {} is there again", backup.id);
            context.catalog.archive_is_back(backup.id).wait()?;
        }
    }
    Ok(())
}
