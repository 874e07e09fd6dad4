//! What a job's panic may reach: the job, and nobody else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::JobError;

/// A panic in a job ends that job, not the worker.
pub(super) fn guarded<T>(job: impl FnOnce() -> Result<T, JobError>) -> Result<T, JobError> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or(Err(JobError::Panicked))
}
