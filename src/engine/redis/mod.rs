//! Redis and Valkey servers, read live by the replication protocol.
//!
//! The server's own client asks for a snapshot as a replica would. Its length is known at its end only, so it
//! is kept in the scratch folder, checked there by the server's own tool, and poured as `dump.rdb`: every
//! database and every function. A restore is a folder with that file, which a server starts on.

mod check;
mod client;
mod drill;
mod dump;
mod ending;
mod fault;
mod info;
mod load;
mod options;
mod probe;
#[cfg(test)]
#[path = "../../../tests/servers/redis.rs"]
mod server;
#[cfg(test)]
mod tests_drill;
#[cfg(test)]
mod tests_dump;
mod version;

use std::path::{Path, PathBuf};

use super::file_name::plain_name;
use super::{
    DrillOrder, DrillReport, DumpFacts, DumpOrder, Engine, EngineError, Intake, Load, LoadOrder,
    Probe, source_path,
};
use crate::domain::Source;

/// What a snapshot is called in the archive and in the folder restored.
const SNAPSHOT: &str = "dump.rdb";

/// The engine for Redis and Valkey servers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Redis;

impl Engine for Redis {
    fn name(&self) -> &'static str {
        options::NAME
    }

    fn version(&self, _source: &Source) -> String {
        "unknown".to_owned()
    }

    fn accept(&self, source: &Source) -> Result<(), EngineError> {
        options::parse(source).map(drop)
    }

    fn probe(&self, source: &Source) -> Result<Probe, EngineError> {
        probe::probe(source)
    }

    /// A snapshot has no pages: one longer value moves all that is behind it. What stays in its place is
    /// found at this grain, and what moved by the compressor.
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
        Ok(Box::new(load::RedisLoad::prepare(order)?))
    }

    fn drill(&self, order: &DrillOrder<'_>) -> Result<DrillReport, EngineError> {
        drill::drill(order)
    }

    fn source_of(&self, target: &Path) -> Source {
        source_path::source_at(target)
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        let name = plain_name(instance_name);
        if name.chars().all(|letter| letter == '.') {
            return PathBuf::from("redis");
        }
        PathBuf::from(name)
    }

    fn restore_hints(&self, _instance_name: &str, _source: &Source) -> Vec<String> {
        into_use("restored/data")
    }

    fn next_steps(&self, target: &Path) -> Vec<String> {
        into_use(&quoted(target))
    }

    fn asks_a_server(&self) -> bool {
        true
    }
}

/// How a folder with a snapshot comes into use. `folder` is a word of the shell's.
fn into_use(folder: &str) -> Vec<String> {
    vec![
        "# Look at the snapshot, which holds all databases and functions:".to_owned(),
        format!("redis-check-rdb {folder}/{SNAPSHOT}"),
        "# A server on it, for a look (it ends with Ctrl-C and writes nothing):".to_owned(),
        format!(
            "redis-server --dir {folder} --dbfilename {SNAPSHOT} --appendonly no --save '' --port 6380"
        ),
        "# Into the machine's own server, which must be stopped first: it writes its old data over the".to_owned(),
        "# snapshot when it stops, and with \"appendonly yes\" it does not read the snapshot at all.".to_owned(),
        "# Then start it with \"appendonly no\" and switch on with redis-cli CONFIG SET appendonly yes.".to_owned(),
        "systemctl stop redis-server".to_owned(),
        format!("mv /var/lib/redis/{SNAPSHOT} /var/lib/redis/{SNAPSHOT}.old"),
        format!("install -o redis -g redis -m 660 {folder}/{SNAPSHOT} /var/lib/redis/{SNAPSHOT}"),
        "systemctl start redis-server".to_owned(),
    ]
}

/// As one word of the shell's.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
