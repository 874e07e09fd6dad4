//! How jobs end: what the catalog records of it, and the one line of the log that says so.

use std::time::Duration;

use crate::catalog::{CatalogError, VerificationJob};
use crate::domain::{BackupId, FailureCode, Instance, InstanceId, VerifyLevel, with_causes};
use crate::executor::drill::{self, PassedDrill};
use crate::executor::{Context, JobError, Result, presence};
use crate::failpoint;

use super::backup::Published;
use super::consolidate::{self, Made};
use super::register::Found;
use super::restore::{self, Restored};
use super::staging::{self, Refreshed};
use super::verify;

/// How often a worker looks for work, or tries to record an outcome again, when the bell does not ring.
pub(in crate::executor) const POLL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Outcome {
    Backup { id: BackupId, result: Result<Published> },
    Registration { id: BackupId, result: Result<Found> },
    Restore { instance: Box<Instance>, result: Result<Restored> },
    Drill { id: BackupId, took: Duration, result: Result<PassedDrill> },
    Staging { id: BackupId, took: Duration, result: Result<Refreshed> },
    Consolidation { id: BackupId, result: Result<Made> },
    Verification { job: Box<VerificationJob>, took: Duration, result: Result<VerifyLevel> },
    Removal { id: BackupId, result: Result<Removed> },
    InstanceRemoval { id: InstanceId, result: Result<()> },
}

/// What became of a backup that was removed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Removed {
    /// Its archive can be fetched out of the trash.
    InTrash,
    /// Nothing is left of it.
    Gone,
}

impl Outcome {
    /// Records the outcome and logs it. While the catalog cannot be written (a full disk), tries again until
    /// it can or the server stops; then the next start settles the row.
    pub(super) fn settle(self, context: &Context) {
        // A failure is logged first, in case it cannot be recorded.
        let failed = self.error().is_some();
        if let Some(error) = self.error() {
            presence::note_disk_error(context, error.is_disk_error(), error);
            self.log();
        }
        loop {
            let seen = context.bell.count();
            let Err(error) = self.record(context) else { break };
            log::error!("the outcome of a job cannot be recorded: {}", with_causes(&error));
            presence::note_disk_error(context, error.is_disk_error(), &error);
            let transient = matches!(&error, CatalogError::Store(cause) if cause.is_transient());
            if !transient || context.is_stopping() {
                return;
            }
            context.bell.wait_past(seen, POLL);
        }
        if !failed {
            self.log();
        }
    }

    fn record(&self, context: &Context) -> Result<(), CatalogError> {
        let catalog = &context.catalog;
        match self {
            Self::Backup { id, result: Ok(published) } => {
                failpoint::at("before-complete");
                let Published { facts, version, .. } = published;
                catalog.complete(*id, facts.clone(), version, published.numbers()).wait()
            }
            Self::Registration { id, result: Ok(found) } => {
                let Found { kind, parent, facts } = found;
                catalog.registered(*id, *kind, *parent, facts.clone()).wait()
            }
            Self::Backup { id, result: Err(error) }
            | Self::Registration { id, result: Err(error) } => {
                catalog.fail(*id, error.failure()).wait()
            }
            Self::Restore { instance, result } => match result {
                Ok(Restored { source, content_bytes, .. }) => {
                    catalog.restored(instance.id, source.clone(), *content_bytes).wait()
                }
                Err(JobError::Cancelled) => restore::retry(context, instance),
                Err(error) => catalog.restore_failed(instance.id, error.failure()).wait(),
            },
            Self::Drill { id, took, result } => drill::record(context, *id, result, *took),
            Self::Staging { id, took, result } => staging::record(context, *id, result, *took),
            Self::Consolidation { id, result } => consolidate::record(context, *id, result),
            Self::Verification { job, took, result } => verify::record(context, job, result, *took),
            Self::Removal { id, result: Ok(Removed::InTrash) } => catalog.trashed(vec![*id]).wait(),
            Self::Removal { id, result: Ok(Removed::Gone) } => catalog.removed(vec![*id]).wait(),
            Self::Removal { id, result: Err(error) } => {
                let mut failure = error.failure();
                if let JobError::Storage(_) = error {
                    failure.code = FailureCode::Storage;
                    failure.message.push_str("; it is tried again at the next delete or start");
                }
                catalog.removal_failed(*id, failure).wait()
            }
            Self::InstanceRemoval { id, result: Ok(()) } => catalog.instance_removed(*id).wait(),
            Self::InstanceRemoval { id, result: Err(error) } => {
                let mut failure = error.failure();
                failure.message.insert_str(0, "it could not be deleted: ");
                failure
                    .message
                    .push_str("; this is tried again every minute and at the next delete");
                catalog.instance_removal_failed(*id, failure).wait()
            }
        }
    }

    fn error(&self) -> Option<&JobError> {
        match self {
            Self::Backup { result, .. } => result.as_ref().err(),
            Self::Registration { result, .. } => result.as_ref().err(),
            Self::Restore { result, .. } => result.as_ref().err(),
            Self::Drill { result, .. } => result.as_ref().err(),
            Self::Staging { result, .. } => result.as_ref().err(),
            Self::Consolidation { result, .. } => result.as_ref().err(),
            Self::Verification { result, .. } => result.as_ref().err(),
            Self::Removal { result, .. } => result.as_ref().err(),
            Self::InstanceRemoval { result, .. } => result.as_ref().err(),
        }
    }

    fn log(&self) {
        let what = match self {
            Self::Backup { id, .. } => format!("backup {id}"),
            Self::Registration { id, .. } => format!("registering backup {id}"),
            Self::Restore { instance, .. } => format!("restoring into instance {}", instance.id),
            Self::Drill { id, .. } => format!("drill of backup {id}"),
            Self::Staging { id, .. } => format!("restoring backup {id} into staging"),
            Self::Consolidation { id, .. } => format!("consolidation of backup {id}"),
            Self::Verification { job, .. } => format!("verification of backup {}", job.backup.id),
            Self::Removal { id, .. } => format!("deleting backup {id}"),
            Self::InstanceRemoval { id, .. } => format!("deleting instance {id}"),
        };
        match (self, self.error()) {
            (_, Some(JobError::Cancelled)) => log::info!("{what}: interrupted"),
            (Self::Drill { id, .. }, Some(error)) => {
                let causes = with_causes(error);
                if drill::damage(error, *id).is_some_and(|it| it.failure.code.is_damage()) {
                    log::warn!("{what} found damage, nothing is built on it from now on: {causes}");
                } else {
                    log::warn!("{what} is inconclusive, and says nothing of the backup: {causes}");
                }
            }
            (_, Some(error)) => log::warn!("{what} failed: {}", with_causes(error)),
            (Self::Backup { result: Ok(published), .. }, None) => {
                log::info!("{what} is complete: {published}");
            }
            (Self::Restore { result: Ok(restored), .. }, None) => {
                log::info!("{what}: the backup is at {}", restored.target.display());
                for line in &restored.next_steps {
                    log::info!("to use the restored data: {line}");
                }
            }
            (Self::Staging { result: Ok(refreshed), .. }, None) => {
                log::info!("{what}: {} has it now", refreshed.to);
            }
            (Self::Drill { result: Ok(drilled), .. }, None) => log::info!("{what} {drilled}"),
            (Self::Consolidation { result: Ok(made), .. }, None) => log::info!("{what}: {made}"),
            _ => log::info!("{what}: done"),
        }
    }
}
