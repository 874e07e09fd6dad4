//! Archives, without knowing where or how they are stored.

use std::sync::Arc;

use crate::catalog::{Catalog, CatalogError, Read, Scope};
use crate::domain::{ArchiveFacts, Backup, BackupId, Location, ProjectId, ReadAt, Status};
use crate::wire::ArchiveUrls;

/// Access to archives; the server implements it.
pub trait ArchiveAccess: ArchiveUrls + Send + Sync + std::fmt::Debug {
    /// The location that a `locationRef` names; `None` if it is not in the storage.
    fn locate(&self, url: &str) -> Option<Location>;

    /// Opens an archive for a download.
    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, NotRead>;

    /// Fetches deleted archives out of the trash: all of them, or none.
    fn bring_back(&self, locations: &[Location]) -> Result<(), NotFetched>;

    /// Records beside the archive of a backup whether it is pinned, for a rebuild of the catalog.
    fn record_pin(&self, backup: &Backup);
}

/// Why an archive cannot be read. The texts are for the log.
#[derive(Debug)]
pub enum NotRead {
    /// It is in no place.
    Gone,
    /// Its place cannot be used now.
    OutOfReach(String),
    /// It is encrypted, and no key here reads it.
    NoKey(String),
    /// What lies in its place is not what was stored there.
    Other(String),
    Failed(String),
}

/// Why deleted archives were not fetched out of the trash.
#[derive(Debug)]
pub enum NotFetched {
    /// One of them is not there any more.
    Gone,
    /// The place where they belong is not there.
    NoPlace,
    /// Something else, for the log.
    Failed(String),
}

/// An archive that is what the catalog knows of it.
#[derive(Debug)]
pub struct OpenArchive {
    pub project: ProjectId,
    pub facts: ArchiveFacts,
    pub archive: Arc<dyn ReadAt>,
}

impl OpenArchive {
    /// The name to save it under: letters, digits and `._-` only.
    pub fn file_name(&self) -> String {
        let letters = self.facts.location.name().chars();
        letters.filter(|it| it.is_ascii_alphanumeric() || "._-".contains(*it)).collect()
    }
}

/// Why an archive cannot be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("backup {id} has no archive: its status is {status}")]
    NoArchive { id: BackupId, status: Status },
    #[error("the archive of backup {0} is not in the storage")]
    Missing(BackupId),
    #[error(
        "the archive of backup {0} lies in a place that cannot be used now; coffer status names it, and why"
    )]
    OutOfReach(BackupId),
    #[error(
        "the archive of backup {0} lies only in encrypted copies, and this server has no key that reads them: name one \
         in encryption.identity_files, or restore it with coffer restore {0} --identity KEY --to TARGET"
    )]
    NoKey(BackupId),
    #[error("what lies in the place of the archive of backup {id} is not what was proven: {why}")]
    Other { id: BackupId, why: String },
    /// For the log only.
    #[error("{0}")]
    Failed(String),
}

/// Opens the archive of a backup that the scope may see. Blocks.
pub fn open_archive(
    catalog: &Catalog,
    archives: &dyn ArchiveAccess,
    scope: &Scope<Read>,
    id: BackupId,
) -> Result<OpenArchive, NotOpened> {
    let backup = catalog.backup(scope, id)?;
    let (project, status) = (backup.project, backup.status);
    let Some(facts) = backup.facts else { return Err(NotOpened::NoArchive { id, status }) };
    let archive = archives.open(&facts.location).map_err(|why| match why {
        NotRead::Gone => {
            log::warn!("the archive of backup {id} ({}) is gone", facts.location);
            NotOpened::Missing(id)
        }
        NotRead::OutOfReach(why) => {
            log::warn!("the archive of backup {id} cannot be read now: {why}");
            NotOpened::OutOfReach(id)
        }
        NotRead::NoKey(why) => {
            log::warn!("the archive of backup {id} cannot be read here: {why}");
            NotOpened::NoKey(id)
        }
        NotRead::Other(why) => other(id, why),
        NotRead::Failed(why) => {
            NotOpened::Failed(format!("the archive of backup {id} ({}): {why}", facts.location))
        }
    })?;
    if archive.len() == facts.stored_bytes {
        return Ok(OpenArchive { project, facts, archive });
    }
    let (is, should) = (archive.len(), facts.stored_bytes);
    Err(other(id, format!("it has {is} bytes and should have {should}")))
}

fn other(id: BackupId, why: String) -> NotOpened {
    log::warn!("what lies in the place of the archive of backup {id} is another thing: {why}");
    NotOpened::Other { id, why }
}
