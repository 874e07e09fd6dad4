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
mod look;
mod source_path;
mod sqlite;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{CheckLevel, Entry, EntryPath, Source};

pub use error::EngineError;

/// Every engine, by the name it has in the configuration and on the wire.
pub static ENGINES: &[&dyn Engine] = &[&sqlite::Sqlite, &directory::Directory];

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

    /// Reads the source once, consistently, into `intake`.
    ///
    /// Entries come in the order of [`EntryPath`], the root folder of a tree first. When this returns
    /// without an error, everything was read, every child process ended well, and the engine's own
    /// check (as far as `order.check` asks) found nothing.
    fn dump(
        &self,
        order: &DumpOrder<'_>,
        intake: &mut dyn Intake,
    ) -> Result<DumpFacts, EngineError>;

    /// Prepares a restore to `target`, which must not exist yet (or be an empty folder, for engines that
    /// restore to a folder). Writes beside it, on the same filesystem, under a name that starts with
    /// `.coffer-`, until [`Staged::place`].
    fn load(&self, target: &Path) -> Result<Box<dyn Load>, EngineError>;

    /// The `source` that reads what was restored to `target`.
    fn source_of(&self, target: &Path) -> Source;

    /// The name, below a folder for it alone, that a restore without a given path goes to:
    /// `shop.db` for a SQLite instance named `shop`, the folder's name for a tree.
    fn target_name(&self, instance_name: &str) -> PathBuf;

    /// What a person without Coffer does after unpacking the archive into the folder `restored/`, so that
    /// the data is in use again: shell commands and `#` comments for `RESTORE.txt`, a line each.
    /// The data lies below `restored/data/`.
    fn restore_hints(&self, instance_name: &str) -> Vec<String>;
}

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
    /// Whether unchanged files may be passed over ([`Wants::Nothing`]) or everything is to be read.
    pub trust_stamps: bool,
}

/// What an engine tells of a finished dump; kept in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DumpFacts {
    /// The version of the database, or of the library that read it.
    pub version: String,
    /// Facts of the source, for people: `page_size`, `page_count`, `journal_mode`, `application_id`…
    pub facts: std::collections::BTreeMap<String, serde_json::Value>,
    /// The check that was made and passed (`quick_check`, `integrity_check`); `None`: none was.
    pub check: Option<String>,
    /// How long that check took, in milliseconds.
    pub check_ms: u64,
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

/// Whether the content of an entry is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Every segment, in order, then the next entry.
    Content,
    /// Nothing: it has none, or it is unchanged since the parent and its stamp was trusted.
    Nothing,
}

/// The taker of a dump said no: it was cancelled, or the archive could not be written. It knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the archive does not take more")]
pub struct Refused;

/// Where an engine pours what it reads.
pub trait Intake {
    /// Says how many bytes of content are to come, about: for progress and for reserving space.
    fn expect(&mut self, bytes: u64) -> Result<(), Refused>;

    /// Begins an entry. The one before must be complete.
    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<Wants, Refused>;

    /// An empty buffer that holds [`crate::domain::SEGMENT_BYTES`] without growing. Buffers go round.
    fn buffer(&mut self) -> Vec<u8>;

    /// The next segment of the file begun last: full length, but for the last one. Holes are given as zeros.
    /// Together they must be as long as the entry said.
    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Refused>;

    /// Forgets the file begun last, however much of it was given: it changed while it was read.
    /// The same path may be begun again.
    fn retract(&mut self) -> Result<(), Refused>;
}

/// A file of a restore, written at any position by several threads.
pub trait Place: Send + Sync + std::fmt::Debug {
    /// Writes all of `bytes` at `offset`. What is never written stays a hole.
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()>;
}

/// A restore in progress. Dropped without [`Load::finish`] it leaves nothing behind.
pub trait Load: Send {
    /// Makes the entry. For a regular file of more than 0 bytes, gives the place for its content.
    /// Entries come in the archive's order, a folder before what is in it, a file before its hard links.
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn Place>>, EngineError>;

    /// Every byte is written: sets modes, owners and times, syncs, and runs the engine's own check
    /// (`check`: how thoroughly) on what was restored.
    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>, EngineError>;
}

/// A restore that is whole and checked but not yet where it belongs.
/// Dropped without [`Staged::place`] it leaves nothing behind.
pub trait Staged: Send {
    /// The check that passed, if one was made.
    fn check(&self) -> Option<&str>;

    /// Moves it to the target, durably, without ever replacing anything.
    fn place(self: Box<Self>) -> Result<PathBuf, EngineError>;
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
