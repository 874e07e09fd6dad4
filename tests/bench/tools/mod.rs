//! The other tools: one file each, as lines of shell.

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
use super::measure::{Cost, discard, measure, mib, output_of, run_shell, settle, stored_below};

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

    /// Whether its files are in the page cache while it is in use. MariaDB bypasses the cache, and mariadb-backup
    /// drops what it has read, so reading the files before a row would favour Coffer.
    pub(crate) const fn is_cached(self) -> bool {
        !matches!(self, Self::MariaDb)
    }
}

/// The work of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// The first backup, into a new store.
    Full,
    /// Another backup of the same source, with whatever shortcut the tool has.
    Unchanged,
    /// Another backup of the same source, every byte of it read.
    Reread,
    /// A backup of a source that changed.
    Changed,
    /// Restores the newest backup into an empty folder.
    Restore,
    /// Restores a full backup and prepares it until a server could start on it. Only where a restore alone is
    /// not enough for that.
    RestoreReady,
    /// Reads and checks every stored byte.
    Verify,
}

/// Where a tool reads from and writes to.
#[derive(Debug)]
pub(crate) struct Paths {
    /// A file, a folder, or the folder with a server's socket and data.
    pub(crate) source: PathBuf,
    /// The tool's own folder.
    pub(crate) store: PathBuf,
    /// The folder that it restores into.
    pub(crate) target: PathBuf,
}

/// A line to run before, which is not measured, and the one that is.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) before: String,
    pub(crate) line: String,
}

/// One tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// The program that must be installed.
    pub(crate) program: &'static str,
    /// The command that prints its version.
    pub(crate) version: &'static str,
    /// What it does beyond the work, for the table.
    pub(crate) notes: &'static str,
    /// What it backs up.
    pub(crate) reads: &'static [Kind],
    /// The commands for this work; `None` if it cannot do it.
    pub(crate) lines: fn(&Paths, Work) -> Option<Lines>,
}

/// Every tool. Those that are not installed are left out, and the report says so.
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
    pub(crate) fn is_installed(&self) -> bool {
        !output_of(&format!("command -v {}", self.program)).is_empty()
    }

    /// Does the work once. Returns `None` if it cannot do it.
    pub(crate) fn run(&self, folder: &Path, source: &Path, work: Work) -> Outcome<Option<Cost>> {
        let paths = Paths {
            source: source.to_owned(),
            store: folder.join(format!("peer-{}", self.name.replace([' ', ',', '.'], ""))),
            target: folder.join("peer-restored"),
        };
        let Some(Lines { before, line }) = (self.lines)(&paths, work) else { return Ok(None) };
        let environment = format!(
            "export RESTIC_PASSWORD=bench RESTIC_REPOSITORY='{0}' RUSTIC_PASSWORD=bench \
             RUSTIC_REPOSITORY='{0}' RUSTIC_NO_CACHE=true BORG_REPO='{0}' \
             BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes \
             BORG_CACHE_DIR='{0}.cache' RESTIC_CACHE_DIR='{0}.cache'",
            paths.store.display()
        );
        if work == Work::Full {
            run_shell(&format!("rm -rf '{0}' '{0}.cache'; mkdir -p '{0}'", paths.store.display()))?;
        }
        discard(&paths.target)?;
        std::fs::create_dir_all(&paths.target)?;
        if !before.is_empty() {
            run_shell(&format!("{environment}; {before}"))?;
        }
        let before = if work == Work::Full { 0 } else { stored_below(&paths.store) };
        let cached = self.reads.iter().all(|kind| kind.is_cached());
        let places = [Some(&*paths.store), cached.then_some(&*paths.source)];
        settle(places.into_iter().flatten())?;
        let mut cost = measure(&format!("{environment}; {line}"))?;
        if matches!(work, Work::Full | Work::Unchanged | Work::Reread | Work::Changed) {
            cost.stored_mib = mib(stored_below(&paths.store).saturating_sub(before));
        }
        discard(&paths.target)?;
        Ok(Some(cost))
    }
}
