//! Instances: those of the configuration, and those that restores make.

use std::collections::HashSet;

use crate::domain::{
    Action, Backup, BackupId, CheckLevel, Datastore, Event, Failure, Instance, InstanceId,
    InstanceOrigin, InstanceStatus, QuotaResource, RunEnd, RunKind, RunResult, Source, Timestamp,
    Verify,
};
use crate::store::{InstanceRecord, Records, RunOf};

use super::rules::{Rules, visible_backup, visible_instance};
use super::{
    Admin, Catalog, CatalogError, Invalid, NotNow, Operation, Read, Reply, Result, Scope, Write,
    lineage,
};

#[derive(Debug, Clone, PartialEq)]
pub struct InstancePage {
    pub rows: Vec<Instance>,
    /// The id after which the next page starts; `None` on the last one.
    pub next: Option<InstanceId>,
}

impl InstancePage {
    /// The page of these rows, of which there is one more if there is a next page.
    fn new(mut found: Vec<InstanceRecord>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let rows: Vec<Instance> = found.into_iter().map(|it| it.instance).collect();
        let next = rows.last().filter(|_last| more).map(|it| it.id);
        Self { rows, next }
    }
}

/// The instance behind which a page starts.
fn marker(
    db: Records<'_>,
    after: Option<InstanceId>,
    is_listed: impl FnOnce(&Instance) -> bool,
) -> Result<Option<Instance>> {
    let Some(id) = after else { return Ok(None) };
    let found = db.instance(id)?.map(|it| it.instance).filter(is_listed);
    Ok(Some(found.ok_or(Invalid::Marker(id))?))
}

/// A restore into a new instance, already checked field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// Its name, unique in the project.
    pub name: String,
    pub backup: BackupId,
    /// The engine that the client named, by name or datastore id; it must be the backup's.
    pub engine: Option<String>,
    /// The version that the client named, or its id; it must be the backup's.
    pub version: Option<String>,
}

const fn run(id: InstanceId) -> RunOf {
    RunOf::instance(RunKind::Restore, id)
}

impl Catalog {
    /// Instances of the scope's project in order of (name, id), behind `after` (an instance's id).
    pub fn instances(
        &self,
        scope: &Scope<Read>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<InstancePage> {
        let project = scope.project();
        let found = self.store.read(|db| {
            let marker = marker(db, after, |it| it.project == *project)?;
            let place = marker.as_ref().map(|it| (it.name.as_str(), it.id));
            Ok::<_, CatalogError>(db.instances_of(project, place, limit.saturating_add(1))?)
        })?;
        Ok(InstancePage::new(found, limit))
    }

    /// Instances of every project in order of (project, name, id), for administrators.
    pub fn all_instances(
        &self,
        _scope: &Scope<Admin>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<InstancePage> {
        let found = self.store.read(|db| {
            let marker = marker(db, after, |_any| true)?;
            let place = marker.as_ref().map(|it| (&it.project, it.name.as_str(), it.id));
            Ok::<_, CatalogError>(db.instances_of_all(place, limit.saturating_add(1))?)
        })?;
        Ok(InstancePage::new(found, limit))
    }

    pub fn every_instance(&self) -> Result<Vec<Instance>> {
        let found =
            self.store.read(|db| Ok::<_, CatalogError>(db.instances_of_all(None, u32::MAX)?))?;
        Ok(found.into_iter().map(|it| it.instance).collect())
    }

    /// Also those that left the configuration, of which there may be backups.
    pub fn known_instances(&self) -> Result<Vec<Instance>> {
        self.store.read(|db| Ok(db.known_instances()?))
    }

    /// Whether there is a finished backup of the instance.
    pub fn has_backup(&self, id: InstanceId) -> Result<bool> {
        self.store.read(|db| Ok(db.first_completed(id)?.is_some()))
    }

    /// One instance; that of another project is reported as not found, except to an administrator. A
    /// detached one is found although it is not listed.
    pub fn instance(&self, scope: &Scope<Read>, id: InstanceId) -> Result<Instance> {
        self.store.read(|db| visible_instance(db, scope, id))
    }

    /// Accepts a restore into a new instance of the scope's project.
    pub fn create_instance(&self, scope: &Scope<Write>, new: NewInstance) -> Reply<Instance> {
        let scope = scope.clone();
        self.accept(move |db, rules| rules.accept_restore(db, &scope, new))
    }

    /// Takes over the instances of the configuration: new ones are added, changed ones updated, those that
    /// are no longer there detached (their backups stay).
    pub fn sync_instances(&self, configured: Vec<Instance>) -> Reply<()> {
        self.write(move |db, rules| sync(db, &configured, rules.now()))
    }

    /// The database of an instance was reached and has this version.
    pub fn note_version(&self, id: InstanceId, seen: Datastore) -> Reply<()> {
        self.write(move |db, rules| Ok(db.set_version(id, &seen, rules.now())?))
    }

    /// An instance is restored: `source` is what reads it from now on.
    pub fn restored(&self, id: InstanceId, source: Source, used_bytes: u64) -> Reply<()> {
        self.write(move |db, rules| {
            let now = rules.now();
            let changed = db.set_restored(id, &source, used_bytes, now)?;
            require_restoring(db, id, changed)?;
            let mut end = RunEnd::new(now, RunResult::Done);
            end.numbers.read_bytes = Some(used_bytes);
            Ok(db.end_run(run(id), &end).map(drop)?)
        })
    }

    /// The restore of an instance failed; nothing of it is left.
    pub fn restore_failed(&self, id: InstanceId, failure: Failure) -> Reply<()> {
        self.write(move |db, rules| {
            let now = rules.now();
            let changed = db.set_restore_failed(id, &failure, now)?;
            require_restoring(db, id, changed)?;
            Ok(db
                .end_run(run(id), &RunEnd::new(now, RunResult::from_failure(failure)))
                .map(drop)?)
        })
    }

    /// A restore was interrupted by an orderly stop: as after a crash, it begins again.
    pub fn retry_restore(&self, id: InstanceId) -> Reply<()> {
        self.write(move |db, rules| {
            let changed = db.retry_restore(id)?;
            require_restoring(db, id, changed)?;
            Ok(db.retry_run(run(id), rules.now()).map(drop)?)
        })
    }

    /// After a crash: restores that a worker had wait again. Returns their instances.
    pub fn reopen_restores(&self) -> Reply<Vec<Instance>> {
        self.write_and_wake(|db, rules| {
            let claimed: Vec<_> =
                db.claimed_restores()?.into_iter().map(|it| it.instance).collect();
            for instance in &claimed {
                db.retry_restore(instance.id)?;
            }
            db.retry_runs(RunKind::Restore, rules.now())?;
            Ok(claimed)
        })
    }

    /// After a crash: drills that a worker had wait again, and restores into staging and verifications. Returns how many
    /// drills.
    pub fn reopen_drills(&self) -> Reply<usize> {
        self.write_and_wake(|db, rules| {
            db.retry_runs(RunKind::Staging, rules.now())?;
            db.retry_runs(RunKind::Verify, rules.now())?;
            Ok(db.retry_runs(RunKind::Drill, rules.now())?)
        })
    }
}

impl Rules {
    fn accept_restore(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        new: NewInstance,
    ) -> Result<Instance> {
        let id = new.backup;
        let record = visible_backup(db, scope, id)?;
        let backup = record.backup;
        ensure_datastore(&new, &backup)?;
        if record.removal.is_some() {
            return Err(CatalogError::NoSuchBackup { id });
        }
        let (status, operation) = (backup.status, Operation::Restore);
        if !status.is_usable() {
            return Err(NotNow::NotCompleted { id, status, operation }.into());
        }
        self.ensure_engine(&backup.datastore.engine, operation)?;
        lineage::chain_to_check(db, &backup.project, id)?.map_err(|broken| broken.refuse(id))?;
        self.ensure_quota(db, scope.project(), QuotaResource::Instances)?;
        let most = self.settings.max_restores;
        if db.count_restoring(scope.project())? >= i64::from(most) {
            return Err(CatalogError::TooManyRestores { most });
        }
        let now = self.now();
        let instance = Instance {
            id: InstanceId::generate(),
            project: scope.project().clone(),
            name: new.name,
            datastore: backup.datastore,
            origin: InstanceOrigin::Restored(id),
            source: Source::default(),
            check: CheckLevel::default(),
            verify: Verify::default(),
            status: InstanceStatus::Build,
            used_bytes: 0,
            failure: None,
            created: now,
            updated: now,
        };
        db.insert_instance(&instance)?;
        db.open_run(run(instance.id).with_backup(id), &instance.project, now)?;
        let event = Event::done(now, &scope.actor(), Action::BackupRestore);
        let event = event.in_project(&instance.project).of(id);
        db.add_event(&event.with_detail(format!("into the new instance {}", instance.id)))?;
        Ok(instance)
    }
}

/// What the client named is the datastore of the backup.
fn ensure_datastore(new: &NewInstance, backup: &Backup) -> Result<()> {
    let Datastore { engine, version } = &backup.datastore;
    let mismatch = |field, asked: &str, is: &str| {
        let asked = asked.chars().take(80).collect();
        Err(Invalid::DatastoreMismatch { backup: backup.id, field, asked, is: is.to_owned() }
            .into())
    };
    match (&new.engine, &new.version) {
        (Some(asked), _) if asked != engine && *asked != Datastore::datastore_id(engine) => {
            mismatch("type", asked, engine)
        }
        (_, Some(asked)) if asked != version && *asked != backup.datastore.version_id() => {
            mismatch("version", asked, version)
        }
        _ => Ok(()),
    }
}

fn sync(db: Records<'_>, configured: &[Instance], now: Timestamp) -> Result<()> {
    let mut named = HashSet::new();
    for instance in configured {
        let id = instance.id;
        if !named.insert(id) {
            return Err(Invalid::DuplicateInstance(id).into());
        }
        if let Some(InstanceRecord { instance: known, removal }) = db.instance(id)?
            && (known.status == InstanceStatus::Build || removal.is_some())
        {
            return Err(Invalid::InstanceInUse(id).into());
        }
        db.put_configured(instance, now)?;
    }
    for id in db.configured_instances()?.into_iter().filter(|id| !named.contains(id)) {
        db.detach(id, now)?;
    }
    Ok(())
}

/// An error unless the step changed the row.
fn require_restoring(db: Records<'_>, id: InstanceId, changed: bool) -> Result<()> {
    if changed {
        return Ok(());
    }
    let record = db.instance(id)?.ok_or(CatalogError::NoSuchInstance { id })?;
    Err(CatalogError::InstanceBusy { id, status: record.instance.status })
}
