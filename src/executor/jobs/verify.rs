//! A claimed verification: everything that a restore of the backup needs is read, decoded and compared.

use std::time::{Duration, Instant};

use crate::catalog::{CatalogError, VerificationJob};
use crate::domain::{Backup, Here, RunKind, RunResult, VerifyLevel, with_causes};
use crate::executor::chain::location_of;
use crate::executor::drill::cancelled_or;
use crate::executor::verify::{check_bytes, verify};
use crate::executor::{Context, JobError, Result, chain, proof, scrub};
use crate::failpoint;

use super::guarded;

/// Reads it, unless the backup is being deleted. Returns what was found, and how long that took.
pub(super) fn run(
    context: &Context,
    job: &VerificationJob,
) -> Option<(Result<VerifyLevel>, Duration)> {
    let id = job.backup.id;
    log::info!("verification of backup {id} begins");
    let started = Instant::now();
    let cancel = context.cancel.child();
    match context.catalog.begin_run(RunKind::Verify, id, cancel.clone()).wait() {
        Ok(true) => {}
        Ok(false) => {
            log::info!("verification of backup {id}: the backup is being deleted");
            return None;
        }
        Err(error) => {
            // It stays claimed, and is made after the next start.
            log::error!("verification of backup {id}: {}", with_causes(&error));
            return None;
        }
    }
    failpoint::at("verify-begins");
    let result = guarded(|| {
        job.chain.iter().try_for_each(|it| read_from_disk(context, it))?;
        let workers = context.settings.compression_threads;
        let chain = match chain::open_for_job(&*context.storage, &job.chain, &cancel) {
            Err(error) if error.is_about_key() => {
                log::info!("verification of backup {id}: only its bytes are compared: {error}");
                let mut chain = job.chain.iter();
                chain.try_for_each(|it| {
                    check_bytes(&*context.storage, it, workers, &cancel, &|_| ())
                })?;
                return Ok(scrub::known_level(&job.backup));
            }
            opened => opened?,
        };
        Ok(verify(&chain, &job.chain, workers, &|_done, _total| ())?.level)
    });
    let result = result.map_err(|error| cancelled_or(error, &cancel));
    failpoint::at("verify-before-settle");
    Some((result, started.elapsed()))
}

/// What is in the cache of the system says nothing of the disk. A file that cannot be opened is reported when it is read.
fn read_from_disk(context: &Context, backup: &Backup) -> Result<()> {
    if backup.here == Here::Yes
        && let Ok(file) = context.storage.open(location_of(backup)?)
    {
        file.forget(0, file.len());
    }
    Ok(())
}

pub(super) fn record(
    context: &Context,
    job: &VerificationJob,
    result: &Result<VerifyLevel>,
    took: Duration,
) -> Result<(), CatalogError> {
    let backup = &job.backup;
    if matches!(result, Err(JobError::Cancelled)) {
        return context.catalog.retry_run(RunKind::Verify, backup.id).wait();
    }
    let (end, level, damage) = scrub::found(context, backup, result, took);
    // Of what it is built on, only the bytes were compared with what was proven.
    let others = job.chain.iter().filter(|it| it.id != backup.id);
    let mut proven = vec![(backup.id, level)];
    proven.extend(others.clone().map(|it| (it.id, VerifyLevel::Bytes)));
    if end.result == RunResult::Done {
        for other in others {
            proof::record(&*context.storage, other, end.at, VerifyLevel::Bytes);
        }
    }
    context.catalog.end_verification(backup.id, end, proven, damage).wait()
}
