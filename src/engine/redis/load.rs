//! Restoring a snapshot.

use std::sync::Arc;

use super::check::{CHECK, Checker};
use super::options::KIND;
use super::rdb_file::SNAPSHOT;
use crate::domain::{Cancel, CheckLevel, Entry, EntryKind, FailureCode, WriteAt};
use crate::engine::tool::Finder;
use crate::engine::tree::FolderLoad;
use crate::engine::{EngineError, Load, LoadRequest, Result, Staged, Target, printable};

#[derive(Debug)]
pub(super) struct RedisLoad {
    folder: FolderLoad,
    finder: Finder,
    cancel: Cancel,
    has_snapshot: bool,
}

impl RedisLoad {
    /// Makes sure that the target is free.
    pub(super) fn prepare(request: &LoadRequest<'_>) -> Result<Self> {
        if matches!(request.target, Target::Server { .. } | Target::Database(_)) {
            return Err(EngineError::known(
                FailureCode::TargetDenied,
                "a Redis snapshot cannot be loaded into a running server: it would replace the server's own \
                 keys or mix with them. Restore to a new folder (--to PATH) and start a server on that",
            ));
        }
        let folder = FolderLoad::prepare(request)?;
        let finder = KIND.finder(request.source);
        Ok(Self { folder, finder, cancel: request.cancel.clone(), has_snapshot: false })
    }
}

impl Load for RedisLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
        let is_root = entry.path.is_root() && matches!(entry.kind, EntryKind::Directory);
        let is_snapshot = entry.path.as_bytes() == SNAPSHOT.as_bytes()
            && matches!(entry.kind, EntryKind::File { .. });
        if !is_root && (!is_snapshot || self.has_snapshot) {
            return Err(EngineError::archive(format!(
                "{} does not belong in a backup of a Redis server, which holds one file {SNAPSHOT}",
                printable(&entry.path)
            )));
        }
        self.has_snapshot |= is_snapshot;
        self.folder.entry(entry)
    }

    fn finish(self: Box<Self>, level: CheckLevel) -> Result<Box<dyn Staged>> {
        let Self { folder, finder, cancel, has_snapshot } = *self;
        if !has_snapshot {
            return Err(EngineError::archive(format!("the archive holds no {SNAPSHOT}")));
        }
        folder.finish_checked(|path| {
            // A machine that only restores may lack the tools; the bytes are proven without them.
            let checker = match level {
                CheckLevel::Off => None,
                CheckLevel::Quick | CheckLevel::Full => Checker::find(&finder, false).ok(),
            };
            let Some(checker) = checker else { return Ok(None) };
            checker.run_on(&path.join(SNAPSHOT), &cancel, |problem| {
                EngineError::archive(format!(
                    "{CHECK} found damage in the restored snapshot: {problem}; the target was not touched"
                ))
            })?;
            Ok(Some(CHECK))
        })
    }
}
