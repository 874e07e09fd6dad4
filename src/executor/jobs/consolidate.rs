//! A claimed consolidation: a full archive is made of those of an incremental backup, proven and published.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::archive::{Chain, Consolidated, Finished, Reader, Sign, Writer, WriterOptions};
use crate::catalog::{CatalogError, ConsolidationJob};
use crate::domain::{
    Backup, BackupId, Cancel, Damage, DamageIn, Kind, Location, RunKind, RunNumbers, with_causes,
};
use crate::executor::drill::cancelled_or;
use crate::executor::export::{FullCopy, draft};
use crate::executor::{Context, JobError, Result, chain, facts, millis, presence};
use crate::failpoint;
use crate::storage::{Pending, StorageError};

use super::backup::{prove, publish};
use super::guarded;
use super::intake::{Sink, writer_error};

/// What a consolidation made.
#[derive(Debug)]
pub(super) struct Made {
    /// The row of the full backup.
    backup: Box<Backup>,
    took: Duration,
}

/// For the log.
impl fmt::Display for Made {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.backup.facts.as_ref().map_or(0, |it| it.stored_bytes);
        write!(out, "as {}, {stored} bytes, in {} ms", self.backup.id, self.took.as_millis())
    }
}

/// Makes the full backup, unless the incremental one is being deleted.
pub(super) fn run(context: &Context, job: &ConsolidationJob) -> Option<Result<Made>> {
    let id = job.backup.id;
    log::info!("consolidation of backup {id} begins");
    let started = Instant::now();
    let cancel = context.cancel.child();
    match context.catalog.begin_run(RunKind::Consolidation, id, cancel.clone()).wait() {
        Ok(true) => {}
        Ok(false) => {
            log::info!("consolidation of backup {id}: the backup is being deleted");
            return None;
        }
        Err(error) => {
            // It stays claimed, and is made after the next start.
            log::error!("consolidation of backup {id}: {}", with_causes(&error));
            return None;
        }
    }
    failpoint::at("consolidation-begins");
    let context = Context { cancel: cancel.clone(), ..context.clone() };
    let result = guarded(|| make(&context, job, started));
    let result = result.map_err(|error| cancelled_or(error, &cancel));
    failpoint::at("consolidation-before-settle");
    Some(result)
}

fn make(context: &Context, job: &ConsolidationJob, started: Instant) -> Result<Made> {
    let ConsolidationJob { backup, chain: rows, new_id } = job;
    let workers = context.settings.compression_threads;
    let chain = chain::open(&*context.storage, rows, &context.cancel)?;
    require_room(context, &chain, *new_id)?;
    let manifest = chain.last().manifest();
    let options = WriterOptions {
        workers,
        level: context.settings.compression_level,
        page_bytes: manifest.page_bytes,
        order: manifest.index.order,
    };
    let consolidated = Consolidated { from: backup.id, chain: manifest.chain.clone() };
    let copy = FullCopy {
        id: *new_id,
        file_name: &Location::file_name(*new_id, Kind::Full),
        is_encrypted: !context.storage.recipients().is_empty(),
        finished: context.clock.now(),
        consolidated: Some(consolidated),
    };
    let (draft, text) = draft(manifest, copy);
    let sink = Sink::new(context.storage.create(*new_id, 0)?);
    let mut writer = Writer::full(sink, &options, &text).map_err(writer_error)?;
    chain.export(&mut writer, &|_done| ()).map_err(writer_error)?;
    let sign: Sign<'_> = &|hash| context.sign(hash);
    let signed = writer.finish_signed(draft, context.signer.is_some().then_some(sign));
    let (sink, finished) = signed.map_err(writer_error)?;
    let mut pending = sink.into_pending()?;
    pending.sync()?;
    failpoint::at("consolidation-written");
    prove(context, &*pending, &finished, None)?;
    require_same(&chain, &*pending, &context.cancel)?;
    let made = Backup { id: *new_id, kind: Kind::Full, parent: None, ..backup.clone() };
    let facts = publish(context, &made, pending, &finished)?;
    let Finished { manifest, .. } = finished;
    let backup = Box::new(facts::recovered(&manifest, facts).backup);
    Ok(Made { backup, took: started.elapsed() })
}

/// The archive that was written has exactly the entries and hashes of the backup that was read.
fn require_same(chain: &Chain, pending: &dyn Pending, cancel: &Cancel) -> Result<()> {
    let copy = Arc::new(Reader::open(pending.reopen()?, cancel)?);
    Ok(chain.require_same(&copy)?)
}

/// Fails early if there is certainly too little room: the full archive is about as large as the root of the chain.
fn require_room(context: &Context, chain: &Chain, id: BackupId) -> Result<()> {
    let needed = chain.archives().next().map_or(0, |root| root.stored_bytes());
    let free = context.local.scratch_room()?;
    if needed <= free {
        return Ok(());
    }
    let what = format!("the archive of backup {id}");
    Err(StorageError::Full { what, needed, free }.into())
}

/// Records how it ended. An archive that nobody wants any more is removed again.
pub(super) fn record(
    context: &Context,
    id: BackupId,
    result: &Result<Made>,
) -> Result<(), CatalogError> {
    let catalog = &context.catalog;
    match result {
        Ok(Made { backup, took }) => {
            let facts = backup.facts.as_ref();
            let numbers = RunNumbers {
                took_ms: Some(millis(*took)),
                read_bytes: facts.map(|it| it.source_bytes),
                stored_bytes: facts.map(|it| it.stored_bytes),
                ..RunNumbers::default()
            };
            if catalog.consolidated(id, Backup::clone(backup), numbers).wait()? {
                return Ok(());
            }
            log::info!("backup {id} was deleted while it was consolidated: the archive goes too");
            let removed = facts.map(|it| context.local.remove_at_once(&it.location));
            if let Some(Err(error)) = removed {
                log::warn!("the archive of backup {} stays: {error}", backup.id);
            }
            Ok(())
        }
        Err(JobError::Cancelled) => catalog.retry_run(RunKind::Consolidation, id).wait(),
        Err(error) => {
            // A single archive may be missing; where all are, that says nothing of this one.
            let known = presence::are_here(context);
            let bad = error.bad_archive().filter(|_| known);
            let bad = bad.map(|(id, failure)| Damage { id, place: DamageIn::Archive, failure });
            catalog.consolidation_failed(id, error.failure(), bad).wait()
        }
    }
}
