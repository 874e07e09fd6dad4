//! Redis and Valkey servers, read live by the replication protocol.
//!
//! The server's own client asks for a snapshot as a replica would. Its length is known only at its end, so it is
//! first kept in the scratch folder, where the server's own tool checks it. The archive holds it as `dump.rdb`,
//! with every database and every function. A restore makes a folder with that file, on which a server starts.

mod check;
mod client;
mod cluster;
mod drill;
mod dump;
mod faults;
mod info;
mod load;
mod options;
mod probe;
mod rdb_file;
mod restore_text;
mod users;
mod version;

use std::path::{Path, PathBuf};

use self::options::KIND;
use super::file_name::folder_name;
use super::{
    DrillReport, DrillRequest, DumpFacts, DumpRequest, Engine, Intake, Load, LoadRequest, Probe,
    Result,
};
use crate::domain::Source;
use crate::domain::shell_word;

#[derive(Debug, Clone, Copy)]
pub(super) struct Redis;

impl Engine for Redis {
    fn name(&self) -> &'static str {
        KIND.engine
    }

    fn check_source(&self, source: &Source) -> Result<()> {
        KIND.check_source(source)
    }

    fn probe(&self, source: &Source) -> Result<Probe> {
        probe::probe(source)
    }

    /// A snapshot has no pages: a value that grows moves everything after it. Comparing 4 KiB at a time finds what
    /// kept its place; the compressor finds what moved.
    fn page_bytes(&self) -> u32 {
        4096
    }

    fn dump(&self, request: &DumpRequest<'_>, intake: &mut dyn Intake) -> Result<DumpFacts> {
        dump::dump(request, intake)
    }

    fn load(&self, request: &LoadRequest<'_>) -> Result<Box<dyn Load>> {
        Ok(Box::new(load::RedisLoad::prepare(request)?))
    }

    fn drill(&self, request: &DrillRequest<'_>) -> Result<DrillReport> {
        drill::drill(request)
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        folder_name(instance_name, "redis").into()
    }

    fn restore_hints(&self, _instance_name: &str, _source: &Source) -> Vec<String> {
        restore_text::steps("restored/data")
    }

    fn next_steps(&self, target: &Path) -> Vec<String> {
        restore_text::steps(&shell_word(target))
    }

    fn reads_server(&self) -> bool {
        true
    }
}
