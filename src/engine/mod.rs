//! Databases: one file per kind. Bytes out ([`Engine::dump`]) and bytes in ([`Engine::load`]).
//!
//! An engine knows nothing of archives: it pours entries and segments into an [`Intake`], and gives
//! back a [`Load`] that files are written into. A new engine is one file and one line in [`ENGINES`],
//! and passes the conformance suite.

#[cfg(test)]
mod conformance;
mod directory;
mod error;
mod file_name;
mod flow;
mod look;
mod mariadb;
mod order;
mod own_entry;
mod postgresql;
mod redis;
mod server_source;
mod source_path;
mod spool;
mod sqlite;
mod tool;
mod tree;

use std::path::{Path, PathBuf};

use crate::domain::{EntryPath, Source};

pub use error::EngineError;
pub use flow::{Intake, Load, Placed, Refused, Staged, Wants};
pub use order::{
    DrillOrder, DrillReport, DumpFacts, DumpOrder, LoadOrder, Owners, PassedOver, Probe, Target,
};

/// Every engine, by the name it has in the configuration and on the wire.
pub static ENGINES: &[&dyn Engine] = &[
    &sqlite::Sqlite,
    &directory::Directory,
    &postgresql::Postgresql,
    &mariadb::Brand::MariaDb,
    &mariadb::Brand::MySql,
    &redis::Redis,
];

/// The engine with this name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.name() == name)
}

/// One kind of database.
pub trait Engine: Send + Sync {
    /// Its name: `sqlite`, `directory`… On the wire `datastore.type`.
    fn name(&self) -> &'static str;

    /// The version of what it reads, or of the library that reads it; `unknown` where only a server
    /// that was not reached yet could tell. Does not touch the source.
    fn version(&self, source: &Source) -> String;

    /// Says whether these are keys and values this engine understands; names the key that is not.
    /// Does not touch the source: it may not be there yet.
    fn accept(&self, source: &Source) -> Result<(), EngineError>;

    /// Opens the source and looks whether a backup would work, without making one. Says how large it is.
    fn probe(&self, source: &Source) -> Result<Probe, EngineError>;

    /// The size of the pages that the database rewrites as a whole, in bytes: what an incremental compares.
    fn page_bytes(&self) -> u32;

    /// Whether a dump gives its entries in the order of [`EntryPath`]. A server that streams its files
    /// gives them as it meets them; an incremental then keeps more of its parent's index in memory.
    fn gives_in_order(&self) -> bool {
        true
    }

    /// Reads the source once, consistently, into `intake`.
    ///
    /// Every path comes once, a folder before what is in it; see [`Engine::gives_in_order`]. When this returns
    /// without an error, everything was read, every child process ended well, and the engine's own
    /// check (as far as `order.check` asks) found nothing.
    fn dump(
        &self,
        order: &DumpOrder<'_>,
        intake: &mut dyn Intake,
    ) -> Result<DumpFacts, EngineError>;

    /// Prepares a restore.
    ///
    /// Into a path, which must not exist yet (or be an empty folder, for engines that restore to a folder):
    /// writes beside it, on the same filesystem, under a name that starts with `.coffer-`, until
    /// [`Staged::place`]. Into a running server, where the engine knows how: only what is not there yet.
    fn load(&self, order: &LoadOrder<'_>) -> Result<Box<dyn Load>, EngineError>;

    /// Uses what was restored: starts it with its own server in a scratch place where it needs one, runs
    /// the thorough check, counts the rows of every table, and stops it again. `order.restored` belongs
    /// to the drill alone and may be changed. Data that is bad is `ArchiveDamaged`; anything else that
    /// keeps the drill from being made has another code.
    fn drill(&self, order: &DrillOrder<'_>) -> Result<DrillReport, EngineError>;

    /// The `source` that reads what was restored to `target`.
    fn source_of(&self, target: &Path) -> Source;

    /// The name, below a folder for it alone, that a restore without a given path goes to:
    /// `shop.db` for a SQLite instance named `shop`, the folder's name for a tree.
    fn target_name(&self, instance_name: &str) -> PathBuf;

    /// What a person without Coffer does after unpacking the archive into the folder `restored/`, so that
    /// the data is in use again: shell commands and `#` comments for `RESTORE.txt`, a line each.
    /// The data lies below `restored/data/`.
    fn restore_hints(&self, instance_name: &str, source: &Source) -> Vec<String>;

    /// How what Coffer restored to `target` comes into use, a line each: shell commands and `#` comments.
    fn next_steps(&self, _target: &Path) -> Vec<String> {
        Vec::new()
    }

    /// Whether it reads a running server through tools of that server's. Then a look at the source at
    /// start-up ([`Engine::probe`]) is worth the connection.
    fn asks_a_server(&self) -> bool {
        false
    }
}

/// The path of an entry as text for reports: bytes that are not UTF-8 as `\xNN`.
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
