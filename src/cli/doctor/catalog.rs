//! The catalog, whether a server uses it, and whether archives and records agree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::catalog::CatalogError;
use crate::cli::terminal::counted;
use crate::config::Config;
use crate::domain::{Backup, BackupId, Clock as _, Here, Location, SystemClock};
use crate::executor::{self, Context};
use crate::server::{self, ServerError};
use crate::storage::{Local, StoredArchive};

use super::finding::Findings;

/// How many of a kind are named; the others are counted.
const NAMED: usize = 5;

pub(super) const RUN_AS_COFFER: &str = "run this as the user that runs Coffer";

/// Opens the catalog, if there is one, and compares it with the archives.
pub(super) fn catalog(config: &Config, server_runs: bool, findings: &mut Findings) {
    let file = config.catalog_file();
    let shown = file.display();
    match std::fs::metadata(&file) {
        Ok(_exists) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return no_catalog(config, server_runs, findings);
        }
        Err(error) => {
            let mend = server::mended_by(&file, true);
            return findings.problem("catalog", format!("{shown}: {error}"), mend);
        }
    }
    let opened = match server::open_existing(config) {
        Err(ServerError::Denied { what, mend }) => {
            return findings.problem("catalog", format!("{what}: permission denied"), mend);
        }
        opened => opened.map_err(|error| error.to_string()),
    };
    let compared = opened.and_then(|context| {
        let backups = compare(&context, findings).and_then(|backups| {
            events(&context, findings)?;
            totals(&context, findings)?;
            Ok(backups)
        });
        context.catalog.close();
        backups.map_err(|error| error.to_string())
    });
    match compared {
        Ok(backups) => {
            let schema = schema_version(&file)
                .map_or_else(String::new, |version| format!(", schema version {version}"));
            findings.ok("catalog", format!("{shown}: {backups} backups{schema}"));
        }
        Err(error) => findings.problem(
            "catalog",
            error,
            format!(
                "if {shown} is damaged: stop the server, move the file away with its -wal and -shm, \
                 and run `coffer catalog rebuild`, which needs only the archives"
            ),
        ),
    }
}

/// Without a catalog: this is before the first start, or the catalog is lost.
fn no_catalog(config: &Config, server_runs: bool, findings: &mut Findings) {
    let shown = config.catalog_file().display().to_string();
    let stored = if config.data_dir.is_dir() {
        Local::look(&config.data_dir).map_err(|error| error.to_string())
    } else {
        Ok(None)
    };
    match stored {
        Ok(None) => {
            findings.ok("catalog", format!("{shown} does not exist yet; the first start makes it"));
        }
        Ok(Some(0)) => findings.problem(
            "catalog",
            format!("{shown} does not exist, and neither do the archives that were here"),
            "is the disk with the data directory mounted? A start would wait for the archives",
        ),
        Ok(Some(_)) if server_runs => findings.problem(
            "catalog",
            format!("{shown} does not exist any more, and the server runs"),
            "do what the server says of it: nothing must be put there before it is stopped",
        ),
        Ok(Some(count)) => findings.warning(
            "catalog",
            format!("{shown} does not exist, but {} do", counted(count, "archive")),
            "bring back a copy of it, or start the server: it reads the archives and rebuilds the catalog from them",
        ),
        Err(error) => findings.problem("catalog", error, RUN_AS_COFFER),
    }
}

/// The schema's number in the file's header; `None` while it is only in the WAL.
fn schema_version(file: &Path) -> Option<u32> {
    let mut header = [0_u8; 64];
    File::open(file).ok()?.read_exact(&mut header).ok()?;
    let bytes: [u8; 4] = header.get(60..64)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes)).filter(|version| *version > 0)
}

/// Compares the records with the archives; returns the number of records.
fn compare(context: &Context, findings: &mut Findings) -> Result<usize, CatalogError> {
    if let Some(why) = executor::why_archives_missing(context)? {
        findings.problem("archives", why, "mount their disk, or bring their folder back");
        return Ok(context.catalog.every_backup()?.len());
    }
    if let Some(why) = context.catalog.why_clock_jumped()? {
        findings.warning("clock", why, "compare it with another one: timedatectl");
    }
    // Archives first: one that a running server makes in between is not reported as an orphan.
    let stored = context.storage.list();
    let backups = context.catalog.every_backup()?;
    match stored {
        Ok(stored) => {
            orphans(&stored, &backups, findings);
            missing_archives(context, &stored, &backups, findings)?;
            known_damage(&backups, findings);
            left_out(&backups, findings);
        }
        Err(error) => findings.problem("archives", error.to_string(), RUN_AS_COFFER),
    }
    if let Some(future) = backups.iter().find(|backup| backup.created > SystemClock.now()) {
        findings.warning(
            "clock",
            format!("backup {} is from the future: {}", future.id, future.created),
            "the clock is or was wrong: set it (timedatectl set-ntp true)",
        );
    }
    Ok(backups.len())
}

/// Whether the event log is as it was written.
fn events(context: &Context, findings: &mut Findings) -> Result<(), CatalogError> {
    let (count, faults) = context.catalog.check_events()?;
    if faults.is_empty() {
        findings.ok("event log", format!("{}, none altered or removed", counted(count, "event")));
        return Ok(());
    }
    findings.problem(
        "event log",
        list(&faults),
        "somebody changed the catalog past Coffer, or its disk did: compare it with a backup of the catalog \
         (coffer events --json)",
    );
    Ok(())
}

/// Whether the totals that `coffer status` shows are those of the rows.
fn totals(context: &Context, findings: &mut Findings) -> Result<(), CatalogError> {
    let wrong = context.catalog.wrong_totals()?;
    if !wrong.is_empty() {
        findings.problem(
            "totals",
            format!("those of {} are not what its backups add up to: {}", counted(wrong.len(), "instance"), list(&wrong)),
            "somebody changed the catalog past Coffer, or its disk did: stop the server, move the catalog away with its \
             -wal and -shm, and run `coffer catalog rebuild`",
        );
    }
    Ok(())
}

/// Archives without a record.
fn orphans(stored: &[StoredArchive], backups: &[Backup], findings: &mut Findings) {
    let ids: HashSet<BackupId> = backups.iter().map(|backup| backup.id).collect();
    let locations: HashSet<&Location> =
        backups.iter().filter_map(|backup| Some(&backup.facts.as_ref()?.location)).collect();
    let orphans: Vec<&Location> = stored
        .iter()
        .map(|archive| &archive.location)
        .filter(|location| !locations.contains(location))
        .filter(|location| location.backup_id().is_none_or(|id| !ids.contains(&id)))
        .collect();
    if orphans.is_empty() {
        return findings.ok("archives", format!("{}, each with its record", stored.len()));
    }
    findings.warning(
        "archives",
        format!("{} without a record: {}", orphans.len(), list(&orphans)),
        "a start of the server adds those that are newer than the whole catalog, as after an older copy of it was put \
         back; for others stop the server and run `coffer catalog rebuild`, or register them with restore_from",
    );
}

/// Records whose archive is missing or has another length.
fn missing_archives(
    context: &Context,
    stored: &[StoredArchive],
    backups: &[Backup],
    findings: &mut Findings,
) -> Result<(), CatalogError> {
    let lengths: HashMap<&Location, u64> =
        stored.iter().map(|archive| (&archive.location, archive.bytes)).collect();
    let mut missing = Vec::new();
    let is_here = |it: &&Backup| it.status.is_usable() && it.here == Here::Yes;
    for backup in backups.iter().filter(is_here) {
        let Some(facts) = &backup.facts else { continue };
        if lengths.get(&facts.location) == Some(&facts.stored_bytes) {
            continue;
        }
        // A running server adds and removes archives, so both are checked once more.
        if still_exists(context, backup.id)?
            && !is_complete(context, &facts.location, facts.stored_bytes)
        {
            missing.push(backup.id);
        }
    }
    if !missing.is_empty() {
        findings.problem(
            "archives",
            format!(
                "{} whose archive is missing or has another length: {}",
                counted(missing.len(), "backup"),
                list(&missing)
            ),
            "bring the files back from a copy, or delete these backups; make a full backup now",
        );
    }
    Ok(())
}

/// Backups in which damage was found before, and those that are built on them.
fn known_damage(backups: &[Backup], findings: &mut Findings) {
    let is_damaged = |it: &Backup| {
        it.status.is_usable() && it.failure.as_ref().is_some_and(|it| it.code.is_damage())
    };
    // Oldest first: what a backup is built on comes before it.
    let (mut bad, mut damaged, mut built_on) = (HashSet::new(), Vec::new(), Vec::new());
    for backup in backups {
        if is_damaged(backup) {
            bad.insert(backup.id);
            damaged.push(backup.id);
        } else if backup.parent.is_some_and(|parent| bad.contains(&parent)) {
            bad.insert(backup.id);
            built_on.push(backup.id);
        }
    }
    if damaged.is_empty() {
        return;
    }
    let built_on = match built_on.len() {
        0 => String::new(),
        _ => format!("; built on a damaged backup: {}", list(&built_on)),
    };
    let (count, damaged) = (counted(damaged.len(), "backup"), list(&damaged));
    findings.problem(
        "archives",
        format!("{count} known to be damaged: {damaged}{built_on}"),
        "make a full backup now; `coffer show` says what is damaged, and `coffer verify` or `coffer drill` of \
         the backup clears this once it is sound again. What can be had of it is restored with --salvage",
    );
}

/// What the newest backup of each instance leaves out.
fn left_out(backups: &[Backup], findings: &mut Findings) {
    let usable = backups.iter().filter(|backup| backup.status.is_usable());
    // Oldest first, so that the newest stays.
    let newest: BTreeMap<_, _> = usable.map(|backup| (backup.instance, backup)).collect();
    for backup in newest.into_values() {
        let Some(facts) = backup.facts.as_ref().filter(|facts| !facts.left_out.is_empty()) else {
            continue;
        };
        let left_out: Vec<&str> = facts.left_out.iter().map(|it| it.what.as_str()).collect();
        let (count, id) = (counted(left_out.len(), "thing"), backup.id);
        findings.ok(
            "left out",
            format!("{count} not in backup {id}, or not vouched for: {}", list(&left_out)),
        );
    }
}

fn still_exists(context: &Context, id: BackupId) -> Result<bool, CatalogError> {
    match context.catalog.find(id) {
        Ok(backup) => Ok(backup.status.is_usable()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the archive exists with this length. An archive that cannot be accessed is not reported.
fn is_complete(context: &Context, location: &Location, bytes: u64) -> bool {
    match context.storage.stat(location) {
        Ok(archive) => archive.is_some_and(|archive| archive.bytes == bytes),
        Err(_no_access) => true,
    }
}

fn list<T: ToString>(all: &[T]) -> String {
    let mut named: Vec<String> = all.iter().take(NAMED).map(ToString::to_string).collect();
    if all.len() > NAMED {
        named.push(format!("and {} more", all.len() - NAMED));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_counted() {
        assert_eq!(list(&[1, 2]), "1, 2");
        assert_eq!(list(&[1, 2, 3, 4, 5, 6, 7]), "1, 2, 3, 4, 5, and 2 more");
    }
}
