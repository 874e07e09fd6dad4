//! The thread that copies archives to further places, and removes copies there. One copy at a time, what a backup is
//! built on before it; no backup waits for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::catalog::{CatalogError, CopyJob};
use crate::domain::{BackupCopy, RunEnd, RunNumbers, RunResult, Timestamp, with_causes};
use crate::failpoint;
use crate::storage::UploadPlan;
use crate::telemetry::Subject;

use super::copy::{Copied, copy};
use super::copy_source::{forget, location_of};
use super::jobs::POLL;
use super::{Context, CopyTarget, JobError, Result, leaving, millis, places, recover};

/// How long after it failed a removal is tried again.
const REMOVE_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// The same where the keys may not remove anything.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How often it is seen whether a place can be used to which nothing is copied.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often forgotten uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3600);

/// When each place was used last and whether that worked, by its name.
#[derive(Debug, Default)]
struct Uses(HashMap<String, Use>);

#[derive(Debug)]
struct Use {
    at: Instant,
    /// How often in a row the place as a whole could not be used, and until when it is left alone.
    failures: u32,
    again: Instant,
    /// When forgotten uploads were looked for.
    swept: Option<Instant>,
}

impl Uses {
    fn may_use(&self, place: &str) -> bool {
        self.0.get(place).is_none_or(|it| it.failures == 0 || it.again <= Instant::now())
    }

    fn is_to_be_looked_at(&self, place: &str) -> bool {
        self.0.get(place).is_none_or(|it| it.at.elapsed() >= LOOK_EVERY)
    }

    fn is_to_be_swept(&self, place: &str) -> bool {
        self.0.get(place).is_some_and(|it| it.swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY))
    }

    fn note(&mut self, target: &CopyTarget, works: bool) {
        let (now, place) = (Instant::now(), target.place.name());
        let known = self.0.get(place);
        let (before, swept) = known.map_or((0, None), |it| (it.failures, it.swept));
        let failures = if works { 0 } else { before.saturating_add(1) };
        let again = now + target.retry_after(failures);
        self.0.insert(place.to_owned(), Use { at: now, failures, again, swept });
    }

    fn note_sweep(&mut self, place: &str) {
        if let Some(it) = self.0.get_mut(place) {
            it.swept = Some(Instant::now());
        }
    }
}

/// Copies until it is to stop. Copies that an earlier process had go on first.
pub(super) fn work(context: &Context) {
    let (mut begun, mut uses) = (false, Uses::default());
    places::settle(context);
    while !context.is_stopping() {
        let seen = context.bell.count();
        if recover::may_begin(context, false) {
            let found_work = if begun { round(context, &mut uses) } else { begin(context) };
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
    let targets = context.places.all();
    let names = targets.iter().map(|it| it.place.name().to_owned()).collect();
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
fn round(context: &Context, uses: &mut Uses) -> Result<bool, CatalogError> {
    let mut found_work = false;
    found_work |= leaving::next(context)?;
    for target in &*context.places.all() {
        let name = target.place.name();
        if context.is_stopping() {
            break;
        }
        // What failed for all would fail for each, one after the other.
        if !uses.may_use(name) {
            continue;
        }
        let window = context.settings.trash_window;
        if let Some((copy, upload)) = context.catalog.copy_to_remove(name, window)? {
            let trouble = remove(context, target, &copy, upload.as_deref())?;
            note(context, uses, target, trouble)?;
            found_work = true;
        } else if target.is_open(context.clock.now())
            && let Some(job) = context.catalog.claim_copy(name)?
        {
            let trouble = run(context, target, job);
            note(context, uses, target, trouble)?;
            found_work = true;
        } else if uses.is_to_be_looked_at(name) {
            let looked = places::look(context, &*target.place);
            note(context, uses, target, looked.err().as_ref().map(trouble_of))?;
        } else if uses.is_to_be_swept(name) {
            uses.note_sweep(name);
            let swept = places::sweep(context, &*target.place);
            swept.unwrap_or_else(|error| log::warn!("{}", with_causes(&error)));
        }
    }
    Ok(found_work)
}

/// What is said of a place that cannot be used.
fn trouble_of(error: &JobError) -> String {
    with_causes(error)
}

/// Takes note of whether a place could be used.
fn note(
    context: &Context,
    uses: &mut Uses,
    target: &CopyTarget,
    trouble: Option<String>,
) -> Result<(), CatalogError> {
    if context.cancel.is_cancelled() {
        return Ok(());
    }
    uses.note(target, trouble.is_none());
    context.catalog.note_place(target.place.name(), trouble)
}

/// Makes a claimed copy, and records what became of it. Returns what is wrong with the place, if it is the place.
fn run(context: &Context, target: &CopyTarget, job: CopyJob) -> Option<String> {
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
    let about_place = result.as_ref().err().filter(|error| error.is_about_place());
    let trouble = about_place.map(trouble_of);
    failpoint::at("copy-before-settle");
    let recorded = match result {
        Ok(Copied { by, sent: (sent, sent_in), bytes, locked }) => {
            log::info!(
                "backup {id} is copied to {place}: {sent} bytes sent in {} ms, proven by {}",
                millis(sent_in),
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
            recorded.and_then(|()| catalog.copies_locked(place, locked).wait())
        }
        Err(JobError::Cancelled) => {
            log::info!("copying backup {id} to {place}: interrupted");
            catalog.copy_interrupted(id, place).wait()
        }
        Err(error) => {
            let again = target.retry_after(attempts);
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
    trouble
}

/// Removes a copy that is to go. Returns what is wrong with the place, if it is the place.
fn remove(
    context: &Context,
    target: &CopyTarget,
    copy: &BackupCopy,
    upload: Option<&str>,
) -> Result<Option<String>, CatalogError> {
    let (id, place) = (copy.backup, target.place.name());
    let _about = Subject::new("backup_id", id);
    // A backup that stays may be kept there no longer; then it is removed whatever becomes of those of deleted ones.
    let deleted = context.catalog.is_deleted(id)?;
    let why = if deleted { "which was deleted" } else { "which stays" };
    let stays = deleted && target.keep_deleted;
    let removed = if stays { Ok(()) } else { remove_from(context, target, copy, upload) };
    match removed {
        Ok(()) => {
            let is_last = context.catalog.forget_copy(copy, !stays).wait()?;
            let what = if stays { "stays there" } else { "is removed" };
            let last = if is_last {
                "; nothing is left of it in the data directory and in other places"
            } else {
                ""
            };
            log::info!("the copy in {place} of backup {id}, {why}, {what}{last}");
            Ok(None)
        }
        Err(error) if error.is_refused_removal() => {
            log::info!(
                "the copy in {place} of backup {id} stays for now: {}; keep_deleted = true in its [[places]] asks no more",
                with_causes(&error)
            );
            let window = context.settings.trash_window;
            context.catalog.postpone_removal(copy, REFUSED_AGAIN_AFTER, window).wait()?;
            Ok(None)
        }
        Err(error) => {
            log::warn!(
                "the copy in {place} of backup {id}, {why}, is not removed; that is tried again in an hour: {}",
                with_causes(&error)
            );
            let window = context.settings.trash_window;
            context.catalog.postpone_removal(copy, REMOVE_AGAIN_AFTER, window).wait()?;
            Ok(error.is_about_place().then(|| trouble_of(&error)))
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
    failpoint::at("copy-before-remove");
    place.remove(&copy.location)?;
    failpoint::at("copy-removed");
    Ok(())
}
