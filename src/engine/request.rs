//! What an engine is asked to do, and what it reports.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::{Cancel, CheckLevel, LeftOut, Source};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probe {
    /// The version of the database, or of the library that reads it.
    pub version: String,
    /// About how many bytes a full backup would read.
    pub source_bytes: u64,
    /// A copy that a backup makes first.
    pub staging: Option<Staging>,
    /// Facts shown by `coffer doctor`.
    pub notes: Vec<String>,
    /// The usual ones, shown only when they are asked for: journal mode, page count…
    pub details: Vec<String>,
    /// What backups will leave out or not vouch for, a line for each.
    pub left_out: Vec<String>,
}

impl Probe {
    /// What backups will leave out, as lines.
    pub(super) fn lines_of(left_out: &[LeftOut]) -> Vec<String> {
        left_out.iter().map(|it| format!("left out: {it}")).collect()
    }
}

/// A copy that a backup makes first, among the temporary files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staging {
    pub bytes: u64,
    /// How to do without it.
    pub instead: &'static str,
}

impl Staging {
    /// What is wrong if so many bytes are free for it, and what to do about it; `None` if they are enough.
    pub fn problem(&self, free: u64) -> Option<String> {
        (self.bytes > free).then(|| {
            format!(
                "a backup first makes a copy of about {} MiB among the temporary files, and only {} MiB are left \
                 there: make room, or {}",
                self.bytes.div_ceil(1 << 20),
                free >> 20,
                self.instead
            )
        })
    }
}

#[derive(Debug)]
pub struct DumpRequest<'a> {
    pub source: &'a Source,
    /// The instance's name, for members of the archive that have no name of their own.
    pub instance_name: &'a str,
    pub check: CheckLevel,
    /// A folder for unnamed temporary files, on the filesystem of the archives.
    pub scratch: &'a Path,
    /// Whether files with an unchanged stamp may be skipped. If not, everything is read.
    pub trust_stamps: bool,
    /// The check that the parent's source passed, if any.
    pub parent_check: Option<&'a str>,
    /// Checked during every wait for anything but the intake.
    pub cancel: &'a Cancel,
}

#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A new file or folder.
    Path(&'a Path),
    /// A running server.
    Server {
        /// The `source` of an instance of the configuration.
        source: &'a Source,
        /// The folder in which the dumps are until they are loaded.
        within: &'a Path,
    },
    /// One database of a running server, which is replaced.
    Database(Refresh<'a>),
}

/// A database that is replaced again and again by the newest backup, but only where Coffer put it there.
#[derive(Debug, Clone, Copy)]
pub struct Refresh<'a> {
    /// As the `source` of an instance names a server.
    pub server: &'a Source,
    pub database: &'a str,
    /// The folder in which the dumps are until they are loaded.
    pub within: &'a Path,
    /// Says whose it is: of this instance of this store, and of no other.
    pub mark: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// As in the archive, as far as Coffer may set that.
    FromArchive,
    /// The user that runs Coffer.
    CurrentUser,
}

#[derive(Debug, Clone, Copy)]
pub struct LoadRequest<'a> {
    pub target: Target<'a>,
    /// The `source` of the backup's instance, if known: it says which tools to use.
    pub source: Option<&'a Source>,
    pub owners: Owners,
    pub cancel: &'a Cancel,
}

#[derive(Debug, Clone, Copy)]
pub struct DrillRequest<'a> {
    /// What was restored, with [`Owners::CurrentUser`].
    pub restored: &'a Path,
    /// The `source` of the backup's instance, if known: it says which tools to use.
    pub source: Option<&'a Source>,
    /// An empty folder for sockets and logs. The caller removes it.
    pub scratch: &'a Path,
    pub cancel: &'a Cancel,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DrillReport {
    /// The version of the server or library that read the data.
    pub version: String,
    /// The checks that passed: `integrity_check`, `pg_amcheck`…
    pub check: String,
    /// Rows in each of the first thousand tables, by full name (`shop.public.orders`). Data without tables counts keys
    /// or members instead.
    pub rows: BTreeMap<String, u64>,
    pub tables: u64,
    pub total_rows: u64,
    #[serde(skip)]
    pub(in crate::engine) counted: Counted,
}

/// What a drill counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::engine) enum Counted {
    #[default]
    Rows,
    /// Of a tree.
    Members,
    /// Of a server of keys and values, which may hold functions too.
    Keys,
}

impl DrillReport {
    /// `2 rows in 1 table`.
    pub fn total(&self) -> String {
        let some = |number: u64, noun: &str| {
            format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
        };
        match self.counted {
            Counted::Rows => {
                format!("{} in {}", some(self.total_rows, "row"), some(self.tables, "table"))
            }
            Counted::Members => some(self.total_rows, "member"),
            Counted::Keys => format!("{} keys and functions", self.total_rows),
        }
    }

    /// How many tables [`DrillReport::rows`] lists at most.
    const MAX_LISTED: usize = 1000;

    pub(in crate::engine) fn count(&mut self, table: impl Into<String>, rows: u64) {
        self.tables = self.tables.saturating_add(1);
        self.total_rows = self.total_rows.saturating_add(rows);
        if self.rows.len() < Self::MAX_LISTED {
            self.rows.insert(table.into(), rows);
        }
    }
}

/// What an engine reports of a dump. It is kept in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DumpFacts {
    /// The version of the database, or of the library that read it.
    pub version: String,
    /// Facts about the source, for people: `page_size`, `journal_mode`…
    pub facts: BTreeMap<String, serde_json::Value>,
    /// The check that passed (`quick_check`, `integrity_check`), if one was made.
    pub check: Option<String>,
    pub check_ms: u64,
    /// Nothing was read, because nothing changed; `check` is the parent's.
    #[serde(default)]
    pub unchanged: bool,
    /// What of the source is not in the archive, or may be inconsistent there, and a person could miss.
    /// Empty if `unchanged`: then it is the parent's.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

impl DumpFacts {
    /// How many things [`DumpFacts::left_out`] names at most.
    const MAX_LEFT_OUT: usize = 1000;

    /// Notes that something is not in the archive. A path is written as `printable` does.
    pub fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        match self.left_out.len() {
            Self::MAX_LEFT_OUT => {
                self.left_out.push(LeftOut::new("more than these", "only the first are listed"));
            }
            listed if listed < Self::MAX_LEFT_OUT => self.left_out.push(LeftOut::new(what, why)),
            _ => {}
        }
    }
}
