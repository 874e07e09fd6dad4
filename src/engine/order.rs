//! What an engine is asked to do, and what it tells of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::{Cancel, CheckLevel, Source};

/// What a look at a source found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The version of the database, or of the library that reads it.
    pub version: String,
    /// About how many bytes a full backup would read.
    pub source_bytes: u64,
    /// Facts worth a line in `coffer doctor`: journal mode, page count, owner…
    pub notes: Vec<String>,
}

/// What is to be read, and how.
#[derive(Debug)]
pub struct DumpOrder<'a> {
    /// Where the data is.
    pub source: &'a Source,
    /// The instance's name: names the member in the archive where the source's own name would not do.
    pub instance_name: &'a str,
    /// How thoroughly to check what is read.
    pub check: CheckLevel,
    /// A folder for unnamed temporary files, on the archive store's filesystem.
    pub scratch: &'a Path,
    /// Whether unchanged files may be passed over ([`super::Wants::Nothing`]) or everything is to be read.
    pub trust_stamps: bool,
    /// The check that the parent's source passed; `None`: it had none, or there is no parent.
    pub parent_check: Option<&'a str>,
    /// Looked at by whoever waits for something else than the intake: asked, the dump ends as refused.
    pub cancel: &'a Cancel,
}

/// Where a restore goes.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A file or folder to make.
    Path(&'a Path),
    /// A running server: the `source` of an instance of the configuration.
    Server(&'a Source),
}

/// Whose the restored files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// As in the archive, as far as Coffer has the right.
    Kept,
    /// Whoever runs Coffer.
    Mine,
}

/// What is to be restored where.
#[derive(Debug, Clone, Copy)]
pub struct LoadOrder<'a> {
    /// Where to.
    pub target: Target<'a>,
    /// The `source` of the instance the backup is of, where that is known: which tools to use.
    pub source: Option<&'a Source>,
    /// Whose the files are.
    pub owners: Owners,
    /// Looked at by whoever waits: asked, the restore ends as refused.
    pub cancel: &'a Cancel,
}

/// What is to be tried out.
#[derive(Debug, Clone, Copy)]
pub struct DrillOrder<'a> {
    /// What was restored, with [`Owners::Mine`].
    pub restored: &'a Path,
    /// The `source` of the instance the backup is of, where that is known: which tools to use.
    pub source: Option<&'a Source>,
    /// An empty folder for sockets and logs, removed afterwards.
    pub scratch: &'a Path,
    /// Looked at by whoever waits: asked, the drill ends as refused.
    pub cancel: &'a Cancel,
}

/// What a drill found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DrillReport {
    /// The version of the server or library that read what was restored.
    pub version: String,
    /// The checks that passed, by their names in the field (`integrity_check`, `pg_amcheck`…).
    pub check: String,
    /// Rows in each table, by a name that tells it from all others (`shop.public.orders`), for the first
    /// thousand; for data that has no tables, keys or members.
    pub rows: BTreeMap<String, u64>,
    /// Tables in all.
    pub tables: u64,
    /// Rows in all.
    pub total_rows: u64,
}

impl DrillReport {
    /// How many tables [`DrillReport::rows`] names.
    const NAMED: usize = 1000;

    /// Counts a table.
    pub(in crate::engine) fn count(&mut self, table: impl Into<String>, rows: u64) {
        self.tables = self.tables.saturating_add(1);
        self.total_rows = self.total_rows.saturating_add(rows);
        if self.rows.len() < Self::NAMED {
            self.rows.insert(table.into(), rows);
        }
    }
}

/// What an engine tells of a finished dump; kept in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DumpFacts {
    /// The version of the database, or of the library that read it.
    pub version: String,
    /// Facts of the source, for people: `page_size`, `page_count`, `journal_mode`, `application_id`…
    pub facts: BTreeMap<String, serde_json::Value>,
    /// The check that was made and passed (`quick_check`, `integrity_check`); `None`: none was.
    pub check: Option<String>,
    /// How long that check took, in milliseconds.
    pub check_ms: u64,
    /// Nothing was read: everything is as it was, and `check` is the one its parent passed.
    #[serde(default)]
    pub unchanged: bool,
    /// Members that were not read, with the reason: sockets, devices, files that vanished.
    pub passed_over: Vec<PassedOver>,
    /// Files that changed while they were read, each time it was tried: their content is torn.
    pub changed_while_read: Vec<String>,
}

/// A member of a source that is not in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its path below the source's root; bytes that are not UTF-8 are shown as `\xNN`.
    pub path: String,
    /// Why: `socket`, `device`, `fifo`, `vanished`.
    pub reason: String,
}
