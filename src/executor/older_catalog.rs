//! A catalog that is older than the archives: a copy of it was put back while no server ran.

use std::collections::{HashMap, HashSet};

use super::chain::location_of;
use super::rebuild::{Candidate, Roots, candidates, import};
use super::{Context, OnProgress, Result};
use crate::catalog::{Notice, RecordOf};
use crate::domain::{Backup, BackupId, Failure, FailureCode, Kind, Timestamp};

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

/// Makes an older catalog agree with the archives, and says so. That it is older is known from archives that are newer
/// than all its rows, and from rows whose archives are in the trash; else nothing is changed.
pub(super) fn catch_up(context: &Context, progress: OnProgress<'_>) -> Result<()> {
    let rows = context.catalog.every_backup()?;
    let since = find(context, &rows)?;
    let full = rows.iter().filter(|it| it.kind == Kind::Full);
    let roots: Roots = full.filter_map(|it| Some((it.id, of_row(context, it)?))).collect();
    // What only the trash has may have been on its way out of the catalog when the process was killed.
    if since.made.iter().all(|it| it.discarded.is_some()) && since.deleted.is_empty() {
        if !since.returned.is_empty() {
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
    let made = import(context, made, roots, progress)?;
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

fn of_row(context: &Context, backup: &Backup) -> Option<Candidate> {
    let location = location_of(backup).ok()?;
    let stored = context.storage.stat(location).ok()??;
    Some(Candidate { stored, discarded: None })
}

fn find(context: &Context, rows: &[Backup]) -> Result<Since> {
    // Without any row the catalog was lost, and is rebuilt.
    let deleted = context.catalog.trash()?;
    let newest = rows.iter().chain(&deleted).map(|it| it.created).max();
    let Some(newest) = newest else { return Ok(Since::default()) };
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
    let kept = context.catalog.kept_backups()?;
    let gone = kept.iter().filter_map(|it| Some((it, &it.facts.as_ref()?.location)));
    for (backup, location) in gone.filter(|(_, location)| !stored.contains(*location)) {
        match discarded.get(location) {
            Some(at) => since.deleted.push((backup.id, *at)),
            None => since.missing.push(backup.id),
        }
    }
    Ok(since)
}

/// Whether an archive is of a backup that was made after that.
fn is_newer(context: &Context, candidate: &Candidate, than: Timestamp) -> bool {
    let opened = candidate.open(context);
    opened.is_ok_and(|reader| reader.manifest().backup.created > than)
}
