//! One backup: dump, prove, publish, complete.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::archive::{self, Basis, Finished, Order, Reader, Writer, WriterOptions};
use crate::catalog::BackupJob;
use crate::domain::{ArchiveFacts, Backup, Kind, Location, Timestamp, VerifyLevel};
use crate::engine::{self, DumpFacts, DumpOrder, Engine, EngineError};
use crate::failpoint;
use crate::storage::Pending;

use super::chain::{StoredBytes, blame, open_readers};
use super::facts;
use super::pour::{Pour, SharedPending};
use super::{Context, JobError};

/// How long the parts of a backup took. For the log, where operators and the bench read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timings {
    /// From the first look at the source to the finished, synced file, without the engine's check.
    written: Duration,
    /// The engine's own check of what was read.
    check: Duration,
    /// Reading the file back, decoding it and comparing every hash.
    proof: Duration,
}

impl fmt::Display for Timings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (written, check) = (self.written.as_millis(), self.check.as_millis());
        write!(out, "written in {written} ms, checked in {check} ms, ")?;
        write!(out, "proven in {} ms", self.proof.as_millis())
    }
}

/// A published backup.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) facts: ArchiveFacts,
    /// The database's, as the dump told it.
    pub(super) version: String,
    pub(super) timings: Timings,
}

/// Makes the backup of a claimed job. On an error nothing of it is left but its row.
pub(super) fn run(context: &Context, mut job: BackupJob) -> Result<Published, JobError> {
    let name = job.instance.datastore.engine.clone();
    let engine = engine::find(&name).ok_or(JobError::NoEngine { engine: name })?;
    let error = match attempt(context, &job, engine, 0) {
        Err(error) if !job.chain.is_empty() => error,
        done => return done,
    };
    let Some((culprit, damage)) = error.damaged_archive() else { return Err(error) };
    log::warn!("backup {culprit} is not usable, and so is nothing built on it: {damage}");
    context.catalog.report_damage(culprit, damage).wait()?;
    if !job.may_become_full {
        return Err(error);
    }
    context.catalog.becomes_full(job.backup.id).wait()?;
    job.chain.clear();
    job.backup.kind = Kind::Full;
    job.backup.parent = None;
    attempt(context, &job, engine, 1)
}

/// One try. `number` tells its unfinished file from an earlier try's.
fn attempt(
    context: &Context,
    job: &BackupJob,
    engine: &'static dyn Engine,
    number: u32,
) -> Result<Published, JobError> {
    let backup = &job.backup;
    let (started, stopwatch) = (context.clock.now(), Instant::now());
    let readers = open_readers(&*context.storage, &job.chain, &context.cancel)?;
    let pending = SharedPending::new(context.storage.create(backup.id, number)?);
    let text = facts::restore_text(backup, engine, &job.instance, &job.chain);
    let options = WriterOptions {
        workers: context.settings.compression_threads,
        level: context.settings.compression_level,
        page_bytes: engine.page_bytes(),
        order: if engine.gives_in_order() { Order::ByPath } else { Order::AsItComes },
    };
    let mut writer = match (readers.last(), readers.first()) {
        (Some(parent), Some(root)) => {
            let basis = Basis::open(Arc::clone(parent), Arc::clone(root)).map_err(blame)?;
            Writer::incremental(pending.clone(), &options, basis, &text)
        }
        _ => Writer::full(pending.clone(), &options, &text),
    }
    .map_err(|error| refused(&pending, error))?;
    failpoint::reached("before-dump");
    let dump = pour(context, job, (engine, readers.last()), &mut writer, &pending)?;
    failpoint::reached("after-dump");
    // Its commit waits for the disk, as the archive's end does: both at once.
    let saving = context.catalog.saving(backup.id);
    let hints = facts::restore_commands(backup, engine, &job.instance);
    let times = (started, context.clock.now());
    let draft = facts::draft(backup, &job.instance.name, &dump, hints, times);
    let (_out, finished) = writer.finish(draft).map_err(|error| refused(&pending, error))?;
    let mut pending = pending.take().ok_or(JobError::Panicked)?;
    pending.sync()?;
    saving.wait()?;
    failpoint::reached("after-sync");
    let check = Duration::from_millis(dump.check_ms);
    let written = stopwatch.elapsed().saturating_sub(check);
    prove(context, backup, &*pending, (&finished, readers.first()))?;
    let proof = stopwatch.elapsed().saturating_sub(written + check);
    let facts = publish(context, backup, pending, &finished)?;
    Ok(Published { facts, version: dump.version, timings: Timings { written, check, proof } })
}

/// An archive error, or the storage's own words behind it.
fn refused(pending: &SharedPending, error: archive::ArchiveError) -> JobError {
    pending.refusal().map_or_else(|| blame(error), Into::into)
}

fn pour(
    context: &Context,
    job: &BackupJob,
    (engine, parent): (&'static dyn Engine, Option<&Arc<Reader>>),
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
        parent_check: parent.and_then(|it| facts::check_of(it.manifest())),
        cancel: &context.cancel,
    };
    let mut intake = Pour::new(writer, pending.clone(), context, job.backup.id);
    match engine.dump(&order, &mut intake) {
        Ok(dump) => Ok(dump),
        Err(EngineError::Refused(_)) => Err(intake.into_error().unwrap_or(JobError::Cancelled)),
        Err(error) => Err(error.into()),
    }
}

/// Reads the synced file back, decodes it and compares every hash.
fn prove(
    context: &Context,
    backup: &Backup,
    pending: &dyn Pending,
    (finished, root): (&Finished, Option<&Arc<Reader>>),
) -> Result<(), JobError> {
    let read_back = StoredBytes::new(pending.reopen()?, &context.cancel);
    let workers = context.settings.compression_threads;
    let reader = Arc::new(Reader::open(Arc::new(read_back))?);
    archive::prove(&reader, root, finished, workers, &|_bytes| ()).map_err(|error| {
        // A damaged base is the chain's fault; anything else is this archive's.
        if error.culprit() == Some(backup.id) { error.into() } else { blame(error) }
    })?;
    failpoint::reached("after-prove");
    Ok(())
}

/// Gives a proven archive its name: from here on the backup exists.
fn publish(
    context: &Context,
    backup: &Backup,
    pending: Box<dyn Pending>,
    finished: &Finished,
) -> Result<ArchiveFacts, JobError> {
    let instance = backup.instance.ok_or(JobError::Panicked)?;
    let location =
        Location::of(&backup.project, backup.container.as_ref(), instance, backup.id, backup.kind);
    let proven: Timestamp = context.clock.now();
    let level: VerifyLevel = facts::level_of(&finished.manifest);
    if context.cancel.is_cancelled() {
        return Err(JobError::Cancelled);
    }
    pending.publish(&location, proven)?;
    Ok(ArchiveFacts {
        location,
        stored_bytes: finished.stored_bytes,
        source_bytes: finished.source_bytes,
        checksum: finished.checksum.clone(),
        verified_at: proven,
        verify_level: level,
    })
}
