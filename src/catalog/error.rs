//! Why the catalog refuses something. The sentences are for logs and the command line; those that clients of
//! the API read are in `api::refusal`.

use crate::domain::{BackupId, InstanceId, InstanceStatus, ProjectId, QuotaResource, Status};
use crate::store::StoreError;

/// A refusal, or an error of the catalog's database.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such backup, or one that this caller may not see: the two cannot be told apart.
    #[error("backup {id} is not in the catalog")]
    NoSuchBackup {
        /// The id asked for.
        id: BackupId,
    },
    /// No such instance, or one that this caller may not see.
    #[error("instance {id} is not in the catalog")]
    NoSuchInstance {
        /// The id asked for.
        id: InstanceId,
    },
    /// A request names a datastore that is unknown: no engine has this name or id.
    #[error("there is no datastore {name:?}")]
    NoSuchDatastore {
        /// The name or id asked for, cut to 80 characters.
        name: String,
    },
    /// The project or instance has no strategy: no default folder for its backups.
    #[error("project {project} has no such backup strategy")]
    NoSuchStrategy {
        /// The project.
        project: ProjectId,
        /// The instance; `None`: the project's own.
        instance: Option<InstanceId>,
    },
    /// A value that cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The instance is busy or gone.
    #[error("instance {id} is {status}", status = status.as_str())]
    InstanceBusy {
        /// The instance.
        id: InstanceId,
        /// Its status.
        status: InstanceStatus,
    },
    /// Not while things are as they are.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// The catalog has rows of this datastore, but this build has no engine for it.
    #[error("this build has no engine named {engine:?}")]
    NotSupported {
        /// What was to be done.
        operation: Operation,
        /// The engine.
        engine: String,
    },
    /// A quota is used up.
    #[error("the quota of {resource} is used up", resource = resource.as_str())]
    QuotaExceeded {
        /// Of what.
        resource: QuotaResource,
    },
    /// The caller may not do this.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A backup this one is built on is missing or unusable.
    #[error("backup {id} cannot be restored: {which} {why}", which = seen_from(id, bad_backup))]
    ChainBroken {
        /// The backup that was asked for.
        id: BackupId,
        /// The one that is bad.
        bad_backup: BackupId,
        /// What is bad about it.
        why: String,
    },
    /// The database of the catalog itself failed.
    #[error("the catalog's database failed")]
    Store(#[from] StoreError),
}

/// What an engine would have been needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Making a backup.
    Backup,
    /// Restoring one.
    Restore,
    /// Restoring one to prove it.
    Drill,
}

/// Why a value cannot be accepted.
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
        /// The backup.
        backup: BackupId,
        /// `type` or `version`.
        field: &'static str,
        /// What was named, cut to 80 characters.
        asked: String,
        /// What the backup has.
        is: String,
    },
    /// An archive to register is not in the folder of the caller's project.
    #[error("the archive is not below the folder of project {0}")]
    ForeignArchive(ProjectId),
    /// An archive to register belongs to this backup already.
    #[error("the archive belongs to backup {0} already")]
    ArchiveTaken(BackupId),
    /// The named parent is a backup of something else.
    #[error("backup {parent} is not a backup of instance {instance}")]
    ParentOfOther {
        /// The named parent.
        parent: BackupId,
        /// The instance to back up.
        instance: InstanceId,
    },
    /// The limit is below the lowest that a quota can have.
    #[error("the quota of {resource} cannot be {limit}", resource = resource.as_str())]
    QuotaLimit {
        /// Of what.
        resource: QuotaResource,
        /// The limit asked for.
        limit: i64,
    },
    /// Two configured instances have this id.
    #[error("two instances of the configuration have the id {0}")]
    DuplicateInstance(InstanceId),
    /// A configured instance has the id of an instance that is being restored or removed.
    #[error(
        "instance {0} of the configuration is being restored or removed: wait until that has ended, or give it another id"
    )]
    InstanceInUse(InstanceId),
    /// A row to import is not that of a finished backup.
    #[error("the record of backup {0} is not that of a finished backup: it is left out")]
    Unfinished(BackupId),
    /// A full backup with a parent, or an incremental without.
    #[error(
        "backup {0}: a full backup must not have a parent, and an incremental one must have one"
    )]
    KindAndParent(BackupId),
}

/// What has to change before something can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// Nothing can be built on the named parent.
    #[error("backup {id} {why}: name a COMPLETED or RESTORED one as parent, or none")]
    ParentUnusable {
        /// The named parent.
        id: BackupId,
        /// What is wrong with it.
        why: String,
    },
    /// The chain of the named parent cannot get longer.
    #[error("the chain of backup {0} is as long as it may be: name no parent")]
    ChainTooLong(BackupId),
    /// The backup, or one built on it, is not finished.
    #[error("backup {member} is {status}: wait until it has ended, then delete {id} again")]
    Running {
        /// The backup to delete.
        id: BackupId,
        /// The one that is not finished.
        member: BackupId,
        /// Its status.
        status: Status,
    },
    /// A restore reads the backup.
    #[error(
        "instance {instance} is being restored from backup {backup}: wait until that has ended"
    )]
    BeingRestored {
        /// The instance that is restored into.
        instance: InstanceId,
        /// The backup that is restored.
        backup: BackupId,
    },
    /// The backup is not finished, or failed.
    #[error("backup {id} is {status}: only COMPLETED and RESTORED ones can be restored")]
    NotCompleted {
        /// The backup.
        id: BackupId,
        /// Its status.
        status: Status,
        /// What was to be done with it.
        operation: Operation,
    },
    /// The backup is being deleted.
    #[error("backup {0} is being deleted")]
    BeingDeleted(BackupId),
    /// The backup has no archive.
    #[error("backup {id} is {status} and has no archive")]
    NoArchive {
        /// The backup.
        id: BackupId,
        /// Its status.
        status: Status,
    },
    /// A worker has removed what is stored of this backup or instance, but its row is not marked for removal.
    #[error("{0} is not marked for removal: its row stays")]
    NotMarked(String),
    /// This new id was taken already.
    #[error("the new id {0} is taken already: try again")]
    IdTaken(BackupId),
}

/// Why a caller may not do something.
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
    /// Instances of the configuration are removed there.
    #[error("instance {0} comes from the configuration and is removed there")]
    ConfiguredInstance(InstanceId),
}

/// The bad backup of a chain, as a sentence about backup `id` names it.
fn seen_from(id: &BackupId, bad_backup: &BackupId) -> String {
    if id == bad_backup { "it".to_owned() } else { format!("{bad_backup}, which it is built on,") }
}

impl CatalogError {
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
