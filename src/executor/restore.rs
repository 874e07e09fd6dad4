//! Restoring: checks the whole chain, writes beside the target, checks again, moves into place.

use std::path::Path;

use crate::archive::{ArchiveError, Chain, Lost};
use crate::domain::{Cancel, CheckLevel, Entry, Failure, LeftOut, Source};
use crate::engine::{self, Engine, EngineError, LoadRequest, Owners, Placed, Target};
use crate::failpoint;

use super::chain::job_error;
use super::{JobError, OnProgress, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    pub target: Placed,
    /// Members restored: files, folders, links.
    pub entries: u64,
    pub content_bytes: u64,
    /// The engine's check that the result passed, if one was asked for.
    pub check: Option<String>,
    /// What could not be created at the target; everything else was.
    pub left_out: Vec<LeftOut>,
    /// What the check found wrong with the data, whose bytes are those that were backed up.
    pub warning: Option<Failure>,
    /// What a salvage could not vouch for; it is zeros.
    pub lost: Vec<Lost>,
}

#[derive(Debug)]
pub struct RestorePlan<'a> {
    /// The file or folder to make, which must not exist, or be an empty folder where the engine restores
    /// one; or a server, where the engine restores into one.
    pub target: Target<'a>,
    /// The `source` of the backup's instance, if it is known: which tools to use.
    pub source: Option<&'a Source>,
    pub owners: Owners,
    /// How thoroughly the engine checks the result.
    pub check: CheckLevel,
    pub workers: usize,
    /// Whether to go on where bytes of an archive are damaged, without the engine's check.
    pub salvage: bool,
    /// Stops the restore between two segments.
    pub cancel: &'a Cancel,
}

/// Why a restore or a salvage ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl RestoreError {
    /// The job's error, for a restore to `target`.
    pub(super) fn job_error(self, target: &Path) -> JobError {
        match self {
            Self::Engine(error) => error.into(),
            Self::Archive(ArchiveError::Target(error)) => {
                EngineError::target("restoring to", target, error).into()
            }
            Self::Archive(error) => job_error(error),
        }
    }
}

/// Restores the last backup of `chain`. Every byte's hash is compared before it is written; a restore
/// that fails leaves the target as it was. Data that does not pass the engine's check was backed up so: it is
/// restored all the same, with a warning.
pub fn restore(
    chain: &Chain,
    how: &RestorePlan<'_>,
    progress: OnProgress<'_>,
) -> Result<RestoreReport> {
    let check = if how.salvage { CheckLevel::Off } else { how.check };
    match attempt(chain, how, check, progress)? {
        Attempt::Restored(report) => Ok(report),
        Attempt::Unsound(failure) => match attempt(chain, how, CheckLevel::Off, progress)? {
            Attempt::Restored(report) => Ok(RestoreReport { warning: Some(failure), ..report }),
            Attempt::Unsound(_) => Err(JobError::Bug("a check failed that was not made")),
        },
    }
}

enum Attempt {
    Restored(RestoreReport),
    /// The engine's check found the data bad. Nothing is left of the attempt.
    Unsound(Failure),
}

fn attempt(
    chain: &Chain,
    how: &RestorePlan<'_>,
    check: CheckLevel,
    progress: OnProgress<'_>,
) -> Result<Attempt> {
    let engine = engine_of(chain)?;
    let mut load = engine.load(&LoadRequest {
        target: how.target,
        source: how.source,
        owners: how.owners,
        cancel: how.cancel,
    })?;
    let shown = match how.target {
        Target::Path(path) => path,
        Target::Server { within, .. } => within,
        Target::Database(refresh) => refresh.within,
    };
    let total = chain.last().manifest().totals.content_bytes;
    let make = |entry: &Entry| Ok(load.entry(entry)?);
    let (workers, progress) = (how.workers, |done| progress(done, total));
    let restored = if how.salvage {
        chain.salvage(make, workers, how.cancel, &progress)
    } else {
        chain.restore(make, workers, how.cancel, &progress).map(|counts| (counts, Vec::new()))
    };
    let (restored, lost) = restored.map_err(|error: RestoreError| error.job_error(shown))?;
    failpoint::at("restore-before-finish");
    let finished = if lost.is_empty() { load.finish(check) } else { load.finish_salvaged() };
    let staged = match finished {
        Ok(staged) => staged,
        Err(error) => {
            let damage = error.failure().filter(|it| it.code.is_damage());
            let in_path = matches!(how.target, Target::Path(_)) && check != CheckLevel::Off;
            return match damage.filter(|_| in_path) {
                Some(failure) => Ok(Attempt::Unsound(failure)),
                None => Err(error.into()),
            };
        }
    };
    let check = staged.check().map(str::to_owned);
    failpoint::at("restore-before-place");
    let mut left_out = Vec::new();
    let target = staged.place(&mut left_out)?;
    for it in &left_out {
        log::warn!("not restored: {it}");
    }
    Ok(Attempt::Restored(RestoreReport {
        target,
        entries: restored.entries,
        content_bytes: restored.bytes,
        check,
        left_out,
        warning: None,
        lost,
    }))
}

/// The engine that made a chain.
pub(super) fn engine_of(chain: &Chain) -> Result<&'static dyn Engine> {
    let name = chain.last().manifest().datastore.engine.clone();
    engine::find(&name).ok_or(JobError::NoEngine(name))
}
