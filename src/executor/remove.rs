//! Deleting: archives go to the trash newest first, then their rows go; the trash is emptied later.

use crate::catalog::{InstanceRemovalJob, RemovalJob};
use crate::domain::{Failure, FailureCode, with_causes};
use crate::failpoint;
use crate::storage::StorageError;

use super::settle::settle;
use super::{Context, chain};

/// Removes a subtree. Stops at the first archive that cannot be removed: what is built on others must never
/// outlive them.
pub(super) fn run(context: &Context, job: &RemovalJob) {
    for backup in &job.backups {
        let discarded =
            match &backup.facts {
                Some(_) => chain::location_of(backup).map_err(|error| error.failure()).and_then(
                    |location| context.storage.discard(location).map_err(|error| failure(&error)),
                ),
                None => Ok(()),
            };
        failpoint::reached("mid-delete");
        match discarded {
            Ok(()) => settle(context, || context.catalog.removed(vec![backup.id]).wait()),
            Err(failure) => {
                log::warn!("backup {} cannot be deleted: {failure}", backup.id);
                settle(context, || {
                    context.catalog.removal_failed(backup.id, failure.clone()).wait()
                });
                return;
            }
        }
    }
    empty_trash(context);
}

fn failure(error: &StorageError) -> Failure {
    Failure::new(
        FailureCode::Storage,
        format!("{error}; it is tried again at the next delete or start"),
    )
}

/// Removes a restored instance with its data.
pub(super) fn run_instance(context: &Context, job: &InstanceRemovalJob) {
    match context.local.discard_restored(&job.project, job.id) {
        Ok(()) => settle(context, || context.catalog.instance_removed(job.id).wait()),
        Err(error) => log::warn!("instance {} cannot be deleted: {}", job.id, with_causes(&error)),
    }
}

/// Empties what has been in the trash long enough. An error is only told: the next look tries again.
pub(super) fn empty_trash(context: &Context) {
    match context.storage.empty_trash(context.settings.trash_window) {
        Ok(0) => {}
        Ok(bytes) => log::info!("the trash was emptied of {bytes} bytes"),
        Err(error) => log::warn!("the trash cannot be emptied: {}", with_causes(&error)),
    }
}
