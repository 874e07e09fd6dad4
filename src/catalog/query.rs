//! What is asked of the catalog and what it answers, beyond the domain's own types.

use crate::domain::{
    Backup, BackupId, ContainerName, Instance, InstanceId, Limit, Position, ProjectId, Status,
};

/// Which backups, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFilter {
    /// Every project's (admin only).
    pub all_projects: bool,
    /// Another project's (admin only).
    pub project: Option<ProjectId>,
    /// Of this instance. A text that is not an id matches nothing.
    pub instance: Option<String>,
    /// Of this engine (its name; unknown: an error).
    pub engine: Option<String>,
    /// In this status.
    pub status: Option<Status>,
    /// Rows a page.
    pub limit: Limit,
    /// Behind this place.
    pub after: Option<Position>,
}

/// One page of instances.
#[derive(Debug, Clone, PartialEq)]
pub struct InstancePage {
    /// The rows.
    pub rows: Vec<Instance>,
    /// The id behind which the next page starts; `None` on the last one.
    pub next: Option<InstanceId>,
}

/// A restore into a new instance, already checked field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// Its name, unique in the project.
    pub name: String,
    /// What to restore.
    pub backup: BackupId,
    /// The engine the client named, if it did: it must be the backup's.
    pub engine: Option<String>,
}

/// A strategy to create or replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStrategy {
    /// The instance; `None`: the whole project.
    pub instance: Option<InstanceId>,
    /// The subfolder.
    pub container: ContainerName,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaResource {
    /// Backups that are not FAILED.
    Backups,
    /// Instances made by restores.
    Instances,
}

impl QuotaResource {
    /// The word on the wire and in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backups => "backups",
            Self::Instances => "instances",
        }
    }
}

/// What a project may have and has of one resource. Counted from rows, never kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Of what.
    pub resource: QuotaResource,
    /// How many there are.
    pub in_use: i64,
    /// How many there may be; -1: any number.
    pub limit: i64,
}

/// A backup read back from its own archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The row, COMPLETED or RESTORED.
    pub backup: Backup,
    /// The name its instance had.
    pub instance_name: Option<String>,
}
