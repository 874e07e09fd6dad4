//! Work that was claimed from the table.

use crate::domain::{Backup, BackupId, Instance, InstanceId, Location, ProjectId, Source};

/// Something a worker has to do, claimed by it alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Make a backup.
    Backup(Box<BackupJob>),
    /// Prove and register an archive.
    Register(Box<RegistrationJob>),
    /// Restore a backup into a new instance.
    Restore(Box<RestoreJob>),
    /// Restore a backup only to prove it.
    Drill(Box<DrillJob>),
    /// Remove archives.
    Remove(RemovalJob),
    /// Remove a restored instance's data.
    RemoveInstance(InstanceRemovalJob),
}

/// A backup to make; its row is BUILDING.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupJob {
    /// Its row.
    pub backup: Backup,
    /// What to back up.
    pub instance: Instance,
    /// The backups it is built on, root first; empty for a full one.
    pub chain: Vec<Backup>,
    /// True if the client did not insist on this parent: a broken chain makes it a full one.
    pub may_become_full: bool,
    /// Completed backups of this instance so far: every Nth reads everything again.
    pub earlier: u64,
}

/// An archive to prove; its row is BUILDING.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistrationJob {
    /// Its row; instance is `None`.
    pub backup: Backup,
    /// Where the archive lies.
    pub location: Location,
}

/// A restore; the instance's row is BUILD.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreJob {
    /// The new instance; its `source` is empty until the restore is placed.
    pub instance: Instance,
    /// The backup to restore and those it is built on, root first, itself last.
    pub chain: Vec<Backup>,
}

/// A drill; the row is marked as claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct DrillJob {
    /// The backup to restore and those it is built on, root first, itself last.
    pub chain: Vec<Backup>,
    /// Which.
    pub id: BackupId,
    /// Where its instance's data is, if that is known: which tools to use.
    pub source: Option<Source>,
}

/// Archives to remove: one subtree, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct RemovalJob {
    /// The rows.
    pub backups: Vec<Backup>,
}

/// A restored instance to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRemovalJob {
    /// Which.
    pub id: InstanceId,
    /// Its project.
    pub project: ProjectId,
}
