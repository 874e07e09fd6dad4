//! What people look at and programs do not ask for: one instance, its drills, what a delete would take.

use std::sync::Arc;

use crate::bell::Changes;
use crate::domain::{Backup, BackupId, Caller, InstanceId, RunKind};

use super::copies::read_copies;
use super::health::InstanceReport;
use super::removals::ensure_unused;
use super::rules::{visible_backup, visible_instance};
use super::{Catalog, CatalogError, DrilledRows, Read, Result, Scope};

/// What a delete takes with it.
#[derive(Debug)]
pub struct Deletion {
    /// The backup and all that is built on it, oldest first.
    pub members: Vec<Backup>,
    /// Why they cannot be deleted now, if so.
    pub refusal: Option<CatalogError>,
}

impl Catalog {
    /// Says when something changed.
    pub fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// The caller whose token's secret has this SHA-256, if one has.
    pub fn caller_of(&self, sha256: &[u8; 32]) -> Option<Arc<Caller>> {
        self.tokens.caller_of(sha256)
    }

    /// How one instance is.
    pub fn instance_report(&self, scope: &Scope<Read>, id: InstanceId) -> Result<InstanceReport> {
        self.store.read(|db| {
            let instance = visible_instance(db, scope, id)?;
            let health = self.instance_health(db, &instance)?;
            Ok(InstanceReport { instance, health })
        })
    }

    /// The newest drills of an instance that passed, the newest first.
    pub fn passed_drills(
        &self,
        scope: &Scope<Read>,
        id: InstanceId,
        most: u32,
    ) -> Result<Vec<DrilledRows>> {
        self.store.read(|db| {
            visible_instance(db, scope, id)?;
            let runs = db.last_done(RunKind::Drill, id, most)?;
            Ok(runs.into_iter().filter_map(DrilledRows::of_run).collect())
        })
    }

    /// What a delete of this backup would take, and whether it could be deleted.
    pub fn deletion(&self, scope: &Scope<Read>, id: BackupId) -> Result<Deletion> {
        self.store.read(|db| {
            let project = visible_backup(db, scope, id)?.backup.project;
            let mut members = Vec::new();
            for member in db.subtree(id, &project)? {
                members.extend(db.backup(member)?.filter(|it| !it.is_deleted()));
            }
            let mut members: Vec<_> = members.into_iter().map(|it| it.backup).collect();
            members.sort_by_key(|it| (it.created, it.id));
            read_copies(db, &mut members)?;
            let refusal = match ensure_unused(db, id, &project) {
                Ok(()) => None,
                Err(error @ CatalogError::Store(_)) => return Err(error),
                Err(refusal) => Some(refusal),
            };
            Ok(Deletion { members, refusal })
        })
    }

    /// The backups of an instance that were deleted and can be brought back, newest first.
    pub fn trash_of(&self, scope: &Scope<Read>, id: InstanceId) -> Result<Vec<Backup>> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.trashed_backups()?))?;
        let of_instance = found
            .into_iter()
            .map(|it| it.backup)
            .filter(|it| it.instance == Some(id) && scope.covers(&it.project));
        Ok(of_instance.collect())
    }
}
