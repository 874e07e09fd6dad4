//! A claimed restore into staging: the newest good backup replaces what Coffer put there last.

use std::path::Path;
use std::time::Duration;

use crate::archive::Chain;
use crate::catalog::{CatalogError, StagingJob};
use crate::domain::{BackupId, CheckLevel, RunEnd, RunNumbers, RunResult};
use crate::engine::{self, EngineError, Owners, Refresh, Target};
use crate::executor::restore::{RestorePlan, restore};
use crate::executor::staging::StagingPlace;
use crate::executor::{Context, JobError, Result, chain, millis, why_archives_missing};
use crate::failpoint;
use crate::policy::StagingTarget;
use crate::storage::StorageError;

#[derive(Debug)]
pub(super) struct Refreshed {
    pub(super) to: StagingTarget,
    content_bytes: u64,
}

/// Restores the backup, and puts it in the place of what is there.
pub(super) fn run(context: &Context, job: &StagingJob) -> Result<Refreshed> {
    let chain = chain::open(&*context.storage, &job.chain, &context.cancel)?;
    let content_bytes = match &job.to {
        StagingTarget::Path(to) => to_path(context, job, &chain, to)?,
        StagingTarget::Database { server, name } => {
            let mark = mark(context, job);
            let within = context.local.scratch()?;
            let refresh = Refresh { server, database: name, within, mark: &mark };
            to_database(context, job, &chain, refresh)?
        }
    };
    Ok(Refreshed { to: job.to.clone(), content_bytes })
}

fn to_path(context: &Context, job: &StagingJob, chain: &Chain, to: &Path) -> Result<u64> {
    let name = &job.instance.datastore.engine;
    let engine = engine::find(name).ok_or_else(|| JobError::NoEngine(name.clone()))?;
    let place = StagingPlace::open(to, job.instance.id, engine.reads_server())?;
    let needed = chain.last().manifest().totals.restored_bytes();
    place.require_room(needed, context.settings.headroom_bytes)?;
    let generation = place.begin()?;
    let content_bytes = restored(context, job, chain, Target::Path(&generation.target()))?;
    failpoint::at("staging-before-swap");
    generation.publish()?;
    failpoint::at("staging-after-swap");
    place.remove_older();
    Ok(content_bytes)
}

/// The engine loads it beside what is there, and exchanges the two.
fn to_database(
    context: &Context,
    job: &StagingJob,
    chain: &Chain,
    refresh: Refresh<'_>,
) -> Result<u64> {
    let (needed, free) =
        (chain.last().manifest().totals.restored_bytes(), context.local.scratch_room()?);
    if needed > free {
        let what = refresh.within.display().to_string();
        return Err(StorageError::Full { what, needed, free }.into());
    }
    restored(context, job, chain, Target::Database(refresh))
}

/// Whose a database is: of this instance of this store. Another store may have an instance of the same name.
fn mark(context: &Context, job: &StagingJob) -> String {
    let id = job.instance.id;
    match &context.signer {
        Some(signer) => format!("instance {id} of the store that signs as {}", signer.public()),
        None => format!("instance {id}"),
    }
}

/// The bytes of what was restored. Data that its own check calls bad is not put into staging.
fn restored(context: &Context, job: &StagingJob, chain: &Chain, target: Target<'_>) -> Result<u64> {
    let how = RestorePlan {
        target,
        source: Some(&job.instance.source),
        owners: Owners::FromArchive,
        check: job.instance.check.max(CheckLevel::Quick),
        workers: context.settings.compression_threads,
        salvage: false,
        cancel: &context.cancel,
    };
    let report = restore(chain, &how, &|_done, _total| ())?;
    match report.warning {
        None => Ok(report.content_bytes),
        Some(failure) => {
            let text =
                format!("the data of the backup is bad, and is not put there: {}", failure.message);
            Err(EngineError::known(failure.code, text).into())
        }
    }
}

/// Records how it ended. An archive that turned out to be damaged is reported, so that nothing is built on it.
pub(super) fn record(
    context: &Context,
    id: BackupId,
    result: &Result<Refreshed>,
    took: Duration,
) -> Result<(), CatalogError> {
    let mut numbers = RunNumbers { took_ms: Some(millis(took)), ..RunNumbers::default() };
    let result = match result {
        Ok(refreshed) => {
            numbers.read_bytes = Some(refreshed.content_bytes);
            RunResult::Done
        }
        Err(JobError::Cancelled) => return context.catalog.retry_staging(id).wait(),
        Err(error) => {
            if let Some((bad, failure)) = error.bad_archive()
                && why_archives_missing(context)?.is_none()
            {
                context.catalog.report_damage(bad, failure).wait()?;
            }
            RunResult::from_failure(error.failure())
        }
    };
    let end = RunEnd { at: context.clock.now(), result, numbers };
    context.catalog.end_staging(id, end).wait()
}
