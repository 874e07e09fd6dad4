//! Claimed removals: archives are moved to the trash newest first, then their rows are deleted; the trash is
//! emptied later.

use std::time::Duration;

use crate::catalog::{InstanceRemovalJob, RemovalJob};
use crate::domain::{Backup, Here, with_causes};
use crate::executor::{Context, JobError, Result, chain, presence};
use crate::failpoint;
use crate::telemetry::Subject;

use super::outcome::{Outcome, Removed};

/// How long after it failed the removal of a restored instance is tried again.
const RETRY_REMOVALS_AFTER: Duration = Duration::from_secs(60);

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
    let location = chain::location_of(backup)?;
    let kept = !context.settings.trash_window.is_zero();
    if backup.here == Here::No {
        // Its copies go when it would have been in the trash for long enough.
        return Ok(if kept { Removed::InTrash } else { Removed::Gone });
    }
    let at_once = kept && context.local.is_short_of_room()?;
    let removed = if at_once {
        context.local.remove_at_once(location)
    } else {
        context.storage.remove(location)
    };
    presence::require_archives(context)?;
    removed?;
    if at_once {
        log::warn!(
            "backup {}: less than storage.headroom_mib is free, so its archive is removed at once and cannot be undeleted",
            backup.id
        );
    }
    Ok(if kept && !at_once { Removed::InTrash } else { Removed::Gone })
}

/// Removes a restored instance with its data.
pub(super) fn run_instance(context: &Context, job: &InstanceRemovalJob) {
    let result = context.local.remove_restored(&job.project, job.id).map_err(JobError::from);
    Outcome::InstanceRemoval { id: job.id, result }.settle(context);
}

/// What is done now and then, by the thread that removes.
pub(in crate::executor) fn tidy(context: &Context) {
    empty_trash(context);
    if let Err(error) = context.catalog.retry_failed_removals(RETRY_REMOVALS_AFTER) {
        log::warn!("removals that failed are not tried again now: {}", with_causes(&error));
    }
    if let Err(error) = presence::find_again(context)
        && presence::are_here(context)
    {
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
        Err(error) if presence::are_here(context) => {
            log::warn!("the trash cannot be emptied: {}", with_causes(&error));
        }
        Err(_gone) => {}
    }
}
