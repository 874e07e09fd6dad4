//! Marking for removal: a backup goes with everything that is built on it, or not at all.

use std::sync::Arc;

use super::rules::visible_backup;
use super::{Catalog, CatalogError, Reply, Scope, Write};
use crate::domain::{BackupId, ProjectId};
use crate::store::Records;

impl Catalog {
    /// Marks a backup and all that is built on it for removal, or nothing if one of them runs. Drills of
    /// them are given up.
    /// One that is marked already is fine; one whose removal failed is tried again.
    pub fn delete_backup(&self, scope: &Scope<Write>, id: BackupId) -> Reply<()> {
        let scope = scope.clone();
        let drills = Arc::clone(&self.drills);
        self.write_and_ring(move |db, _rules| {
            let project = visible_backup(db, &scope, id)?.backup.project;
            nothing_runs(db, id, &project)?;
            nothing_is_restored(db, id, &project)?;
            db.ask_removal(id, &project)?;
            drills.give_up_removed(db)
        })
    }
}

fn nothing_runs(db: Records<'_>, id: BackupId, project: &ProjectId) -> Result<(), CatalogError> {
    let Some((member, status)) = db.running_member(id, project)? else { return Ok(()) };
    let which = if member == id {
        format!("Backup {id}")
    } else {
        format!("Backup {member}, which is built on {id},")
    };
    let why = format!("{which} is {status}: wait until it has ended, then delete again.");
    Err(CatalogError::NotNow { why })
}

fn nothing_is_restored(
    db: Records<'_>,
    id: BackupId,
    project: &ProjectId,
) -> Result<(), CatalogError> {
    let Some((instance, member)) = db.restored_member(id, project)? else { return Ok(()) };
    let why = format!(
        "Instance {instance} is being restored from backup {member}: wait until that has ended, then delete again."
    );
    Err(CatalogError::NotNow { why })
}
