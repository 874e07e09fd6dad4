//! Removing archives from the data directory that places keep for longer, once it was seen that they do.

use crate::catalog::CatalogError;
use crate::domain::{Backup, CopyState, with_causes};
use crate::failpoint;
use crate::telemetry::Subject;

use super::chain::location_of;
use super::{Context, JobError, Result, places, presence};

/// Removes the next archive that is to go. Returns whether there was one.
pub(super) fn next(context: &Context) -> Result<bool, CatalogError> {
    let Some(backup) = context.catalog.next_leaving()? else { return Ok(false) };
    let _about = Subject::new("backup_id", backup.id);
    let stays = match remove(context, &backup) {
        Ok(()) => {
            log::info!("the archive of backup {} went from the data directory", backup.id);
            None
        }
        Err(error) => {
            log::warn!(
                "the archive of backup {} stays in the data directory: {}",
                backup.id,
                with_causes(&error)
            );
            Some(with_causes(&error))
        }
    };
    failpoint::at("leaving-before-settle");
    context.catalog.left(backup.id, stays).wait()?;
    Ok(true)
}

/// The word of the catalog that copies are proven is not enough: each place is asked whether it still has it.
fn remove(context: &Context, backup: &Backup) -> Result<()> {
    presence::require_archives(context)?;
    let location = location_of(backup)?;
    let (mut found, mut lost) = (0_u32, Vec::new());
    let proven = backup.copies.iter().filter(|it| it.state == CopyState::Proven && !it.leaving);
    for copy in proven {
        let targets = context.places.all();
        let Some(target) = targets.iter().find(|it| it.place.name() == copy.place) else {
            continue;
        };
        places::require_same(context, &*target.place)?;
        match target.place.stat(&copy.location)? {
            // Without the keys to it nothing here could read it again.
            Some(stored) if stored.bytes == copy.sent && !target.readable => {}
            Some(stored) if stored.bytes == copy.sent => {
                target.place.open(&copy.location)?;
                found = found.saturating_add(1);
            }
            _ => lost.push(copy.place.clone()),
        }
    }
    for place in &lost {
        context.catalog.copy_lost(backup.id, place).wait()?;
    }
    if found == 0 || !lost.is_empty() {
        return Err(JobError::BadCopy(if lost.is_empty() {
            "no place of the configuration has a copy of it that can be read here".to_owned()
        } else {
            format!("its copy is gone from {}, and is made again", lost.join(", "))
        }));
    }
    failpoint::at("leaving-before-remove");
    context.storage.remove(location)?;
    Ok(())
}
