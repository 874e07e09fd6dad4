//! The peers: one file each, as lines of shell.

mod borg;
mod mariadb_backup;
mod mariadb_prepared;
mod pg_basebackup;
mod pgbackrest;
mod redis_cli;
mod restic;
mod rustic;
mod sqlite3;
mod tar;
mod zstd;

use std::path::{Path, PathBuf};

use super::Outcome;
use super::measure::{Cost, discard, mib, said, sh, stored_below, watched};

/// What is backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    PostgreSql,
    MariaDb,
    Redis,
}

impl Kind {
    /// Whether it is a running server, of which only its own tools can read.
    pub(crate) const fn is_server(self) -> bool {
        matches!(self, Self::PostgreSql | Self::MariaDb | Self::Redis)
    }

    /// Whether its files lie in the page cache while it is in use. MariaDB reads and writes past it, and
    /// mariadb-backup drops what it has read: to read its files for a row would be a gift.
    pub(crate) const fn is_cached(self) -> bool {
        !matches!(self, Self::MariaDb)
    }
}

/// What is asked of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// The first backup, into a new store.
    Full,
    /// The same source once more, with whatever shortcut the tool has.
    Again,
    /// The same, every byte read.
    Reread,
    /// A source that changed.
    Changed,
    /// The newest backup into an empty place.
    Restore,
    /// A full backup, up to a data directory that a server starts on, where a plain restore is none.
    Ready,
    /// Every stored byte read and checked.
    Verify,
}

/// Where things lie.
#[derive(Debug)]
pub(crate) struct Place {
    /// What is backed up: a file, a folder, or the folder with a server's socket and data.
    pub(crate) source: PathBuf,
    /// The tool's own folder.
    pub(crate) store: PathBuf,
    /// What it restores into.
    pub(crate) target: PathBuf,
}

/// A line to run before, unmeasured, and the one that is measured.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) before: String,
    pub(crate) line: String,
}

/// One peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// The program that has to be there.
    pub(crate) program: &'static str,
    /// What prints its version.
    pub(crate) version: &'static str,
    /// What it does beyond the work, for the table.
    pub(crate) notes: &'static str,
    /// What it backs up.
    pub(crate) reads: &'static [Kind],
    /// How it does it; `None`: it does not.
    pub(crate) lines: fn(&Place, Work) -> Option<Lines>,
}

/// Every peer there is a file for. One that is not installed is left out, and the report says so.
pub(crate) const TOOLS: &[Tool] = &[
    zstd::TOOL,
    tar::TOOL,
    sqlite3::TOOL,
    restic::TOOL,
    rustic::TOOL,
    borg::TOOL,
    pg_basebackup::TOOL,
    pgbackrest::TOOL,
    mariadb_backup::TOOL,
    mariadb_prepared::TOOL,
    redis_cli::TOOL,
];

impl Tool {
    /// Whether it can be run here.
    pub(crate) fn is_there(&self) -> bool {
        !said(&format!("command -v {}", self.program)).is_empty()
    }

    /// Does the work once; `None`: it does not do such work.
    pub(crate) fn run(&self, folder: &Path, source: &Path, work: Work) -> Outcome<Option<Cost>> {
        let place = Place {
            source: source.to_owned(),
            store: folder.join(format!("peer-{}", self.name.replace([' ', ',', '.'], ""))),
            target: folder.join("peer-restored"),
        };
        let Some(Lines { before, line }) = (self.lines)(&place, work) else { return Ok(None) };
        let environment = format!(
            "export RESTIC_PASSWORD=bench RESTIC_REPOSITORY='{0}' RUSTIC_PASSWORD=bench \
             RUSTIC_REPOSITORY='{0}' RUSTIC_NO_CACHE=true BORG_REPO='{0}' \
             BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes \
             BORG_CACHE_DIR='{0}.cache' RESTIC_CACHE_DIR='{0}.cache'",
            place.store.display()
        );
        if work == Work::Full {
            sh(&format!("rm -rf '{0}' '{0}.cache'; mkdir -p '{0}'", place.store.display()))?;
        }
        discard(&place.target)?;
        std::fs::create_dir_all(&place.target)?;
        if !before.is_empty() {
            sh(&format!("{environment}; {before}"))?;
        }
        let before = if work == Work::Full { 0 } else { stored_below(&place.store) };
        let cached = self.reads.iter().all(|kind| kind.is_cached());
        let places = [Some(&*place.store), cached.then_some(&*place.source)];
        super::measure::settle(&places.into_iter().flatten().collect::<Vec<_>>())?;
        let mut cost = watched(&format!("{environment}; {line}"))?;
        if matches!(work, Work::Full | Work::Again | Work::Reread | Work::Changed) {
            cost.stored_mib = mib(stored_below(&place.store).saturating_sub(before));
        }
        discard(&place.target)?;
        Ok(Some(cost))
    }
}
