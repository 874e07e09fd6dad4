//! SQLite databases, read live and in process.
//!
//! A dump is one pass over `sqlite_dbpage` in one read transaction. A database in WAL mode is poured as
//! it is read, and its writers never wait; one with a rollback journal is copied to the scratch folder
//! first, so that its writers wait for the disk only. A restore is one file, checked before it is placed.

mod check;
mod direct;
mod drill;
mod dump;
mod fault;
mod load;
mod log;
mod log_files;
mod options;
mod shape;
mod snapshot;
mod sole;
mod spool;
#[cfg(test)]
mod tests_direct;
#[cfg(test)]
mod tests_dump;
#[cfg(test)]
mod tests_load;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::options::Options;
use self::snapshot::Snapshot;
use super::file_name::plain_name;
use super::{
    DrillOrder, DrillReport, DumpFacts, DumpOrder, Engine, EngineError, Intake, Load, LoadOrder,
    Probe, source_path,
};
use crate::domain::Source;

/// A look at a source does not wait for a lock longer than this.
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// The engine for SQLite databases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sqlite;

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn version(&self, _source: &Source) -> String {
        rusqlite::version().to_owned()
    }

    fn accept(&self, source: &Source) -> Result<(), EngineError> {
        Options::parse(source).map(drop)
    }

    fn probe(&self, source: &Source) -> Result<Probe, EngineError> {
        let mut options = Options::parse(source)?;
        options.lock_wait = options.lock_wait.min(PROBE_WAIT);
        let shape = Snapshot::open(&options)?.shape()?;
        Ok(Probe {
            version: rusqlite::version().to_owned(),
            source_bytes: shape.bytes(),
            notes: shape.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect(),
        })
    }

    /// SQLite's page size unless a database chose another; a comparison at 4 KiB serves those too.
    fn page_bytes(&self) -> u32 {
        4096
    }

    fn dump(
        &self,
        order: &DumpOrder<'_>,
        intake: &mut dyn Intake,
    ) -> Result<DumpFacts, EngineError> {
        dump::dump(order, intake)
    }

    fn load(&self, order: &LoadOrder<'_>) -> Result<Box<dyn Load>, EngineError> {
        Ok(Box::new(load::SqliteLoad::prepare(order)?))
    }

    fn drill(&self, order: &DrillOrder<'_>) -> Result<DrillReport, EngineError> {
        drill::drill(order)
    }

    fn source_of(&self, target: &Path) -> Source {
        source_path::source_at(target)
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        PathBuf::from(member_name(instance_name))
    }

    fn restore_hints(&self, instance_name: &str, _source: &Source) -> Vec<String> {
        let name = member_name(instance_name);
        vec![
            "# The database, whole and in one file; look at it with SQLite's own tool:".to_owned(),
            format!("sqlite3 restored/data/{name} 'PRAGMA integrity_check'"),
            "# Stop the application, move its old database and that one's -wal, -shm and -journal"
                .to_owned(),
            "# files away, and put this one in their place:".to_owned(),
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
