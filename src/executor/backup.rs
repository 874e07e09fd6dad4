//! One backup: dump, prove, publish, complete.

use std::sync::Arc;

use crate::archive::{self, Basis, Finished, Reader, Writer, WriterOptions};
use crate::catalog::BackupJob;
use crate::domain::{ArchiveFacts, Backup, Kind, Timestamp, VerifyLevel};
use crate::engine::{self, DumpFacts, DumpOrder, Engine, EngineError};
use crate::failpoint;
use crate::storage::{Location, Pending};

use super::chain::{StoredBytes, open_readers};
use super::facts;
use super::pour::{Pour, SharedPending};
use super::{Context, JobError};

/// Makes the backup of a claimed job. On an error nothing of it is left but its row.
pub(super) fn run(context: &Context, mut job: BackupJob) -> Result<ArchiveFacts, JobError> {
    let name = job.instance.datastore.engine.clone();
    let engine = engine::find(&name).ok_or(JobError::NoEngine { engine: name })?;
    match attempt(context, &job, engine, 0) {
        Err(JobError::ChainBroken { culprit, why, lasting: true }) if !job.chain.is_empty() => {
            log::warn!("backup {} of chain: {culprit} is not usable: {why}", job.backup.id);
            let broken = JobError::ChainBroken { culprit, why, lasting: true };
            context.catalog.report_damage(culprit, broken.failure()).wait()?;
            if !job.may_become_full {
                return Err(broken);
            }
            context.catalog.becomes_full(job.backup.id).wait()?;
            job.chain.clear();
            job.backup.kind = Kind::Full;
            job.backup.parent = None;
            attempt(context, &job, engine, 1)
        }
        other => other,
    }
}

/// One try. `number` tells its unfinished file from an earlier try's.
fn attempt(
    context: &Context,
    job: &BackupJob,
    engine: &'static dyn Engine,
    number: u32,
) -> Result<ArchiveFacts, JobError> {
    let backup = &job.backup;
    let started = context.clock.now();
    let readers = open_readers(&*context.storage, &job.chain, &context.cancel)?;
    let pending = SharedPending::new(context.storage.create(backup.id, number)?);
    let text = facts::restore_text(backup, engine, &job.instance.name, &job.chain);
    let options = WriterOptions {
        workers: context.settings.compression_threads,
        level: context.settings.compression_level,
        page_bytes: engine.page_bytes(),
    };
    let mut writer = match (readers.last(), readers.first()) {
        (Some(parent), Some(root)) => {
            let basis = Basis::open(Arc::clone(parent), Arc::clone(root))?;
            Writer::incremental(pending.clone(), &options, basis, &text)
        }
        _ => Writer::full(pending.clone(), &options, &text),
    }
    .map_err(|error| refused(&pending, error))?;
    failpoint::reached("before-dump");
    let dump = pour(context, job, engine, &mut writer, &pending)?;
    failpoint::reached("after-dump");
    context.catalog.saving(backup.id).wait()?;
    let hints = facts::restore_commands(backup, engine, &job.instance.name);
    let times = (started, context.clock.now());
    let draft = facts::draft(backup, &job.instance.name, &dump, hints, times);
    let (_out, finished) = writer.finish(draft).map_err(|error| refused(&pending, error))?;
    let pending = pending.take().ok_or(JobError::Panicked)?;
    publish(context, backup, pending, &finished, readers.first())
}

/// An archive error, or the storage's own words behind it.
fn refused(pending: &SharedPending, error: archive::ArchiveError) -> JobError {
    pending.refusal().map_or_else(|| error.into(), Into::into)
}

fn pour(
    context: &Context,
    job: &BackupJob,
    engine: &'static dyn Engine,
    writer: &mut Writer<SharedPending>,
    pending: &SharedPending,
) -> Result<DumpFacts, JobError> {
    let every = context.settings.reread_every;
    let order = DumpOrder {
        source: &job.instance.source,
        instance_name: &job.instance.name,
        check: job.instance.check,
        scratch: context.storage.scratch(),
        trust_stamps: every == 0 || !(job.earlier + 1).is_multiple_of(every),
    };
    let mut intake = Pour::new(writer, pending.clone(), context, job.backup.id);
    match engine.dump(&order, &mut intake) {
        Ok(dump) => Ok(dump),
        Err(EngineError::Refused(_)) => Err(intake.into_error().unwrap_or(JobError::Cancelled)),
        Err(error) => Err(error.into()),
    }
}

/// Syncs, reads back, proves, publishes.
fn publish(
    context: &Context,
    backup: &Backup,
    mut pending: Box<dyn Pending>,
    finished: &Finished,
    root: Option<&Arc<Reader>>,
) -> Result<ArchiveFacts, JobError> {
    pending.sync()?;
    failpoint::reached("after-sync");
    let read_back = StoredBytes::new(pending.reopen()?, &context.cancel);
    let reader = Arc::new(Reader::open(Arc::new(read_back))?);
    archive::prove(&reader, root, finished, context.settings.compression_threads, &|_bytes| ())
        .map_err(|error| cancelled_or(context, error.into()))?;
    failpoint::reached("after-prove");
    let instance = backup.instance.ok_or(JobError::Panicked)?;
    let location = Location::of(
        &backup.project,
        backup.container.as_ref(),
        instance,
        backup.id,
        backup.kind == Kind::Incremental,
    );
    let proven: Timestamp = context.clock.now();
    let level: VerifyLevel = facts::level_of(&finished.manifest);
    if context.cancel.is_asked() {
        return Err(JobError::Cancelled);
    }
    pending.publish(&location, proven)?;
    Ok(ArchiveFacts {
        location: location.as_str().to_owned(),
        stored_bytes: finished.stored_bytes,
        source_bytes: finished.source_bytes,
        checksum: finished.checksum.clone(),
        verified_at: proven,
        verify_level: level,
    })
}

/// A reading error while a shutdown was asked is that shutdown.
pub(super) fn cancelled_or(context: &Context, error: JobError) -> JobError {
    if context.cancel.is_asked() { JobError::Cancelled } else { error }
}
