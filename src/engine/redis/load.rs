//! Bytes into a new folder that a Redis server can start on.

use std::sync::Arc;

use super::check::{CHECK, Checker};
use super::{SNAPSHOT, options};
use crate::domain::{Cancel, CheckLevel, Entry, EntryKind, FailureCode, Source, WriteAt};
use crate::engine::tool::Finder;
use crate::engine::tree::FolderLoad;
use crate::engine::{EngineError, Load, LoadOrder, Staged, Target, printable};

/// A restore of one snapshot.
#[derive(Debug)]
pub(super) struct RedisLoad {
    folder: FolderLoad,
    finder: Finder,
    cancel: Cancel,
    begun: bool,
}

impl RedisLoad {
    /// Makes sure that the target is free.
    pub(super) fn prepare(order: &LoadOrder<'_>) -> Result<Self, EngineError> {
        if matches!(order.target, Target::Server(_)) {
            return Err(EngineError::known(
                FailureCode::TargetDenied,
                "a Redis snapshot is not loaded into a running server, whose own keys it would mix with or \
                 replace: restore to a new folder (--to PATH) and start a server on that",
            ));
        }
        let folder = FolderLoad::prepare(order)?;
        let finder = finder(order.source);
        Ok(Self { folder, finder, cancel: order.cancel.clone(), begun: false })
    }
}

/// Where to look for tools: where the instance's source says, if that is known.
pub(super) fn finder(source: Option<&Source>) -> Finder {
    let server = source.and_then(|source| options::parse(source).ok().flatten());
    let folder = server.and_then(|server| server.at.tools);
    Finder { folder, usual: Vec::new() }
}

impl Load for RedisLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        let is_file = matches!(entry.kind, EntryKind::File { .. });
        let is_root = entry.path.is_root() && matches!(entry.kind, EntryKind::Directory);
        let is_snapshot = entry.path.as_bytes() == SNAPSHOT.as_bytes() && is_file && !self.begun;
        if !is_root && !is_snapshot {
            return Err(EngineError::archive(format!(
                "{} is not what a backup of a Redis server holds: one file {SNAPSHOT}",
                printable(&entry.path)
            )));
        }
        self.begun |= is_snapshot;
        self.folder.entry(entry)
    }

    fn finish(self: Box<Self>, level: CheckLevel) -> Result<Box<dyn Staged>, EngineError> {
        let Self { folder, finder, cancel, begun } = *self;
        if !begun {
            return Err(EngineError::archive(format!("the archive holds no {SNAPSHOT}")));
        }
        folder.finish_checked(|path| {
            // A machine that only restores may have no tools: every byte is proven without them.
            let checker = match level {
                CheckLevel::Off => None,
                CheckLevel::Quick | CheckLevel::Full => Checker::find(&finder, false).ok(),
            };
            let Some(checker) = checker else { return Ok(None) };
            checker.run_on(&path.join(SNAPSHOT), &cancel, |what| damaged(&what))?;
            Ok(Some(CHECK.to_owned()))
        })
    }
}

fn damaged(what: &str) -> EngineError {
    EngineError::archive(format!(
        "the restored snapshot does not hold up, says {CHECK}: {what}; nothing was put in place"
    ))
}
