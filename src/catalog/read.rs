//! Looking at backups.

use super::datastores::datastores;
use super::lineage;
use super::{BackupFilter, Catalog, CatalogError, Read, Scope};
use crate::domain::{Backup, BackupId, BackupRow, Datastore, InstanceId, Position, ProjectId};
use crate::store;

impl Catalog {
    /// Shows one page of backups, newest first, and answers where the next one starts; `None` on the last.
    /// Backups that are being deleted are there until they are gone.
    pub fn backups(
        &self,
        scope: &Scope<Read>,
        filter: &BackupFilter,
        mut show: impl FnMut(&BackupRow<'_>),
    ) -> Result<Option<Position>, CatalogError> {
        let project = listed_project(scope, filter)?;
        let instance = match filter.instance.as_deref().map(str::parse::<InstanceId>) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_not_an_id)) => return Ok(None),
        };
        let (status, after, rows) = (filter.status, filter.after, filter.limit.rows());
        let page = store::Page { project, instance, engine: None, status, after, rows };
        let mut last = None;
        let each = |mut row: BackupRow<'_>| {
            row.progress = self.progress.of(row.id, row.status).unwrap_or(row.progress);
            last = Some(Position { created: row.created, id: row.id });
            show(&row);
        };
        let more = match &filter.engine {
            None => self.store.read_once(|db| Ok::<_, CatalogError>(db.page(&page, each)?))?,
            Some(asked) => self.store.read(|db| {
                let engine = engine_named(&datastores(db, &self.rules)?, asked)?;
                let engine = Some(engine.as_str());
                Ok::<_, CatalogError>(db.page(&store::Page { engine, ..page }, each)?)
            })?,
        };
        Ok(last.filter(|_last| more))
    }

    /// One backup. Another project's is as unknown as one that never was; an admin sees all.
    pub fn backup(&self, scope: &Scope<Read>, id: BackupId) -> Result<Backup, CatalogError> {
        let found = self.store.read_once(|db| db.shown_backup(id))?;
        found
            .filter(|it| scope.covers(&it.project))
            .map(|it| self.progress.on(it))
            .ok_or(CatalogError::NoSuchBackup { id })
    }

    /// A backup by id.
    pub fn find(&self, id: BackupId) -> Result<Backup, CatalogError> {
        let found = self.store.read_once(|db| db.shown_backup(id))?;
        found.map(|it| self.progress.on(it)).ok_or(CatalogError::NoSuchBackup { id })
    }

    /// The backups that restoring this one needs, root first, itself last. A link that is missing or not
    /// usable is an error that names it.
    pub fn chain(&self, id: BackupId) -> Result<Vec<Backup>, CatalogError> {
        self.store.read(|db| {
            let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
            lineage::chain(db, &record.backup.project, id)?.map_err(|broken| broken.refuse(id))
        })
    }

    /// Every backup, oldest first (for rebuild and doctor).
    pub fn every_backup(&self) -> Result<Vec<Backup>, CatalogError> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.every_backup()?))?;
        Ok(found.into_iter().map(|it| self.progress.on(it.backup)).collect())
    }
}

/// Whose backups are listed; `None`: everybody's.
fn listed_project<'a>(
    scope: &'a Scope<Read>,
    filter: &'a BackupFilter,
) -> Result<Option<&'a ProjectId>, CatalogError> {
    let beyond = filter.all_projects || filter.project.is_some();
    if beyond && !scope.caller().is_admin() {
        let why = "Policy doesn't allow backup:index:all_projects to be performed.".to_owned();
        return Err(CatalogError::Forbidden { why });
    }
    Ok(match &filter.project {
        Some(project) => Some(project),
        None if filter.all_projects => None,
        None => Some(scope.project()),
    })
}

/// The engine of this name, or of this datastore id.
fn engine_named(known: &[Datastore], asked: &str) -> Result<String, CatalogError> {
    known
        .iter()
        .find(|it| it.engine == asked || Datastore::datastore_id(&it.engine) == asked)
        .map(|it| it.engine.clone())
        .ok_or_else(|| CatalogError::NoSuchDatastore { name: asked.chars().take(80).collect() })
}
