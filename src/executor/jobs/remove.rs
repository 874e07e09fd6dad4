//! Claimed removals: archives are moved to the trash newest first, then their rows are deleted; the trash is
//! emptied later.

use crate::catalog::{InstanceRemovalJob, RemovalJob};
use crate::domain::{Backup, with_causes};
use crate::executor::{Context, JobError, Result, chain, presence};
use crate::failpoint;
use crate::telemetry::Subject;

use super::outcome::{Outcome, Removed};

/// Removes a subtree. Stops at the first archive that cannot be removed: what is built on others must not
/// outlive them.
pub(super) fn run(context: &Context, job: &RemovalJob) {
    for backup in &job.backups {
        let _about = Subject::new("backup_id", backup.id);
        let result = discard(context, backup);
        if let Err(error @ JobError::ArchivesMissing(_)) = &result {
            log::warn!("deleting backup {} waits: {error}", backup.id);
            if let Err(error) = context.catalog.reopen_removals().wait() {
                log::warn!("it is tried again at the next start: {}", with_causes(&error));
            }
            return;
        }
        failpoint::at("mid-delete");
        let failed = result.is_err();
        Outcome::Removal { id: backup.id, result }.settle(context);
        if failed {
            return;
        }
    }
    empty_trash(context);
}

fn discard(context: &Context, backup: &Backup) -> Result<Removed> {
    if backup.facts.is_none() {
        return Ok(Removed::Gone);
    }
    // Checked afterwards as well, since an archive that is not there is as good as removed.
    presence::require_archives(context)?;
    let removed = context.storage.remove(chain::location_of(backup)?);
    presence::require_archives(context)?;
    removed?;
    let kept = !context.settings.trash_window.is_zero();
    Ok(if kept { Removed::InTrash } else { Removed::Gone })
}

/// Removes a restored instance with its data.
pub(super) fn run_instance(context: &Context, job: &InstanceRemovalJob) {
    let result = context.local.remove_restored(&job.project, job.id).map_err(JobError::from);
    Outcome::InstanceRemoval { id: job.id, result }.settle(context);
}

/// What is done now and then, by the thread that removes.
pub(in crate::executor) fn tidy(context: &Context) {
    empty_trash(context);
    if let Err(error) = presence::find_again(context) {
        log::warn!(
            "whether missing archives are there again is not known: {}",
            with_causes(&error)
        );
    }
}

/// Empties what has been in the trash long enough. An error is only logged: the next call tries again.
fn empty_trash(context: &Context) {
    let window = context.settings.trash_window;
    if let Err(error) = context.catalog.forget_trashed(window) {
        log::warn!("what was in the trash stays in the catalog: {}", with_causes(&error));
    }
    match context.local.empty_trash(window) {
        Ok(0) => {}
        Ok(bytes) => log::info!("the trash was emptied of {bytes} bytes"),
        Err(error) => log::warn!("the trash cannot be emptied: {}", with_causes(&error)),
    }
}
