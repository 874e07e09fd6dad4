//! What the catalog says no with. Knows no status codes: `api::error` maps these.

use crate::domain::{BackupId, InstanceId};
use crate::store::StoreError;

/// A refusal, or a fault of the store below.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such backup, or not this caller's: the two cannot be told apart.
    #[error("Resource {id} cannot be found.")]
    NoSuchBackup {
        /// The id asked for.
        id: BackupId,
    },
    /// No such instance, or not this caller's.
    #[error("Resource {id} cannot be found.")]
    NoSuchInstance {
        /// The id asked for.
        id: InstanceId,
    },
    /// No such datastore.
    #[error("Datastore '{name}' cannot be found.")]
    NoSuchDatastore {
        /// The name or id asked for.
        name: String,
    },
    /// No such strategy.
    #[error("Backup strategy for project {project} and instance {instance} cannot be found.")]
    NoSuchStrategy {
        /// The project.
        project: String,
        /// The instance, or nothing.
        instance: String,
    },
    /// A value that cannot be.
    #[error("{why}")]
    Invalid {
        /// What is wrong, naming the field.
        why: String,
    },
    /// The instance is busy or gone.
    #[error(
        "Instance {id} is not currently available for an action to be performed (instance status was {status})."
    )]
    InstanceBusy {
        /// The instance.
        id: InstanceId,
        /// Its status in Trove's words.
        status: &'static str,
    },
    /// The backup is not in a state for this.
    #[error("{why}")]
    NotNow {
        /// Which backup, its state, and what to do.
        why: String,
    },
    /// The datastore has no engine here.
    #[error("The '{operation}' operation is not supported for the '{engine}' datastore.")]
    NotSupported {
        /// What was tried, in Trove's words.
        operation: &'static str,
        /// The engine.
        engine: String,
    },
    /// Too many.
    #[error("Quota exceeded for resources: ['{resource}'].")]
    QuotaExceeded {
        /// Of what.
        resource: &'static str,
    },
    /// Not with these roles, or not in this project.
    #[error("{why}")]
    Forbidden {
        /// What is not allowed.
        why: String,
    },
    /// A backup this one is built on is missing or unusable.
    #[error("backup {id} cannot be restored: {which} {why}", which = bad_link(id, culprit))]
    ChainBroken {
        /// The backup that was asked for.
        id: BackupId,
        /// The one that is bad.
        culprit: BackupId,
        /// What is bad about it.
        why: String,
    },
    /// The database of the catalog itself failed.
    #[error("the catalog's database failed")]
    Store(#[from] StoreError),
}

/// The bad link in words, seen from the backup that was asked for.
fn bad_link(id: &BackupId, culprit: &BackupId) -> String {
    if id == culprit { "it".to_owned() } else { format!("{culprit}, which it is built on,") }
}

impl CatalogError {
    /// Whether what was asked for is not there, or not the caller's to know of.
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
