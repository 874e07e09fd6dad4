//! A catalog that is older than the archives: a copy of it was put back while no server ran.

use std::collections::{HashMap, HashSet};

use super::rebuild::{Candidate, Roots, candidates, import};
use super::{Context, OnProgress, Result};
use crate::catalog::{Notice, RecordOf};
use crate::domain::{BackupId, Failure, FailureCode, Kind, Timestamp};

/// What happened between the copy of the catalog and now.
#[derive(Debug, Default)]
struct Since {
    /// Archives of backups that were made.
    made: Vec<Candidate>,
    /// Archives of backups that the catalog has as deleted: they were brought back.
    returned: Vec<Candidate>,
    /// Backups that were deleted, and since when their archives are in the trash.
    deleted: Vec<(BackupId, Timestamp)>,
    /// Backups whose archives are in no place.
    missing: Vec<BackupId>,
}

impl Since {
    /// Whether something happened that the catalog does not know. What only the trash has may have been on its way out
    /// of the catalog when the process was killed.
    fn is_newer_than_catalog(&self) -> bool {
        self.made.iter().any(|it| it.discarded.is_none()) || !self.deleted.is_empty()
    }
}

/// Makes an older catalog agree with the archives, and says so. That it is older is known from archives that are newer
/// than all its rows, and from rows whose archives are in the trash; else nothing is changed.
pub(super) fn catch_up(context: &Context, progress: OnProgress<'_>) -> Result<()> {
    let since = find(context)?;
    if !since.is_newer_than_catalog() {
        if !since.returned.is_empty() {
            let roots = recorded_roots(context)?;
            let count = import(context, since.returned, roots, progress)?.imported;
            log::info!("{count} deleted backups were brought back before the server started");
        }
        return Ok(());
    }
    log::warn!("the catalog is older than the archives: what happened since is read from them");
    let deleted = context.catalog.found_in_trash(since.deleted).wait()?;
    for id in &since.missing {
        let why = "its archive is missing; once the file is there again, the backup is as before";
        let failure = Failure::new(FailureCode::ArchiveMissing, why);
        context.catalog.report_damage(*id, failure).wait()?;
    }
    let made = [since.made, since.returned].concat();
    let made = import(context, made, recorded_roots(context)?, progress)?;
    for (what, why) in &made.unusable {
        log::warn!("not in the catalog: {what}: {why}");
    }
    let text = format!(
        "the catalog was older than the archives, as a copy that was put back: {} backups made since then are in it \
         again, {deleted} deleted since then are deleted, {} have no archive any more, and {} archives cannot be \
         used. What only the catalog knew of that time is lost: tokens, quotas, strategies, pins, the history of jobs{}",
        made.imported,
        since.missing.len(),
        made.unusable.len(),
        made.advice_on_signers(context)
    );
    log::warn!("{text}");
    context.catalog.set_notice(Notice::CatalogOlder, Some(text));
    Ok(())
}

/// The archives of the full backups that the catalog has.
fn recorded_roots(context: &Context) -> Result<Roots> {
    let mut roots = Roots::new();
    context.catalog.each_archive(|it| {
        if it.kind == Kind::Full
            && let Ok(Some(stored)) = context.storage.stat(&it.location)
        {
            roots.insert(it.id, Candidate { stored, discarded: None });
        }
    })?;
    Ok(roots)
}

fn find(context: &Context) -> Result<Since> {
    // Without any row the catalog was lost, and is rebuilt.
    let Some(newest) = context.catalog.newest_backup()? else { return Ok(Since::default()) };
    let (mut since, mut stored, mut discarded) = (Since::default(), HashSet::new(), HashMap::new());
    let mut unknown = 0;
    for candidate in candidates(context)? {
        let location = candidate.stored.location.clone();
        let known = context.catalog.record_of(&location)?;
        let is_in_trash = candidate.discarded.is_some();
        match known {
            RecordOf::Nothing if is_newer(context, &candidate, newest) => {
                since.made.push(candidate.clone());
            }
            RecordOf::Nothing => unknown += usize::from(!is_in_trash),
            RecordOf::Deleted if !is_in_trash => since.returned.push(candidate.clone()),
            RecordOf::Backup | RecordOf::Deleted => {}
        }
        match candidate.discarded {
            Some(it) => drop(discarded.insert(location, it.at)),
            None => drop(stored.insert(location)),
        }
    }
    if unknown > 0 {
        log::info!("{unknown} archives are in no row of the catalog; `coffer doctor` names them");
    }
    context.catalog.each_archive(|it| {
        if it.kept
            && let Some(at) = discarded.get(&it.location)
            && !stored.contains(&it.location)
        {
            since.deleted.push((it.id, *at));
        }
    })?;
    // Only an older catalog needs to know what is in no place: on a disk that lost its archives, these may be all.
    if since.is_newer_than_catalog() {
        context.catalog.each_archive(|it| {
            let location = &it.location;
            if it.kept && !stored.contains(location) && !discarded.contains_key(location) {
                since.missing.push(it.id);
            }
        })?;
    }
    Ok(since)
}

/// Whether an archive is of a backup that was made after that.
fn is_newer(context: &Context, candidate: &Candidate, than: Timestamp) -> bool {
    let opened = candidate.open(context);
    opened.is_ok_and(|reader| reader.manifest().backup.created > than)
}
