//! Deleted backups fetched out of the trash, and what is recorded beside archives.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::sleep;
use actix_web::web;

use crate::catalog::{Catalog, CatalogError, Scope, Write};
use crate::domain::{Backup, BackupId, Here, ProjectId};

use super::{ArchiveAccess, NotFetched};

/// Why a deleted backup was not brought back.
#[derive(Debug, thiserror::Error)]
pub enum NotUndeleted {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("the archive of backup {0} is not in the trash any more")]
    Gone(BackupId),
    #[error(
        "backup {0} cannot be brought back now: the archives are not where they were; try again once their disk is mounted"
    )]
    NoPlace(BackupId),
    /// For the log only.
    #[error("{0}")]
    Failed(String),
}

/// Brings a deleted backup back, with those that were built on it and those that it is built on.
pub async fn undelete(
    catalog: &Catalog,
    archives: &Arc<dyn ArchiveAccess>,
    scope: &Scope<Write>,
    id: BackupId,
) -> Result<Backup, NotUndeleted> {
    let deleted = deleted(catalog, scope, id).await?;
    let access = Arc::clone(archives);
    let ids = deleted.iter().map(|it| it.id).collect();
    let lies_here = deleted.into_iter().filter(|it| it.here != Here::No);
    let locations = lies_here.filter_map(|it| Some(it.facts?.location));
    let locations: Vec<_> = locations.collect();
    let fetched = web::block(move || access.bring_back(&locations)).await;
    let fetched = fetched.map_err(|error| NotUndeleted::Failed(error.to_string()))?;
    fetched.map_err(|why| match why {
        NotFetched::Gone => NotUndeleted::Gone(id),
        NotFetched::NoPlace => NotUndeleted::NoPlace(id),
        NotFetched::Failed(why) => {
            NotUndeleted::Failed(format!("backup {id} was not brought back: {why}"))
        }
    })?;
    let backup = catalog.undeleted(ids, id, scope.actor()).done().await?;
    if backup.pinned.is_some() {
        record_pin(archives, &backup).await;
    }
    Ok(backup)
}

/// What a delete took with this backup. A delete that has just begun ends soon.
async fn deleted(
    catalog: &Catalog,
    scope: &Scope<Write>,
    id: BackupId,
) -> Result<Vec<Backup>, CatalogError> {
    let may_see = |project: &ProjectId| scope.covers(project);
    for _attempt in 0..100 {
        match catalog.deleted(id, may_see) {
            Err(CatalogError::NotNow(_)) => sleep(Duration::from_millis(50)).await,
            ended => return ended,
        }
    }
    catalog.deleted(id, may_see)
}

/// Keeps a finished backup whatever the retention says, or no longer.
pub async fn pin(
    catalog: &Catalog,
    archives: &Arc<dyn ArchiveAccess>,
    scope: &Scope<Write>,
    (id, pinned): (BackupId, bool),
) -> Result<Backup, CatalogError> {
    let backup = catalog.pin_backup(scope, id, pinned).done().await?;
    record_pin(archives, &backup).await;
    Ok(backup)
}

/// Records beside the archive whether the backup is pinned.
async fn record_pin(archives: &Arc<dyn ArchiveAccess>, backup: &Backup) {
    let (archives, recorded) = (Arc::clone(archives), backup.clone());
    if let Err(error) = web::block(move || archives.record_pin(&recorded)).await {
        log::error!("the pin of backup {} is not recorded beside its archive: {error}", backup.id);
    }
}
