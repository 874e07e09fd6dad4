//! Removing what a process that was killed left in `tmp/`.

use std::ffi::OsStr;
use std::time::SystemTime;

use super::folder::Folder;
use super::layout::{Layout, SMALL};
use super::workspace;
use crate::domain::{BackupId, Timestamp};
use crate::storage::Result;

/// How the names begin that are made in `tmp/`, besides those of unfinished archives: small files on their way to their
/// place, the folders of drills, those of engines (the last two of version 0.1.0), files that never had a name where the
/// filesystem can do that, and folders that a removal of version 0.1.0 found too deep.
const BEGINNINGS: [&str; 7] =
    [SMALL, workspace::PREFIX, ".coffer-", "mariadb-", "pg_basebackup-", ".tmp", "swept"];

/// Removes names that Coffer makes there, and no others; returns how many there were. What cannot be removed does not
/// keep the others: the first error is returned at the end.
pub(super) fn sweep(layout: &Layout) -> Result<usize> {
    let tmp = Folder::open(&layout.tmp)?;
    let (mut swept, mut foreign, mut result) = (0, Vec::new(), Ok(()));
    for name in tmp.names()? {
        let name = name?;
        if is_own(&name) {
            let removed = tmp.remove_tree(&name);
            result = result.and(removed.map(|_bytes| swept += 1));
        } else {
            foreign.push(name);
        }
    }
    if let Some(first) = foreign.first() {
        log::warn!(
            "{} has {} names that are not Coffer's, for example {}: they are left alone; move them elsewhere",
            layout.tmp.display(),
            foreign.len(),
            first.display()
        );
    }
    result.map(|()| swept)
}

/// Removes the uploads of a place that were not written to since `before` and that are not `known`.
pub(super) fn sweep_uploads(
    layout: &Layout,
    known: &[(BackupId, String)],
    before: Timestamp,
) -> Result<usize> {
    let tmp = Folder::open(&layout.tmp)?;
    let mut swept = 0;
    for name in tmp.names()? {
        let name = name?;
        let Some((backup, attempt)) = unfinished(&name) else { continue };
        let is_known = known.iter().any(|it| it.0 == backup && it.1 == attempt.to_string());
        let written = std::fs::symlink_metadata(tmp.path_of(&name)).and_then(|it| it.modified());
        let age = written.ok().and_then(|it| it.duration_since(SystemTime::UNIX_EPOCH).ok());
        let is_old = age.is_some_and(|it| Timestamp::from_micros(0).plus(it) < before);
        if !is_known && is_old {
            tmp.remove_tree(&name)?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// Which attempt at which archive a file with this name is of.
fn unfinished(name: &OsStr) -> Option<(BackupId, u32)> {
    let (backup, attempt) = name.to_str()?.split_once('.')?;
    Some((backup.parse().ok()?, attempt.parse().ok()?))
}

/// Whether Coffer makes such names.
fn is_own(name: &OsStr) -> bool {
    let is_archive = unfinished(name).is_some();
    let Some(name) = name.to_str() else { return false };
    is_archive || BEGINNINGS.iter().any(|it| name.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_coffer_makes_are_its_own() {
        let archive = format!("{}.0", BackupId::generate());
        let engines = [".coffer-spool-x", ".coffer-mariadb-x", "mariadb-x", "pg_basebackup-x"];
        let others = [&archive, "small-x1", "drill-x1", ".tmpAb", "swept.lifted.0"];
        for own in engines.into_iter().chain(others) {
            assert!(is_own(own.as_ref()), "{own}");
        }
        for other in ["file", "smallish", ".bashrc", ".ssh", "x.0", "1.2", "drill"] {
            assert!(!is_own(other.as_ref()), "{other}");
        }
    }
}
