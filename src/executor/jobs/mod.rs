//! Claimed jobs: one file for each kind. A job runs to an [`Outcome`], which is recorded and logged in one
//! place.

mod backup;
mod consolidate;
mod drill;
mod intake;
mod outcome;
mod reading;
mod register;
mod remove;
mod restore;
mod staging;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::catalog::Job;
use crate::telemetry::Subject;

use super::{Context, JobError, Result};

pub(super) use outcome::POLL;
pub(super) use remove::tidy;

use outcome::Outcome;

/// Runs a job to its end, and records how it ended.
pub(super) fn run(context: &Context, job: Job) {
    let _about = subject(&job);
    match job {
        Job::Backup(job) => {
            let id = job.backup.id;
            log::info!("backup {id} of instance {} begins", job.instance.name);
            let result = guarded(|| backup::run(context, *job));
            Outcome::Backup { id, result }.settle(context);
        }
        Job::Register(job) => {
            let result = guarded(|| register::run(context, &job));
            Outcome::Registration { id: job.backup.id, result }.settle(context);
        }
        Job::Restore(job) => {
            let result = guarded(|| restore::run(context, &job));
            let instance = Box::new(job.instance);
            Outcome::Restore { instance, result }.settle(context);
        }
        Job::Drill(job) => {
            if let Some(outcome) = drill::run(context, &job) {
                outcome.settle(context);
            }
        }
        Job::Stage(job) => {
            let (id, started) = (job.id, Instant::now());
            log::info!("backup {id} is restored into staging at {}", job.to);
            let result = guarded(|| staging::run(context, &job));
            Outcome::Staging { id, took: started.elapsed(), result }.settle(context);
        }
        Job::Consolidate(job) => {
            if let Some(result) = consolidate::run(context, &job) {
                Outcome::Consolidation { id: job.backup.id, result }.settle(context);
            }
        }
        Job::Verify(job) => {
            if let Some((result, took)) = verify::run(context, &job) {
                Outcome::Verification { job, took, result }.settle(context);
            }
        }
        Job::Remove(job) => remove::run(context, &job),
        Job::RemoveInstance(job) => remove::run_instance(context, &job),
    }
}

/// What the lines are about that the job logs.
fn subject(job: &Job) -> Option<Subject> {
    Some(match job {
        Job::Backup(job) => Subject::new("backup_id", job.backup.id),
        Job::Register(job) => Subject::new("backup_id", job.backup.id),
        Job::Drill(job) => Subject::new("backup_id", job.id),
        Job::Stage(job) => Subject::new("backup_id", job.id),
        Job::Verify(job) => Subject::new("backup_id", job.backup.id),
        Job::Consolidate(job) => Subject::new("backup_id", job.backup.id),
        Job::Remove(_several) => return None,
        Job::Restore(job) => Subject::new("instance_id", job.instance.id),
        Job::RemoveInstance(job) => Subject::new("instance_id", job.id),
    })
}

/// A panic in a job ends that job, not the worker.
pub(super) fn guarded<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or(Err(JobError::Panicked))
}
