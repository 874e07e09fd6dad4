//! Accepting a backup.

use super::rules::{Rules, container_for, visible_instance};
use super::{Catalog, CatalogError, QuotaResource, Reply, Scope, Write};
use crate::domain::{
    Backup, BackupId, Drill, Instance, InstanceStatus, Kind, Location, NewBackup, ParentChoice,
    Status,
};
use crate::store::{BackupRecord, Records, Task};

impl Catalog {
    /// Accepts a backup: checks instance, engine, parent, quota, and that none runs; then rings the bell.
    /// It belongs to its instance's project.
    pub fn create_backup(&self, scope: &Scope<Write>, new: NewBackup) -> Reply<Backup> {
        let scope = scope.clone();
        self.write_and_ring(move |db, rules| rules.accept_backup(db, &scope, new))
    }
}

impl Rules {
    fn accept_backup(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        new: NewBackup,
    ) -> Result<Backup, CatalogError> {
        let instance = visible_instance(db, scope, new.instance)?;
        self.must_be_free(&instance)?;
        let parent = self.parent(db, scope, &instance, new.parent)?;
        self.must_have_room(db, &instance.project, QuotaResource::Backups)?;
        let created = self.next_created(db)?;
        let container = container_for(db, &instance.project, instance.id, new.container)?;
        let backup = Backup {
            id: BackupId::generate(),
            project: instance.project,
            instance: Some(instance.id),
            name: new.name,
            description: new.description,
            kind: if parent.is_some() { Kind::Incremental } else { Kind::Full },
            parent,
            status: Status::New,
            datastore: instance.datastore,
            container,
            created,
            updated: created,
            facts: None,
            failure: None,
            progress: 0.0,
            drill: Drill::default(),
        };
        let parent_required = matches!(new.parent, ParentChoice::This(_));
        insert_new(db, backup, Task::Backup, parent_required, None)
    }

    /// It is there, its engine is, and no backup of it runs.
    fn must_be_free(&self, instance: &Instance) -> Result<(), CatalogError> {
        let busy =
            || CatalogError::InstanceBusy { id: instance.id, status: instance.status.as_str() };
        match instance.status {
            InstanceStatus::Build | InstanceStatus::Error | InstanceStatus::Detached => Err(busy()),
            _ if !self.has_engine(&instance.datastore.engine) => Err(CatalogError::NotSupported {
                operation: "backup_create",
                engine: instance.datastore.engine.clone(),
            }),
            InstanceStatus::Backup => Err(busy()),
            InstanceStatus::Active => Ok(()),
        }
    }
}

/// Adds a row that waits for a worker.
pub(super) fn insert_new(
    db: Records<'_>,
    backup: Backup,
    task: Task,
    parent_required: bool,
    location: Option<Location>,
) -> Result<Backup, CatalogError> {
    let record =
        BackupRecord { backup, task, parent_required, location, damage: None, removal: None };
    if db.insert_backup(&record)? {
        return Ok(record.backup);
    }
    let why = format!("The new id {} is taken already: try again.", record.backup.id);
    Err(CatalogError::NotNow { why })
}
