//! Why the catalog refuses something. The sentences are for logs and the command line; those that clients of
//! the API read are in `api::refusal`.

use crate::domain::{BackupId, InstanceId, InstanceStatus, ProjectId, QuotaResource, Status};
use crate::store::StoreError;

pub type Result<T, E = CatalogError> = std::result::Result<T, E>;

/// A refusal, or an error of the catalog's database.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such backup, or one that this caller may not see: the two cannot be told apart.
    #[error("backup {id} is not in the catalog")]
    NoSuchBackup { id: BackupId },
    /// No such instance, or one that this caller may not see.
    #[error("instance {id} is not in the catalog")]
    NoSuchInstance { id: InstanceId },
    /// A request names a datastore that is unknown: no engine has this name or id.
    #[error("there is no datastore {name:?}")]
    NoSuchDatastore {
        /// The name or id asked for, cut to 80 characters.
        name: String,
    },
    /// The project or instance has no strategy: no default folder for its backups.
    #[error("project {project} has no such backup strategy")]
    NoSuchStrategy {
        project: ProjectId,
        /// The instance; `None`: the project's own.
        instance: Option<InstanceId>,
    },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("instance {id} is {status}", status = status.as_str())]
    InstanceBusy { id: InstanceId, status: InstanceStatus },
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// The catalog has rows of this datastore, but this build has no engine for it.
    #[error("this build has no engine named {engine:?}")]
    NotSupported { operation: Operation, engine: String },
    #[error("the quota of {resource} is used up", resource = resource.as_str())]
    QuotaExceeded { resource: QuotaResource },
    #[error("{most} restores of the project wait or run: it may have no more at once")]
    TooManyRestores { most: u32 },
    #[error("{most} verifications of the project wait or run: it may have no more at once")]
    TooManyVerifications { most: u32 },
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A backup this one is built on is missing or unusable.
    #[error("backup {id} cannot be restored: {which} {why}", which = seen_from(id, bad_backup))]
    ChainBroken { id: BackupId, bad_backup: BackupId, why: String, damaged: bool },
    #[error("the catalog's database failed")]
    Store(#[from] StoreError),
}

/// Why the catalog cannot be used for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Its disk is full.
    DiskFull,
    /// Its filesystem is read-only.
    ReadOnly,
    /// Its file is damaged.
    Damaged,
    /// Its file was removed or replaced.
    Moved,
    /// It is locked, or its disk fails.
    Other,
}

/// What an engine would have been needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Backup,
    Restore,
    Drill,
    Consolidation,
    Verification,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The marker of the requested page is not an instance of the project.
    #[error("the marker {0} is not an instance of this project")]
    Marker(InstanceId),
    /// No datastore version has this id (cut to 80 characters).
    #[error("there is no datastore version {0:?}")]
    DatastoreVersion(String),
    /// The engine or version named for a restore is not that of the backup.
    #[error("backup {backup} is of {field} {is:?}, not {asked:?}")]
    DatastoreMismatch {
        backup: BackupId,
        /// `type` or `version`.
        field: &'static str,
        /// What was named, cut to 80 characters.
        asked: String,
        is: String,
    },
    #[error("the archive is not below the folder of project {0}")]
    ForeignArchive(ProjectId),
    #[error("the archive belongs to backup {0} already")]
    ArchiveTaken(BackupId),
    #[error("backup {parent} is not a backup of instance {instance}")]
    ParentOfOther { parent: BackupId, instance: InstanceId },
    #[error("the quota of {resource} cannot be {limit}", resource = resource.as_str())]
    QuotaLimit { resource: QuotaResource, limit: i64 },
    #[error("two instances of the configuration have the id {0}")]
    DuplicateInstance(InstanceId),
    /// Keys of a schedule or of retention that make no sense.
    #[error("{0}")]
    Policy(String),
    #[error(
        "instance {0} of the configuration is being restored or removed: wait until that has ended, or give it another id"
    )]
    InstanceInUse(InstanceId),
    #[error("the record of backup {0} is not that of a finished backup: it is left out")]
    Unfinished(BackupId),
    #[error(
        "backup {0}: a full backup must not have a parent, and an incremental one must have one"
    )]
    KindAndParent(BackupId),
}

/// What has to change before something can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    #[error("backup {id} {why}: name a COMPLETED or RESTORED one as parent, or none")]
    ParentUnusable { id: BackupId, why: String },
    /// The chain of the named parent cannot get longer.
    #[error("the chain of backup {0} is as long as it may be: name no parent")]
    ChainTooLong(BackupId),
    #[error("{} is {status}: wait until it has ended, then delete again", which(id, member))]
    Running { id: BackupId, member: BackupId, status: Status },
    #[error(
        "instance {instance} is being restored from backup {backup}: wait until that has ended, \
         then delete again"
    )]
    BeingRestored { instance: InstanceId, backup: BackupId },
    #[error("{} is pinned: unpin it, then delete again", which(id, member))]
    Pinned { id: BackupId, member: BackupId },
    #[error(
        "backup {id} is {status}: only COMPLETED and RESTORED ones can be {}",
        done_by(*operation)
    )]
    NotCompleted { id: BackupId, status: Status, operation: Operation },
    #[error("backup {0} is being deleted: nothing more can be done with it")]
    BeingDeleted(BackupId),
    #[error("backup {0} is still being deleted: try again in a moment")]
    StillDeleting(BackupId),
    #[error("backup {id} is {status} and has no archive")]
    NoArchive { id: BackupId, status: Status },
    /// A worker has removed what is stored of this backup or instance, but its row is not marked for removal.
    #[error("{0} is not marked for removal: its row stays")]
    NotMarked(String),
    #[error("backup {0} needs no other archive: there is nothing to consolidate")]
    StandsAlone(BackupId),
    #[error(
        "backup {full} is the full backup of the same moment as {id}: there is nothing to consolidate"
    )]
    Consolidated { id: BackupId, full: BackupId },
    #[error(
        "{key} of instance {id} stands in the server's configuration, in [[instances]]: it is changed there, or taken \
         out there first"
    )]
    Configured { id: InstanceId, key: &'static str },
    #[error("the new id {0} is taken already: try again")]
    IdTaken(BackupId),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The caller has no access to the project of the path.
    #[error("this token has no access to the project")]
    OtherPath,
    /// The caller's roles do not allow this kind of access (`read`, `write` or `admin`).
    #[error("the roles of this token do not allow {0} access")]
    Role(&'static str),
    /// The caller's project is this one, but the request is about another.
    #[error("project {0} may not see or change what belongs to another one")]
    OtherProject(ProjectId),
    /// Only administrators list the backups of other projects.
    #[error("only administrators list the backups of other projects")]
    AllProjects,
    #[error("instance {0} comes from the configuration and is removed there")]
    ConfiguredInstance(InstanceId),
}

/// The bad backup of a chain, as a sentence about backup `id` names it.
fn seen_from(id: &BackupId, bad_backup: &BackupId) -> String {
    if id == bad_backup { "it".to_owned() } else { format!("{bad_backup}, which it is built on,") }
}

/// What was to be done, as the end of "can be …".
const fn done_by(operation: Operation) -> &'static str {
    match operation {
        Operation::Backup | Operation::Restore => "restored",
        Operation::Drill => "drilled",
        Operation::Consolidation => "consolidated",
        Operation::Verification => "verified",
    }
}

/// The backup that is not finished, as a sentence about the delete of `id` names it.
fn which(id: &BackupId, member: &BackupId) -> String {
    if id == member {
        format!("backup {id}")
    } else {
        format!("backup {member}, which is built on {id},")
    }
}

impl CatalogError {
    /// Whether the text, with its causes, says which file of the catalog it is about.
    pub const fn names_its_file(&self) -> bool {
        matches!(self, Self::Store(error) if error.names_its_file())
    }

    /// Why the catalog cannot do this at the moment, if that may be over later.
    pub fn outage(&self) -> Option<Outage> {
        match self {
            Self::Store(StoreError::Full { .. }) => Some(Outage::DiskFull),
            Self::Store(StoreError::ReadOnly { .. }) => Some(Outage::ReadOnly),
            Self::Store(StoreError::Damaged { .. }) => Some(Outage::Damaged),
            Self::Store(StoreError::Moved { .. }) => Some(Outage::Moved),
            Self::Store(error) if error.is_full() => Some(Outage::DiskFull),
            Self::Store(error) if error.is_transient() => Some(Outage::Other),
            _ => None,
        }
    }

    /// Whether the disk of the catalog reported an error.
    pub fn is_disk_error(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_disk_error())
    }

    /// Whether what was asked for does not exist, or is not for this caller to know of.
    pub const fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NoSuchBackup { .. }
                | Self::NoSuchInstance { .. }
                | Self::NoSuchDatastore { .. }
                | Self::NoSuchStrategy { .. }
        )
    }
}
