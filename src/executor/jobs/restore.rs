//! A claimed restore: a backup becomes a new instance.

use std::path::PathBuf;

use crate::catalog::{CatalogError, RestoreJob};
use crate::domain::{Instance, Source};
use crate::engine::{self, Owners, Target};
use crate::executor::restore::{RestorePlan, restore};
use crate::executor::{Context, JobError, Result, chain, instance_file};
use crate::failpoint;

#[derive(Debug)]
pub(super) struct Restored {
    /// What reads it from now on.
    pub(super) source: Source,
    pub(super) content_bytes: u64,
    pub(super) target: PathBuf,
    /// What a person does to use it.
    pub(super) next_steps: Vec<String>,
}

pub(super) fn run(context: &Context, job: &RestoreJob) -> Result<Restored> {
    failpoint::at("restore-begins");
    let name = &job.instance.datastore.engine;
    let engine = engine::find(name).ok_or_else(|| JobError::NoEngine(name.clone()))?;
    let chain = chain::open_for_job(&*context.storage, &job.chain, &context.cancel)?;
    let folder = context.local.restored_folder(&job.instance.project, job.instance.id)?;
    let target = folder.join(engine.target_name(&job.instance.name));
    let how = RestorePlan {
        target: Target::Path(&target),
        source: Some(&job.instance.source),
        owners: Owners::FromArchive,
        check: job.instance.check,
        workers: context.settings.compression_threads,
        salvage: false,
        cancel: &context.cancel,
    };
    let report = restore(&chain, &how, &|_done, _total| ())?;
    failpoint::at("restore-after-place");
    instance_file::write(context, &job.instance, report.content_bytes)?;
    if let Some(warning) = &report.warning {
        let id = job.instance.id;
        log::warn!("instance {id} is restored as it was backed up, but its data is bad: {warning}");
    }
    Ok(Restored {
        source: engine.source_of(&target),
        content_bytes: report.content_bytes,
        next_steps: engine.next_steps(&target),
        target,
    })
}

/// An interrupted restore begins again at the next start, as after a crash.
pub(super) fn retry(context: &Context, instance: &Instance) -> Result<(), CatalogError> {
    if let Err(error) = context.local.remove_restored(&instance.project, instance.id) {
        // The restore stays claimed, and the next start tries again to discard what was restored.
        log::warn!("what was restored for instance {} stays for now: {error}", instance.id);
        return Ok(());
    }
    context.catalog.retry_restore(instance.id).wait()
}
