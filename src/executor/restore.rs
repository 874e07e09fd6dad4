//! Restoring: checks the whole chain, writes beside the target, checks again, moves into place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::archive::{ArchiveError, Cancelled, Chain, Outlet};
use crate::domain::{Cancel, CheckLevel, Entry, Source, WriteAt};
use crate::engine::{self, Engine, EngineError, Load, LoadOrder, Owners, Placed, Target};
use crate::failpoint;

use super::chain::blame;
use super::{JobError, Progress};

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Where the data is now.
    pub target: Placed,
    /// Members restored: files, folders, links.
    pub entries: u64,
    /// Bytes of file content written.
    pub content_bytes: u64,
    /// The engine's check that the result passed, if one was asked for.
    pub check: Option<String>,
}

/// Where to restore to, and how.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// The file or folder to make, which must not exist, or be an empty folder where the engine restores
    /// one; or a server, where the engine restores into one.
    pub target: Target<'a>,
    /// The `source` of the backup's instance, if it is known: which tools to use.
    pub source: Option<&'a Source>,
    /// Whose the restored files are.
    pub owners: Owners,
    /// How thoroughly the engine checks the result.
    pub check: CheckLevel,
    /// Threads that decode and write.
    pub workers: usize,
    /// Stops the restore between two segments.
    pub cancel: &'a Cancel,
}

/// One file being written, seen by the archive.
#[derive(Debug)]
struct RestoredFile {
    place: Arc<dyn WriteAt>,
    target: Arc<Path>,
    cancel: Cancel,
}

impl WriteAt for RestoredFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Cancelled.into());
        }
        self.place.write_at(bytes, offset).map_err(|error| {
            let kind = error.kind();
            io::Error::new(kind, EngineError::target("restoring to", &self.target, error))
        })
    }
}

/// The engine's side of a restore, seen by the archive.
struct EngineOutlet<'a> {
    load: &'a mut dyn Load,
    target: Arc<Path>,
    cancel: &'a Cancel,
    error: Option<EngineError>,
}

impl Outlet for EngineOutlet<'_> {
    fn entry(&mut self, entry: &Entry) -> io::Result<Option<Arc<dyn WriteAt>>> {
        match self.load.entry(entry) {
            Ok(place) => Ok(place.map(|place| {
                let target = Arc::clone(&self.target);
                let written: Arc<dyn WriteAt> =
                    Arc::new(RestoredFile { place, target, cancel: self.cancel.clone() });
                written
            })),
            Err(error) => {
                self.error = Some(error);
                Err(io::Error::other("the engine refused an entry"))
            }
        }
    }
}

/// Restores the last backup of `chain`. Every byte's hash is compared before it is written; a restore
/// that fails leaves the target as it was.
pub fn restore(
    chain: &Chain,
    how: &Restoring<'_>,
    progress: Progress<'_>,
) -> Result<RestoreReport, JobError> {
    let engine = engine_of(chain)?;
    let mut load = engine.load(&LoadOrder {
        target: how.target,
        source: how.source,
        owners: how.owners,
        cancel: how.cancel,
    })?;
    let shown: Arc<Path> = match how.target {
        Target::Path(path) => path.into(),
        Target::Server(_) => Path::new("the folder for temporary files").into(),
    };
    let total = chain.target().manifest().totals.content_bytes;
    let mut outlet =
        EngineOutlet { load: &mut *load, target: shown, cancel: how.cancel, error: None };
    let restored = chain
        .restore(&mut outlet, how.workers, &|done| progress(done, total))
        .map_err(|error| outlet.error.take().map_or_else(|| restore_error(error), Into::into))?;
    failpoint::reached("restore-before-finish");
    let staged = load.finish(how.check)?;
    let check = staged.check().map(str::to_owned);
    failpoint::reached("restore-before-place");
    let target = staged.place()?;
    Ok(RestoreReport { target, entries: restored.entries, content_bytes: restored.bytes, check })
}

/// The engine's error for a write that failed, or what is wrong with the archives.
fn restore_error(error: ArchiveError) -> JobError {
    match error {
        ArchiveError::Io(error) => error
            .downcast::<EngineError>()
            .map_or_else(|other| ArchiveError::Io(other).into(), JobError::Engine),
        other => blame(other),
    }
}

/// The engine that made a chain.
pub(super) fn engine_of(chain: &Chain) -> Result<&'static dyn Engine, JobError> {
    let name = chain.target().manifest().datastore.engine.clone();
    engine::find(&name).ok_or(JobError::NoEngine { engine: name })
}
