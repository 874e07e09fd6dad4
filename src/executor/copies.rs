//! The thread that copies archives to further places, and removes copies there. One copy at a time, what a backup is
//! built on before it; no backup waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::catalog::{CatalogError, CopyJob};
use crate::domain::{BackupCopy, RunEnd, RunNumbers, RunResult, Timestamp, with_causes};
use crate::storage::UploadPlan;
use crate::telemetry::Subject;

use super::copy::{Copied, copy};
use super::copy_source::{forget, location_of};
use super::jobs::POLL;
use super::{Context, CopyTarget, JobError, Result, millis, places, recover};

/// How long after its first failure a copy is tried again; twice as long after each further one.
const RETRY_AFTER: Duration = Duration::from_secs(60);
const RETRY_AT_MOST: Duration = Duration::from_secs(6 * 3600);
/// How long after it failed a removal is tried again.
const REMOVE_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// Copies until it is to stop. Copies that an earlier process had go on first.
pub(super) fn work(context: &Context, stopping: &AtomicBool) {
    let mut begun = false;
    while !stopping.load(Ordering::Acquire) {
        let seen = context.bell.count();
        if recover::may_begin(context, false) {
            let found_work = if begun { round(context, stopping) } else { begin(context) };
            begun = true;
            match found_work {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => log::error!("cannot claim copies: {}", with_causes(&error)),
            }
        }
        context.bell.wait_past(seen, POLL);
    }
}

fn begin(context: &Context) -> Result<bool, CatalogError> {
    let names = context.places.iter().map(|it| it.place.name().to_owned()).collect();
    let interrupted = context.catalog.reopen_copies().wait()?;
    if interrupted > 0 {
        log::info!("{interrupted} copies were interrupted and go on where they stopped");
    }
    if let Err(error) = forget_keys(context) {
        log::warn!("keys of copies that are proven may be left over: {}", with_causes(&error));
    }
    // A catalog that was rebuilt just now asks for those of all its backups.
    context.catalog.ask_for_copies().wait()?;
    context.catalog.retry_copies(names).wait()?;
    Ok(true)
}

/// Removes the keys of copies that are proven, or not wanted any more.
fn forget_keys(context: &Context) -> Result<()> {
    for (id, place) in context.local.upload_keys()? {
        if !context.catalog.is_copy_unfinished(id, &place)? {
            forget(context, id, &place)?;
        }
    }
    Ok(())
}

/// Does the next thing in each place. Returns whether there was any.
fn round(context: &Context, stopping: &AtomicBool) -> Result<bool, CatalogError> {
    let mut found_work = false;
    for target in &*context.places {
        if stopping.load(Ordering::Acquire) {
            break;
        }
        let window = context.settings.trash_window;
        if let Some((copy, upload)) = context.catalog.copy_to_remove(target.place.name(), window)? {
            remove(context, target, &copy, upload.as_deref())?;
            found_work = true;
        }
        if let Some(job) = context.catalog.claim_copy(target.place.name())? {
            run(context, target, job);
            found_work = true;
        }
    }
    Ok(found_work)
}

/// Makes a claimed copy, and records what became of it.
fn run(context: &Context, target: &CopyTarget, job: CopyJob) {
    let (id, attempts) = (job.backup.id, job.copy.attempts);
    let _about = Subject::new("backup_id", id);
    let (place, started) = (target.place.name(), Instant::now());
    let result = super::jobs::guarded(|| copy(context, target, job));
    let numbers = |stored_bytes| RunNumbers {
        took_ms: Some(millis(started.elapsed())),
        stored_bytes,
        ..RunNumbers::default()
    };
    let end = |stored_bytes| RunEnd {
        at: Timestamp::EARLIEST,
        result: RunResult::Done,
        numbers: numbers(stored_bytes),
    };
    let catalog = &context.catalog;
    let recorded = match result {
        Ok(Copied { by, sent, bytes }) => {
            log::info!(
                "backup {id} is copied to {place}: {sent} bytes sent, proven by {}",
                by.as_str()
            );
            let recorded = catalog.copy_proven(id, place, (by, bytes), end(Some(sent))).wait();
            if recorded.is_ok()
                && let Err(error) = forget(context, id, place)
            {
                log::warn!(
                    "the key of a copy that is proven is left over: {}",
                    with_causes(&error)
                );
            }
            recorded
        }
        Err(JobError::Cancelled) => {
            log::info!("copying backup {id} to {place}: interrupted");
            catalog.copy_interrupted(id, place).wait()
        }
        Err(error) => {
            let again = retry_after(attempts);
            log::warn!(
                "copying backup {id} to {place} failed, and is tried again in {} min: {}",
                again.as_secs().div_ceil(60),
                with_causes(&error)
            );
            catalog.copy_failed(id, place, (error.failure(), again), end(None)).wait()
        }
    };
    if let Err(error) = recorded {
        log::error!("what became of a copy cannot be recorded: {}", with_causes(&error));
    }
}

/// Longer after each attempt, and not the same for all who wait.
fn retry_after(attempts: u32) -> Duration {
    let longest = RETRY_AFTER.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    longest.min(RETRY_AT_MOST).mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Removes a copy whose backup is gone.
fn remove(
    context: &Context,
    target: &CopyTarget,
    copy: &BackupCopy,
    upload: Option<&str>,
) -> Result<(), CatalogError> {
    let (id, place) = (copy.backup, target.place.name());
    let _about = Subject::new("backup_id", id);
    let removed =
        if target.keep_deleted { Ok(()) } else { remove_from(context, target, copy, upload) };
    match removed {
        Ok(()) => {
            let was_last = context.catalog.forget_copy(copy).wait()?;
            let what = if target.keep_deleted { "stays there" } else { "is removed" };
            let last = if was_last { "; it was the last that was proven" } else { "" };
            log::info!("the copy in {place} of backup {id}, which was deleted, {what}{last}");
            Ok(())
        }
        Err(error) => {
            log::warn!(
                "the copy in {place} of backup {id}, which was deleted, is not removed; that is tried again in an hour: {}",
                with_causes(&error)
            );
            let window = context.settings.trash_window;
            context.catalog.postpone_removal(copy, REMOVE_AGAIN_AFTER, window).wait()
        }
    }
}

fn remove_from(
    context: &Context,
    target: &CopyTarget,
    copy: &BackupCopy,
    upload: Option<&str>,
) -> Result<()> {
    let place = &*target.place;
    places::require_same(context, place)?;
    if let Some(upload) = upload {
        let made = Timestamp::EARLIEST;
        let is_encrypted = context.local.upload_key(copy.backup, place.name())?.is_some();
        let location = location_of(is_encrypted, &copy.location);
        place.abort(&UploadPlan::new(copy.backup, location, 0, made), upload)?;
    }
    forget(context, copy.backup, place.name())?;
    Ok(place.remove(&copy.location)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_failed_is_tried_again_later_and_later() {
        for (attempts, seconds) in [(0, 60), (1, 60), (2, 120), (5, 960), (40, 21_600)] {
            let wait = retry_after(attempts).as_secs();
            assert!((seconds / 2..=seconds).contains(&wait), "{attempts}: {wait}");
        }
    }
}
