//! Reading archives again, to find rot before a restore does: one after the other, at a pace, and only while nothing else is
//! to be done.
//!
//! An archive that is byte for byte what was proven is still proven. So its bytes are read from the disk, in order, and
//! compared with the checksum that it had then; nothing is decoded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::catalog::CatalogError;
use crate::domain::{
    Backup, Cancel, Damage, DamageIn, ReadAt, RunEnd, RunNumbers, RunResult, VerifyLevel,
    with_causes,
};

use super::chain::{location_of, open_one};
use super::verify::{check_archive, check_bytes};
use super::{Context, JobError, Pace, Result, facts, millis, presence, proof, recover};

/// How often it is looked for an archive whose proof is old, and whether other work has ended.
pub(super) const LOOK: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(5);

/// How much is read between two looks at what else there is to do. It is dropped from the cache of the system then, which
/// holds what is needed again.
const STEP: u64 = 8 << 20;

/// Reads archives again, while there are some whose proof is old.
pub(super) fn work(context: &Context, pace: &Pace) {
    while !context.is_stopping() {
        match next(context) {
            Ok(Some(backup)) => scrub(context, pace, &backup),
            Ok(None) => return,
            Err(error) => {
                log::error!(
                    "which archive is to be read again is not known: {}",
                    with_causes(&error)
                );
                return;
            }
        }
    }
}

/// The archive to read now. None while other work is to be done, or while the archives are not where they were.
fn next(context: &Context) -> Result<Option<Backup>, CatalogError> {
    if context.catalog.is_working()? {
        return Ok(None);
    }
    let found = context.catalog.next_scrub()?;
    Ok(found.filter(|_| recover::may_begin(context, false)))
}

/// Reads the archive of a backup again, and records what was found.
pub(super) fn scrub(context: &Context, pace: &Pace, backup: &Backup) {
    let started = Instant::now();
    let result = read(context, pace, backup);
    if let Err(error) = record(context, backup, &result, started.elapsed()) {
        log::error!(
            "what was read of backup {} is not recorded: {}",
            backup.id,
            with_causes(&error)
        );
    }
}

fn read(context: &Context, pace: &Pace, backup: &Backup) -> Result<VerifyLevel> {
    let cancel = &context.cancel;
    let location = location_of(backup)?;
    let file = context.storage.open(location);
    // That takes no key.
    let reader = if location.is_encrypted() {
        None
    } else {
        Some(open_one(&*context.storage, backup, cancel)?)
    };
    let file = file?;
    // What is in the cache of the system says nothing of the disk.
    file.forget(0, file.len());
    let reading = Reading { context, pace, file, done: AtomicU64::new(0) };
    let go_on = |done| reading.go_on(done, cancel);
    let Some(reader) = reader else {
        check_bytes(&*context.storage, backup, 1, cancel, &go_on)?;
        return Ok(known_level(backup));
    };
    check_archive(&reader, backup, 1, &go_on)?;
    Ok(facts::level_of(reader.manifest()))
}

/// How far a backup is proven by its row: what is byte for byte what it was stays proven so far.
pub(super) fn known_level(backup: &Backup) -> VerifyLevel {
    backup.facts.as_ref().map_or(VerifyLevel::Bytes, |it| it.verify_level)
}

/// An archive that is being read.
struct Reading<'a> {
    context: &'a Context,
    pace: &'a Pace,
    file: Arc<dyn ReadAt>,
    /// Up to here, it was waited for the pace.
    done: AtomicU64,
}

impl Reading<'_> {
    /// Waits until more may be read.
    fn go_on(&self, done: u64, cancel: &Cancel) {
        let before = self.done.load(Ordering::Relaxed);
        let more = done.saturating_sub(before);
        if more < STEP {
            return;
        }
        self.done.store(done, Ordering::Relaxed);
        self.file.forget(before, more);
        self.pace.wait_for_turn(more, cancel);
        while !cancel.is_cancelled() {
            let seen = self.context.bell.count();
            if !matches!(self.context.catalog.is_working(), Ok(true)) {
                return;
            }
            self.context.bell.wait_past(seen, POLL);
        }
    }
}

fn record(
    context: &Context,
    backup: &Backup,
    result: &Result<VerifyLevel>,
    took: Duration,
) -> Result<(), CatalogError> {
    let id = backup.id;
    match result {
        Ok(_level) => {
            log::debug!("the archive of backup {id} was read again, and is what was proven");
        }
        Err(JobError::Cancelled) => {}
        // It was deleted meanwhile.
        Err(_) if context.catalog.chain_to_restore(id).is_err() => return Ok(()),
        Err(error) => {
            presence::note_disk_error(context, error.is_disk_error(), error);
            log::warn!("reading the archive of backup {id} again: {}", with_causes(error));
        }
    }
    let (end, level, damage) = found(context, backup, result, took);
    context.catalog.end_scrub(id, end, level, damage).wait()
}

/// How it ended to read a backup again, how far the backup is proven, and which damage was found. What passed is put
/// beside the archive, too.
pub(super) fn found(
    context: &Context,
    backup: &Backup,
    result: &Result<VerifyLevel>,
    took: Duration,
) -> (RunEnd, VerifyLevel, Option<Damage>) {
    let (at, facts) = (context.clock.now(), backup.facts.as_ref());
    let mut numbers = RunNumbers { took_ms: Some(millis(took)), ..RunNumbers::default() };
    let (result, damage) = match result {
        Ok(level) => {
            numbers.read_bytes = facts.map(|it| it.stored_bytes);
            proof::record(&*context.storage, backup, at, *level);
            (RunResult::Done, None)
        }
        Err(JobError::Cancelled) => (RunResult::Interrupted, None),
        Err(error) => {
            let found = error.bad_archive().filter(|_| presence::are_here(context));
            let mut failure =
                found.as_ref().map_or_else(|| error.failure(), |(_, failure)| failure.clone());
            if let Some((bad, _)) = found.as_ref().filter(|(bad, _)| *bad != backup.id) {
                let why = failure.message;
                failure.message = format!("backup {bad}, which it is built on: {why}");
            }
            let damage =
                found.map(|(id, failure)| Damage { id, place: DamageIn::Archive, failure });
            (RunResult::from_failure(failure), damage)
        }
    };
    (RunEnd { at, result, numbers }, known_level(backup), damage)
}
