//! One backup: dump, prove, publish, complete.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::archive::{self, Finished, Order, ParentIndex, Reader, Sign, Writer, WriterOptions};
use crate::catalog::BackupJob;
use crate::domain::{ArchiveFacts, Backup, BackupPhases, Kind, Location, RunNumbers};
use crate::engine::{self, Engine};
use crate::executor::chain::{job_error, open_readers};
use crate::executor::{Context, JobError, Result, facts, millis, outline, presence};
use crate::failpoint;
use crate::storage::Pending;

use super::intake::{Sink, writer_error};
use super::reading::{self, Reading};

#[derive(Debug)]
pub(super) struct Published {
    pub(super) facts: ArchiveFacts,
    /// The version of the database that was read.
    pub(super) version: String,
    phases: BackupPhases,
    took: Duration,
}

impl Published {
    pub(super) fn numbers(&self) -> RunNumbers {
        RunNumbers {
            took_ms: Some(millis(self.took)),
            phases: Some(self.phases),
            ..RunNumbers::default()
        }
    }
}

/// For the log, where operators and the bench read it.
impl fmt::Display for Published {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BackupPhases { write_ms, check_ms, proof_ms } = self.phases;
        let (stored, read) = (self.facts.stored_bytes, self.facts.source_bytes);
        write!(out, "{stored} bytes stored of {read}; written in {write_ms} ms, ")?;
        write!(out, "checked in {check_ms} ms, proven in {proof_ms} ms")
    }
}

/// Makes the backup of a claimed job. On an error nothing of it is left but its row.
pub(super) fn run(context: &Context, mut job: BackupJob) -> Result<Published> {
    let name = job.instance.datastore.engine.clone();
    let engine = engine::find(&name).ok_or(JobError::NoEngine(name))?;
    let readers = built_on(context, &mut job);
    let error = match readers.and_then(|it| attempt(context, &job, engine, &it, 0)) {
        Err(error) if !job.chain.is_empty() => error,
        done => return done,
    };
    let Some((bad_backup, damage)) = error.bad_archive() else { return Err(error) };
    presence::require_archives(context)?;
    log::warn!("backup {bad_backup} is not usable, and neither are those built on it: {damage}");
    context.catalog.report_damage(bad_backup, damage).wait()?;
    if !job.may_become_full {
        return Err(error);
    }
    make_full(context, &mut job)?;
    attempt(context, &job, engine, &[], 1)
}

fn make_full(context: &Context, job: &mut BackupJob) -> Result<()> {
    context.catalog.becomes_full(job.backup.id).wait()?;
    job.chain.clear();
    job.backup.kind = Kind::Full;
    job.backup.parent = None;
    Ok(())
}

/// Whether a backup that is to be built on this chain, or the chain itself, is encrypted.
fn is_encrypted(context: &Context, chain: &[Backup]) -> bool {
    let of_archive = |it: &Backup| it.facts.as_ref().is_some_and(|it| it.location.is_encrypted());
    !chain.is_empty() && (!context.storage.recipients().is_empty() || chain.iter().any(of_archive))
}

/// The archives that the backup is built on, root first: of encrypted ones the outlines of the first and the last. None if it
/// has to become a full one.
fn built_on(context: &Context, job: &mut BackupJob) -> Result<Vec<Arc<Reader>>> {
    if !is_encrypted(context, &job.chain) {
        return open_readers(&*context.storage, &job.chain, &context.cancel);
    }
    let why = match outline::of_chain(context, &job.chain)? {
        Ok(readers) => return Ok(readers),
        Err(why) => why,
    };
    let id = job.backup.id;
    if !job.may_become_full {
        let why = format!("it cannot be built on that backup: {why}; make a full backup");
        return Err(JobError::NoIncremental(why));
    }
    log::info!("backup {id} becomes a full one: {why}");
    make_full(context, job)?;
    Ok(Vec::new())
}

/// One attempt. Its `number` tells its unfinished file from that of an earlier one.
fn attempt(
    context: &Context,
    job: &BackupJob,
    engine: &'static dyn Engine,
    readers: &[Arc<Reader>],
    number: u32,
) -> Result<Published> {
    let backup = &job.backup;
    let (started, stopwatch) = (context.clock.now(), Instant::now());
    let sink = Sink::new(context.storage.create(backup.id, number)?);
    let (step, pending) = (sink.allocation_step(), sink.shared());
    let is_encrypted = !context.storage.recipients().is_empty();
    let text = facts::restore_text(backup, engine, &job.instance, &job.chain, is_encrypted);
    let options = WriterOptions {
        workers: context.settings.compression_threads,
        level: context.settings.compression_level,
        page_bytes: engine.page_bytes(),
        order: if engine.dumps_in_order() { Order::ByPath } else { Order::Unordered },
    };
    let writer = match (readers.last(), readers.first()) {
        (Some(parent), Some(root)) => {
            let parent =
                ParentIndex::open(Arc::clone(parent), Arc::clone(root)).map_err(job_error)?;
            Writer::incremental(sink, &options, parent, &text)
        }
        _ => Writer::full(sink, &options, &text),
    }
    .map_err(writer_error)?;
    failpoint::at("before-dump");
    let reading = Reading {
        engine,
        trust_stamps: trusts_stamps(context.settings.reread_every, job.earlier),
        parent_check: readers
            .last()
            .and_then(|it| facts::check_of(it.manifest()))
            .map(str::to_owned),
        writer,
        step,
        pending,
    };
    let (writer, mut dump) = reading::dump(context, job, reading)?;
    if let (true, Some(parent)) = (dump.unchanged, readers.last()) {
        dump.left_out = facts::left_out(parent.manifest());
    }
    failpoint::at("after-dump");
    let end = context.clock.now();
    // This commit waits for the disk, as finishing the archive does: both at once.
    let saving = context.catalog.saving(backup.id, end);
    let draft = facts::draft(job, engine, &dump, (started, end), is_encrypted);
    let sign: Sign<'_> = &|hash| context.sign(hash);
    let signed = writer.finish_signed(draft, context.signer.is_some().then_some(sign));
    let (sink, finished) = signed.map_err(writer_error)?;
    let mut pending = sink.into_pending()?;
    pending.sync()?;
    saving.wait()?;
    failpoint::at("after-sync");
    let check = Duration::from_millis(dump.check_ms);
    let written = stopwatch.elapsed().saturating_sub(check);
    prove(context, &*pending, &finished, readers.first())?;
    let proof = stopwatch.elapsed().saturating_sub(written + check);
    let facts = publish(context, backup, pending, &finished)?;
    let phases = BackupPhases {
        write_ms: millis(written),
        check_ms: dump.check_ms,
        proof_ms: millis(proof),
    };
    Ok(Published { facts, version: dump.version, phases, took: stopwatch.elapsed() })
}

/// Whether files whose size and times are those of the parent are not read: not in every `reread_every`th
/// backup.
const fn trusts_stamps(reread_every: u64, earlier: u64) -> bool {
    reread_every == 0 || !(earlier + 1).is_multiple_of(reread_every)
}

/// Reads the synced file back, decodes it and compares every hash. One that is encrypted is read with the key of this file,
/// which is in memory until it is published: each of its bytes is authenticated and decoded, too.
pub(super) fn prove(
    context: &Context,
    pending: &dyn Pending,
    finished: &Finished,
    root: Option<&Arc<Reader>>,
) -> Result<()> {
    let workers = context.settings.compression_threads;
    let reader = Arc::new(Reader::open(pending.reopen()?, &context.cancel)?);
    archive::prove(&reader, root, finished, workers, &|_bytes| ()).map_err(|error| {
        // A damaged root is the chain's fault; anything else is this archive's.
        if error.bad_backup() == Some(finished.manifest.backup.id) {
            error.into()
        } else {
            job_error(error)
        }
    })?;
    failpoint::at("after-prove");
    Ok(())
}

/// Publishes a proven archive: from here on the backup exists.
pub(super) fn publish(
    context: &Context,
    backup: &Backup,
    pending: Box<dyn Pending>,
    finished: &Finished,
) -> Result<ArchiveFacts> {
    let instance = backup.instance.ok_or(JobError::Bug("a backup job has no instance"))?;
    let location =
        Location::of(&backup.project, backup.container.as_ref(), instance, backup.id, backup.kind);
    if context.cancel.is_cancelled() {
        return Err(JobError::Cancelled);
    }
    presence::require_archives(context)?;
    // The proof has just ended. A clock that was set back meanwhile does not put it before the backup.
    let Finished { manifest, stored_bytes, checksum, .. } = finished;
    let proven = context.clock.now().max(manifest.finished);
    let (location, bytes, checksum) = match pending.encrypted() {
        Some(file) => {
            let location = location.encrypted();
            // Before it is published: after a crash it says what was.
            outline::keep(context, &location, &*pending, &file);
            (location, file.bytes, file.checksum)
        }
        None => (location, *stored_bytes, checksum.clone()),
    };
    pending.publish(&location, proven).inspect_err(|_error| {
        if location.is_encrypted() {
            outline::forget(context, &location);
        }
    })?;
    Ok(facts::of_archive(manifest, location, bytes, checksum, proven))
}

#[cfg(test)]
mod tests {
    use super::trusts_stamps;

    #[test]
    fn every_nth_backup_reads_everything_again() {
        let trusted =
            |every| (0..6).map(|earlier| trusts_stamps(every, earlier)).collect::<Vec<_>>();
        assert_eq!(trusted(3), [true, true, false, true, true, false]);
        assert_eq!(trusted(0), [true; 6]);
        assert_eq!(trusted(1), [false; 6]);
    }
}
