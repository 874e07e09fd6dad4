//! A claimed restore into staging: the newest good backup replaces what Coffer put there last.

use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::{CatalogError, StagingJob};
use crate::domain::{BackupId, CheckLevel, RunEnd, RunNumbers, RunResult};
use crate::engine::{self, EngineError, Owners, Target};
use crate::executor::restore::{RestorePlan, restore};
use crate::executor::staging::StagingPlace;
use crate::executor::{Context, JobError, Result, chain, millis, why_archives_missing};
use crate::failpoint;

#[derive(Debug)]
pub(super) struct Refreshed {
    pub(super) to: PathBuf,
    content_bytes: u64,
}

/// Restores the backup, and puts it in the place of what is there.
pub(super) fn run(context: &Context, job: &StagingJob) -> Result<Refreshed> {
    let name = &job.instance.datastore.engine;
    let engine = engine::find(name).ok_or_else(|| JobError::NoEngine(name.clone()))?;
    let chain = chain::open(&*context.storage, &job.chain, &context.cancel)?;
    let needed = chain.last().manifest().totals.content_bytes;
    let place = StagingPlace::open(&job.to, job.instance.id, engine.reads_server())?;
    place.require_room(needed, context.settings.headroom_bytes)?;
    let generation = place.begin()?;
    let target = generation.target();
    let how = RestorePlan {
        target: Target::Path(&target),
        source: Some(&job.instance.source),
        owners: Owners::FromArchive,
        check: job.instance.check.max(CheckLevel::Quick),
        workers: context.settings.compression_threads,
        salvage: false,
        cancel: &context.cancel,
    };
    let report = restore(&chain, &how, &|_done, _total| ())?;
    if let Some(failure) = report.warning {
        let text =
            format!("the data of the backup is bad, and is not put there: {}", failure.message);
        return Err(EngineError::known(failure.code, text).into());
    }
    failpoint::at("staging-before-swap");
    generation.publish()?;
    failpoint::at("staging-after-swap");
    place.remove_older();
    Ok(Refreshed { to: job.to.clone(), content_bytes: report.content_bytes })
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
