//! Undoing a delete while the trash still holds the archives.

use crate::domain::{Backup, BackupId};

use super::chain::location_of;
use super::{Context, Result};

/// Brings back a deleted backup, with what was built on it and what it is built on. Returns them, oldest
/// first.
pub fn undelete(context: &Context, id: BackupId) -> Result<Vec<Backup>> {
    let backups = context.catalog.deleted(id, |_project| true)?;
    let locations =
        backups.iter().map(|it| location_of(it).cloned()).collect::<Result<Vec<_>>>()?;
    context.local.bring_back(&locations)?;
    context.catalog.undeleted(backups.iter().map(|it| it.id).collect()).wait()?;
    Ok(backups)
}
