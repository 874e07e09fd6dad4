//! What the rules go by besides the rows: the operator's settings, the clock, the engines there are.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{CatalogError, Scope, Settings};
use crate::domain::{
    BackupId, Clock, ContainerName, Datastore, Instance, InstanceId, ProjectId, Timestamp,
};
use crate::store::{BackupRecord, InstanceRecord, Records};

/// The last instant that fits the four-digit years of every format we write.
pub(super) const LAST_INSTANT: i64 = 253_402_300_799_999_999;

/// Settings, clock and engines.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) settings: Settings,
    clock: Arc<dyn Clock>,
    engines: RwLock<Vec<Datastore>>,
}

impl Rules {
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock, engines: RwLock::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn engines(&self) -> Vec<Datastore> {
        self.engines.read().clone()
    }

    pub(super) fn set_engines(&self, engines: Vec<Datastore>) {
        *self.engines.write() = engines;
    }

    /// Whether this build reads and writes such databases.
    pub(super) fn has_engine(&self, name: &str) -> bool {
        let engines = self.engines.read();
        engines.iter().any(|it| it.engine == name)
    }

    /// The time now, or just behind the newest backup if the clock went back: the order of backups is
    /// the order they were accepted in, and pages rely on that.
    pub(super) fn next_created(&self, db: Records<'_>) -> Result<Timestamp, CatalogError> {
        let now = self.now();
        let behind = db
            .last_created()?
            .map(|last| last.as_micros().saturating_add(1))
            .filter(|behind| *behind <= LAST_INSTANT);
        Ok(behind.map_or(now, |behind| now.max(Timestamp::from_micros(behind))))
    }
}

/// A backup that the scope may see; any other is as unknown as one that never was.
pub(super) fn visible_backup<P: super::Permission>(
    db: Records<'_>,
    scope: &Scope<P>,
    id: BackupId,
) -> Result<BackupRecord, CatalogError> {
    db.backup(id)?
        .filter(|it| scope.covers(&it.backup.project))
        .ok_or(CatalogError::NoSuchBackup { id })
}

/// An instance that the scope may see. One whose removal was asked for is gone for everybody.
pub(super) fn visible_instance<P: super::Permission>(
    db: Records<'_>,
    scope: &Scope<P>,
    id: InstanceId,
) -> Result<Instance, CatalogError> {
    db.instance(id)?
        .filter(|it| scope.covers(&it.instance.project) && it.removal.is_none())
        .map(|InstanceRecord { instance, .. }| instance)
        .ok_or(CatalogError::NoSuchInstance { id })
}

/// The subfolder for a new backup: the one asked for, the instance's, the project's, or none.
pub(super) fn container_for(
    db: Records<'_>,
    project: &ProjectId,
    instance: InstanceId,
    asked: Option<ContainerName>,
) -> Result<Option<ContainerName>, CatalogError> {
    if asked.is_some() {
        return Ok(asked);
    }
    let own = db.strategy(project, Some(instance))?;
    let strategy = if own.is_some() { own } else { db.strategy(project, None)? };
    Ok(strategy.map(|it| it.container))
}
