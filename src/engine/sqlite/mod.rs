//! SQLite databases, read live and in process.
//!
//! A backup reads every page in one read transaction: from the files themselves where that is safe
//! (`direct_reader`), else through `sqlite_dbpage`. A database in WAL mode goes straight into the archive, and its
//! writers are never blocked. One in rollback mode is copied to the scratch folder first, so that its writers wait
//! for the disk only. A restore is one file, checked before it is placed.

mod check;
mod direct_reader;
mod drill;
mod dump;
mod fault;
mod info;
mod load;
mod options;
mod read_only;
mod readers;
mod scratch_copy;
mod snapshot;
#[cfg(test)]
mod tests_direct_reader;
mod wal;
mod wal_files;

use std::path::PathBuf;
use std::time::Duration;

use self::options::Options;
use self::snapshot::Snapshot;
use super::file_name::plain_name;
use super::{
    DrillReport, DrillRequest, DumpFacts, DumpRequest, Engine, InPlace, Intake, Load, LoadRequest,
    Probe, Pulse, Result, Staging, mounts, source_path,
};
use crate::domain::{Cancel, Source};

/// A probe waits for a lock no longer than this.
const PROBE_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
pub(super) struct Sqlite;

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn version(&self, _source: &Source) -> String {
        rusqlite::version().to_owned()
    }

    fn check_source(&self, source: &Source) -> Result<()> {
        source_path::require_absolute(source)?;
        Options::parse(source).map(drop)
    }

    fn probe(&self, source: &Source) -> Result<Probe> {
        let mut options = Options::parse(source)?;
        options.lock_wait = options.lock_wait.min(PROBE_WAIT);
        let snapshot = Snapshot::open(&options, None, &Cancel::default(), &Pulse::default())?;
        let info = snapshot.info()?;
        let unchecked = check::not_checkable(&snapshot.connection).unwrap_or_default();
        Ok(Probe {
            version: rusqlite::version().to_owned(),
            source_bytes: info.bytes(),
            // In rollback mode a backup copies the file first, so that writers wait for the disk only.
            staging: (!info.is_wal).then(|| Staging {
                bytes: info.bytes(),
                instead: "let the application use WAL mode, which needs no copy",
            }),
            notes: Vec::new(),
            details: info.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect(),
            left_out: unchecked
                .iter()
                .map(|it| format!("not vouched for: table {it} is {}", dump::UNCHECKED))
                .collect(),
        })
    }

    /// Opening the file and closing it would end the locks that a running backup of it holds in this process.
    fn require_there(&self, source: &Source) -> Result<()> {
        let options = Options::parse(source)?;
        mounts::require_answer(&options.path, options.answer_wait)?;
        source_path::require_readable(&snapshot::regular_file(&options.path)?)
    }

    /// SQLite's default page size. Comparing 4 KiB pieces also works for other sizes.
    fn page_bytes(&self) -> u32 {
        4096
    }

    fn dump(&self, request: &DumpRequest<'_>, intake: &mut dyn Intake) -> Result<DumpFacts> {
        dump::dump(request, intake)
    }

    fn load(&self, request: &LoadRequest<'_>) -> Result<Box<dyn Load>> {
        Ok(Box::new(load::SqliteLoad::prepare(request)?))
    }

    fn drill(&self, request: &DrillRequest<'_>) -> Result<DrillReport> {
        drill::drill(request)
    }

    fn in_place(&self) -> Option<InPlace> {
        Some(InPlace { is_folder: false, companions: &load::COMPANIONS })
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        PathBuf::from(member_name(instance_name))
    }

    fn restore_hints(&self, instance_name: &str, _source: &Source) -> Vec<String> {
        let name = member_name(instance_name);
        vec![
            "# The complete database in one file. Check it with SQLite's own tool:".to_owned(),
            format!("sqlite3 restored/data/{name} 'PRAGMA integrity_check'"),
            "# Stop the application, move away its old database with its -wal, -shm and -journal"
                .to_owned(),
            "# files, and put this one in its place:".to_owned(),
            format!("mv -n restored/data/{name} /path/of/the/database"),
        ]
    }
}

/// The name of the database in the archive.
fn member_name(instance: &str) -> String {
    let mut name = plain_name(instance);
    name.push_str(".db");
    name
}
