//! A backup as a list shows it, its text still where it was found: a page of many takes no memory for each.

use super::{
    ArchiveFacts, Backup, BackupId, ContainerName, Datastore, Drill, Failure, InstanceId, Kind,
    ProjectIdRef, Status, Timestamp,
};

/// A [`Backup`] whose text lies elsewhere, without what nobody is shown. Of what is rare, a failure or a
/// drill, it has its own.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRow<'a> {
    /// See [`Backup::id`].
    pub id: BackupId,
    /// See [`Backup::project`].
    pub project: ProjectIdRef<'a>,
    /// See [`Backup::instance`].
    pub instance: Option<InstanceId>,
    /// See [`Backup::name`].
    pub name: &'a str,
    /// See [`Backup::description`].
    pub description: Option<&'a str>,
    /// See [`Backup::kind`].
    pub kind: Kind,
    /// See [`Backup::parent`].
    pub parent: Option<BackupId>,
    /// See [`Backup::status`].
    pub status: Status,
    /// See [`Datastore::engine`].
    pub engine: &'a str,
    /// See [`Datastore::version`].
    pub version: &'a str,
    /// See [`Backup::created`].
    pub created: Timestamp,
    /// See [`Backup::updated`].
    pub updated: Timestamp,
    /// See [`Backup::facts`].
    pub facts: Option<ArchiveFacts>,
    /// See [`Backup::failure`].
    pub failure: Option<Failure>,
    /// See [`Backup::progress`].
    pub progress: f64,
    /// See [`Backup::drill`].
    pub drill: Drill,
}

impl BackupRow<'_> {
    /// The backup with text of its own, and the subfolder that no list shows.
    pub fn into_backup(self, container: Option<ContainerName>) -> Backup {
        Backup {
            id: self.id,
            project: self.project.to_owned(),
            instance: self.instance,
            name: self.name.to_owned(),
            description: self.description.map(str::to_owned),
            kind: self.kind,
            parent: self.parent,
            status: self.status,
            datastore: Datastore {
                engine: self.engine.to_owned(),
                version: self.version.to_owned(),
            },
            container,
            created: self.created,
            updated: self.updated,
            facts: self.facts,
            failure: self.failure,
            progress: self.progress,
            drill: self.drill,
        }
    }
}

impl Backup {
    /// The backup as lists show it.
    pub fn row(&self) -> BackupRow<'_> {
        BackupRow {
            id: self.id,
            project: self.project.as_ref(),
            instance: self.instance,
            name: &self.name,
            description: self.description.as_deref(),
            kind: self.kind,
            parent: self.parent,
            status: self.status,
            engine: &self.datastore.engine,
            version: &self.datastore.version,
            created: self.created,
            updated: self.updated,
            facts: self.facts.clone(),
            failure: self.failure.clone(),
            progress: self.progress,
            drill: self.drill.clone(),
        }
    }
}
