//! Undoing a delete while the trash still holds the archives.

use crate::domain::{Actor, Backup, BackupId, Here};

use super::chain::location_of;
use super::{Context, Result, record_pin};

/// Brings back a deleted backup, with what was built on it and what it is built on, and pins it if retention could
/// delete it again. Returns them, oldest first.
pub fn undelete(context: &Context, id: BackupId) -> Result<Vec<Backup>> {
    let mut backups = context.catalog.deleted(id, |_project| true)?;
    let locations =
        backups.iter().filter(|it| it.here != Here::No).map(|it| location_of(it).cloned());
    let locations = locations.collect::<Result<Vec<_>>>()?;
    context.local.bring_back(&locations)?;
    let ids = backups.iter().map(|it| it.id).collect();
    let asked = context.catalog.undeleted(ids, id, Actor::command_line()).wait()?;
    if asked.pinned.is_some() {
        record_pin(&*context.storage, &asked);
    }
    if let Some(row) = backups.iter_mut().find(|it| it.id == id) {
        row.pinned = asked.pinned;
    }
    Ok(backups)
}
