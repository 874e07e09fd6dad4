//! Engines: one folder for each kind of database.
//!
//! An engine reads a database into an [`Intake`] ([`Engine::dump`]) and restores it through a [`Load`]
//! ([`Engine::load`]). It knows nothing of archives.
//!
//! To add an engine, add its folder and a line in [`ENGINES`], and run the suite in `tests/rooms/engine/conformance.rs`
//! on it. The keys of its `source` are checked by [`Engine::check_source`] and nowhere else.

mod directory;
mod error;
mod file_name;
mod file_stat;
mod flow;
mod hidden_home;
mod mariadb;
mod mounts;
mod postgresql;
mod pour;
mod pulse;
mod redis;
mod request;
mod server_end;
mod server_source;
mod source_path;
mod spool;
mod sqlite;
mod tool;
mod tree;
mod xattrs;

use std::path::{Path, PathBuf};

use crate::domain::{EntryPath, Source};

pub use error::{EngineError, Result, Stop};
pub use flow::{Intake, Load, NeedsContent, Placed, Staged};
pub use pulse::Pulse;
use request::Counted;
pub use request::{
    DrillReport, DrillRequest, DumpFacts, DumpRequest, LoadRequest, Owners, Probe, Refresh,
    Staging, Target,
};
pub(crate) use tree::left_in as left_by_restores_in;

pub static ENGINES: &[&dyn Engine] = &[
    &sqlite::Sqlite,
    &directory::Directory,
    &postgresql::Postgresql,
    &mariadb::Brand::MariaDb,
    &mariadb::Brand::MySql,
    &redis::Redis,
];

/// The engine with this name in the configuration and in the API.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.name() == name)
}

pub trait Engine: Send + Sync {
    /// Its name: `sqlite`, `directory`… In the API it is `datastore.type`.
    fn name(&self) -> &'static str;

    /// The version of the database, or of the library that reads it; `unknown` if only a server could tell, and was
    /// not asked yet. Does not access the source.
    fn version(&self, _source: &Source) -> String {
        "unknown".to_owned()
    }

    /// Checks the keys and values of `source`. The error names the first key that is unknown or invalid. Does not
    /// access the source, which may not exist yet.
    fn check_source(&self, source: &Source) -> Result<()>;

    /// Opens the source, and checks that a backup would work, without making one.
    fn probe(&self, source: &Source) -> Result<Probe>;

    /// Fails if the source is not there or may not be read, as far as that shows at once. Of a server, only a
    /// connection shows it.
    fn require_there(&self, _source: &Source) -> Result<()> {
        Ok(())
    }

    /// What backups will leave out, a line for each, as far as that can be found while others are made. Of a server, the
    /// probe says it. Databases in files are not opened for it, which could keep a backup from reading them directly.
    fn foretell(&self, _source: &Source) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The size in bytes of the pages in which the database writes. Incremental backups compare files page by page.
    fn page_bytes(&self) -> u32;

    /// Whether a dump gives its entries in the order of [`EntryPath`]. If it does not, as when a server streams its
    /// files, an incremental backup keeps more of its parent's index in memory.
    fn dumps_in_order(&self) -> bool {
        true
    }

    /// Reads the source once, consistently, into `intake`.
    ///
    /// Every path comes once, and a folder before its members; see [`Engine::dumps_in_order`]. If this succeeds,
    /// everything was read, every child process succeeded, and the engine's own check (as thorough as `request.check`)
    /// found no problem.
    fn dump(&self, request: &DumpRequest<'_>, intake: &mut dyn Intake) -> Result<DumpFacts>;

    /// Prepares a restore.
    ///
    /// To a path, which must not exist (or be an empty folder, for engines that restore a folder): until
    /// [`Staged::place`], the data is beside it, on the same filesystem, under a name that starts with `.coffer-`.
    /// Into a running server, if the engine supports that: only databases that do not exist there.
    fn load(&self, request: &LoadRequest<'_>) -> Result<Box<dyn Load>>;

    /// Uses what was restored: starts a private server on it if it needs one, runs the most thorough check, counts the
    /// rows of every table, and stops the server. `request.restored` is for this drill only and may be changed. If the
    /// data is bad, the failure is `ArchiveDamaged`; anything else that stops the drill has another code.
    fn drill(&self, request: &DrillRequest<'_>) -> Result<DrillReport>;

    /// The `source` of an instance that was restored to `target`.
    fn source_of(&self, target: &Path) -> Source {
        source_path::source_at(target)
    }

    /// The name of the file or folder that a restore without a given path makes: `shop.db` for a SQLite instance
    /// named `shop`.
    fn target_name(&self, instance_name: &str) -> PathBuf;

    /// For `RESTORE.txt`: how a person without Coffer puts the data to use after unpacking the archive into the folder
    /// `restored/`. Lines are shell commands or `#` comments. The data is in `restored/data/`.
    fn restore_hints(&self, instance_name: &str, source: &Source) -> Vec<String>;

    /// How to put to use what Coffer restored to `target`. Lines are shell commands or `#` comments.
    fn next_steps(&self, _target: &Path) -> Vec<String> {
        Vec::new()
    }

    /// What it restores in place of; `None`: it does not restore in place of anything.
    fn in_place(&self) -> Option<InPlace> {
        None
    }

    /// Checks what is refreshed in a server by itself: the database with this name, from backups of `source`. Does not
    /// connect.
    fn check_refresh(&self, _source: &Source, _server: &Source, _database: &str) -> Result<()> {
        Err(source_path::invalid(format!(
            "staging.server: the engine {} restores into no server by itself; name a path in staging.to",
            self.name()
        )))
    }

    /// Connects to that server, and checks that the database could be replaced. Returns what was found.
    fn probe_refresh(&self, source: &Source, server: &Source, database: &str) -> Result<String> {
        self.check_refresh(source, server, database).map(|()| String::new())
    }

    /// Whether it reads a running server with that server's tools. Such a source is probed at start-up.
    fn reads_server(&self) -> bool {
        false
    }
}

/// What an engine can restore in place of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InPlace {
    pub is_folder: bool,
    /// The endings of the files beside it that belong to it, and must not be beside another one.
    pub companions: &'static [&'static str],
}

/// An entry's path as text. Bytes that are not UTF-8 become `\xNN`.
pub fn printable(path: &EntryPath) -> String {
    path.as_bytes().utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str("\\x");
            text.push_str(&hex::encode([*byte]));
        }
        text
    })
}
