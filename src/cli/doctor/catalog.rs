//! The catalog, whether a server works on it, and whether archives and records agree.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::catalog::CatalogError;
use crate::config::Config;
use crate::domain::{Backup, BackupId, Clock as _, Location, SystemClock};
use crate::executor::Context;
use crate::server;
use crate::storage::Stored;

use super::finding::Findings;

/// So many of a kind are named one by one; the rest is counted.
const NAMED: usize = 5;

/// Whether a server runs on this data directory: it holds the lock.
pub(super) fn server(config: &Config, findings: &mut Findings) {
    let path = config.data_dir.join("lock");
    let held = match File::open(&path) {
        Ok(file) => match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => false,
            Err(Errno::WOULDBLOCK) => true,
            Err(error) => return unknown(&path, &io::Error::from(error), findings),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return unknown(&path, &error, findings),
    };
    let found = if held {
        format!("runs on this data directory (server.listen is {})", config.server.listen)
    } else {
        "does not run on this data directory now".to_owned()
    };
    findings.ok("server", found);
}

fn unknown(path: &Path, error: &io::Error, findings: &mut Findings) {
    let advice = "run this as the user that runs Coffer";
    findings.warning("server", format!("{}: {error}", path.display()), advice);
}

/// Opens the catalog, if there is one, and compares it with the archives.
pub(super) fn catalog(config: &Config, findings: &mut Findings) {
    let file = config.catalog_file();
    let shown = file.display();
    if let Err(error) = std::fs::metadata(&file) {
        if error.kind() == io::ErrorKind::NotFound {
            findings.ok("catalog", format!("{shown} is not there yet; the first start makes it"));
        } else {
            let advice = "run this as the user that runs Coffer";
            findings.problem("catalog", format!("{shown}: {error}"), advice);
        }
        return;
    }
    let opened = server::open_existing(config).map_err(|error| error.to_string());
    let looked = opened.and_then(|context| {
        let backups = records(&context, findings);
        context.catalog.close();
        backups.map_err(|error| error.to_string())
    });
    match looked {
        Ok(backups) => {
            let schema = schema_version(&file)
                .map_or_else(String::new, |version| format!(", schema version {version}"));
            findings.ok("catalog", format!("{shown}: {backups} backups{schema}"));
        }
        Err(error) => findings.problem(
            "catalog",
            error,
            format!(
                "if {shown} is damaged: stop the server, move it away with its -wal and -shm, and \
                 run `coffer catalog rebuild`: the archives hold all it needs"
            ),
        ),
    }
}

/// The schema's number, as it stands in the file's header; `None` while it is only in the WAL.
fn schema_version(file: &Path) -> Option<u32> {
    let mut header = [0_u8; 64];
    File::open(file).ok()?.read_exact(&mut header).ok()?;
    let bytes: [u8; 4] = header.get(60..64)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes)).filter(|version| *version > 0)
}

/// Compares rows with archives; gives the number of rows. A running server may add and remove both
/// meanwhile, so what does not fit is looked at once more.
fn records(context: &Context, findings: &mut Findings) -> Result<usize, CatalogError> {
    let stored = context.storage.list();
    let backups = context.catalog.every_backup()?;
    match stored {
        Ok(stored) => {
            without_row(&stored, &backups, findings);
            without_archive(context, &stored, &backups, findings)?;
        }
        Err(error) => {
            let advice = "run this as the user that runs Coffer";
            findings.problem("archives", error.to_string(), advice);
        }
    }
    if let Some(ahead) = backups.iter().find(|backup| backup.created > SystemClock.now()) {
        findings.warning(
            "clock",
            format!("backup {} is from {}, which is yet to come", ahead.id, ahead.created),
            "the clock was or is wrong: set it (timedatectl set-ntp true)",
        );
    }
    Ok(backups.len())
}

fn without_row(stored: &[Stored], backups: &[Backup], findings: &mut Findings) {
    let known: HashSet<BackupId> = backups.iter().map(|backup| backup.id).collect();
    let places: HashSet<&Location> = backups
        .iter()
        .filter_map(|backup| backup.facts.as_ref())
        .map(|facts| &facts.location)
        .collect();
    let strangers: Vec<&Location> = stored
        .iter()
        .map(|archive| &archive.location)
        .filter(|place| !places.contains(place))
        .filter(|place| place.backup_id().is_none_or(|id| !known.contains(&id)))
        .collect();
    if strangers.is_empty() {
        findings.ok("archives", format!("{}, each with its record", stored.len()));
        return;
    }
    findings.warning(
        "archives",
        format!("{} without a record: {}", strangers.len(), some_of(&strangers)),
        "stop the server and run `coffer catalog rebuild`, or register them with restore_from",
    );
}

fn without_archive(
    context: &Context,
    stored: &[Stored],
    backups: &[Backup],
    findings: &mut Findings,
) -> Result<(), CatalogError> {
    let lengths: HashMap<&Location, u64> =
        stored.iter().map(|archive| (&archive.location, archive.bytes)).collect();
    let mut missing = Vec::new();
    for backup in backups.iter().filter(|backup| backup.status.is_usable()) {
        let Some(facts) = &backup.facts else { continue };
        if lengths.get(&facts.location) == Some(&facts.stored_bytes) {
            continue;
        }
        if still_there(context, backup.id)?
            && !lies_there(context, &facts.location, facts.stored_bytes)
        {
            missing.push(backup.id);
        }
    }
    if !missing.is_empty() {
        findings.problem(
            "archives",
            format!(
                "{} backups whose archive is missing or has another length: {}",
                missing.len(),
                some_of(&missing)
            ),
            "bring the files back from a copy, or delete these backups; make a full backup now",
        );
    }
    Ok(())
}

/// Whether the backup has not been deleted since the rows were read.
fn still_there(context: &Context, id: BackupId) -> Result<bool, CatalogError> {
    match context.catalog.find(id) {
        Ok(backup) => Ok(backup.status.is_usable()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the archive is there by now. One that cannot be looked at is not known to be missing.
fn lies_there(context: &Context, location: &Location, bytes: u64) -> bool {
    match context.storage.stat(location) {
        Ok(Some(archive)) => archive.bytes == bytes,
        Ok(None) => false,
        Err(_out_of_reach) => true,
    }
}

fn some_of<T: ToString>(all: &[T]) -> String {
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
        assert_eq!(some_of(&[1, 2]), "1, 2");
        assert_eq!(some_of(&[1, 2, 3, 4, 5, 6, 7]), "1, 2, 3, 4, 5, and 2 more");
    }
}
