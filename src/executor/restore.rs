//! Restoring: check the whole chain, write beside the target, check again, move into place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::archive::{ArchiveError, Cancelled, Chain, Outlet};
use crate::catalog::RestoreJob;
use crate::domain::{Cancel, CheckLevel, Entry, Source, WriteAt};
use crate::engine::{self, Engine, EngineError, Load, LoadOrder, Owners, Placed, Target};
use crate::failpoint;

use super::chain::{self, blame};
use super::{Context, JobError, Progress};

/// What a restore did.
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
    /// The `source` of the instance the backup is of, where that is known: which tools to use.
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
struct Written {
    place: Arc<dyn WriteAt>,
    target: Arc<Path>,
    cancel: Cancel,
}

impl WriteAt for Written {
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
struct Pouring<'a> {
    load: &'a mut dyn Load,
    target: Arc<Path>,
    cancel: &'a Cancel,
    error: Option<EngineError>,
}

impl Outlet for Pouring<'_> {
    fn entry(&mut self, entry: &Entry) -> io::Result<Option<Arc<dyn WriteAt>>> {
        match self.load.entry(entry) {
            Ok(place) => Ok(place.map(|place| {
                let target = Arc::clone(&self.target);
                let written: Arc<dyn WriteAt> =
                    Arc::new(Written { place, target, cancel: self.cancel.clone() });
                written
            })),
            Err(error) => {
                self.error = Some(error);
                Err(io::Error::other("the target does not take more"))
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
    let mut pouring = Pouring { load: &mut *load, target: shown, cancel: how.cancel, error: None };
    let poured = chain
        .restore(&mut pouring, how.workers, &|done| progress(done, total))
        .map_err(|error| pouring.error.take().map_or_else(|| refused(error), Into::into))?;
    failpoint::reached("restore-before-finish");
    let staged = load.finish(how.check)?;
    let check = staged.check().map(str::to_owned);
    failpoint::reached("restore-before-place");
    let target = staged.place()?;
    Ok(RestoreReport { target, entries: poured.entries, content_bytes: poured.bytes, check })
}

/// The engine's own words for a write that failed, or what is wrong with the archives.
fn refused(error: ArchiveError) -> JobError {
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

/// Restores into a new instance: a claimed job. Gives where the data is now, and the bytes restored.
pub(super) fn run(context: &Context, job: &RestoreJob) -> Result<(Source, u64), JobError> {
    failpoint::reached("restore-begins");
    let name = &job.instance.datastore.engine;
    let engine = engine::find(name).ok_or_else(|| JobError::NoEngine { engine: name.clone() })?;
    let chain = chain::open(&*context.storage, &job.chain, &context.cancel)?;
    let folder = context.local.restored_folder(&job.instance.project, job.instance.id)?;
    let target = folder.join(engine.target_name(&job.instance.name));
    let how = Restoring {
        target: Target::Path(&target),
        source: Some(&job.instance.source),
        owners: Owners::Kept,
        check: job.instance.check,
        workers: context.settings.compression_threads,
        cancel: &context.cancel,
    };
    let report = restore(&chain, &how, &|_done, _total| ())?;
    failpoint::reached("restore-after-place");
    log::info!("backup restored to {}", target.display());
    for line in engine.next_steps(&target) {
        log::info!("to use what instance {} holds: {line}", job.instance.id);
    }
    Ok((engine.source_of(&target), report.content_bytes))
}
