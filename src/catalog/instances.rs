//! Instances: those of the configuration, and those that restores make.

use std::collections::HashSet;

use super::lineage;
use super::rules::{Rules, visible_backup, visible_instance};
use super::{
    Admin, Catalog, CatalogError, InstancePage, NewInstance, QuotaResource, Read, Reply, Scope,
    Write,
};
use crate::domain::{
    CheckLevel, Instance, InstanceId, InstanceOrigin, InstanceStatus, Source, Timestamp, Verify,
};
use crate::store::{InstanceRecord, Records};

impl Catalog {
    /// Instances of the scope's project in order of (name, id), behind `after` (an instance's id).
    pub fn instances(
        &self,
        scope: &Scope<Read>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<InstancePage, CatalogError> {
        let project = scope.project();
        let mut found = self.store.read(|db| {
            let behind = match after {
                None => None,
                Some(id) => {
                    Some(db.instance(id)?.filter(|it| it.instance.project == *project).ok_or_else(
                        || CatalogError::Invalid { why: format!("Marker '{id}' cannot be found.") },
                    )?)
                }
            };
            let place = behind.as_ref().map(|it| (it.instance.name.as_str(), it.instance.id));
            Ok::<_, CatalogError>(db.instances_of(project, place, limit.saturating_add(1))?)
        })?;
        let asked = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > asked;
        found.truncate(asked);
        let rows: Vec<Instance> = found.into_iter().map(|it| it.instance).collect();
        let next = rows.last().filter(|_last| more).map(|it| it.id);
        Ok(InstancePage { rows, next })
    }

    /// Instances of every project.
    pub fn all_instances(&self, _scope: &Scope<Admin>) -> Result<Vec<Instance>, CatalogError> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.every_instance()?))?;
        Ok(found.into_iter().map(|it| it.instance).collect())
    }

    /// One instance; another project's is unknown, an admin sees all. A detached one is not listed but
    /// is there: its backups are.
    pub fn instance(&self, scope: &Scope<Read>, id: InstanceId) -> Result<Instance, CatalogError> {
        self.store.read_once(|db| visible_instance(db, scope, id))
    }

    /// An instance by id, whoever asks, also while it is being removed.
    pub fn find_instance(&self, id: InstanceId) -> Result<Instance, CatalogError> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.instance(id)?))?;
        found.map(|it| it.instance).ok_or(CatalogError::NoSuchInstance { id })
    }

    /// Accepts a restore into a new instance of the scope's project.
    pub fn create_instance(&self, scope: &Scope<Write>, new: NewInstance) -> Reply<Instance> {
        let scope = scope.clone();
        self.write_and_ring(move |db, rules| rules.accept_restore(db, &scope, new))
    }

    /// Marks a restored instance for removal, with its data; a configured one is refused.
    pub fn delete_instance(&self, scope: &Scope<Write>, id: InstanceId) -> Reply<()> {
        let scope = scope.clone();
        self.write_and_ring(move |db, rules| {
            let instance = visible_instance(db, &scope, id)?;
            if instance.origin == InstanceOrigin::Configured {
                let why = format!(
                    "Instance {id} comes from the server's configuration and is removed there; its data is not Coffer's to delete."
                );
                return Err(CatalogError::Forbidden { why });
            }
            if matches!(instance.status, InstanceStatus::Build | InstanceStatus::Backup) {
                return Err(CatalogError::InstanceBusy { id, status: instance.status.as_str() });
            }
            db.ask_instance_removal(id, rules.now())?;
            Ok(())
        })
    }

    /// Takes over the instances of the configuration: new ones appear, changed ones change, those that are
    /// gone are detached (their backups stay). A version that is `unknown` does not replace a known one.
    pub fn sync_instances(&self, configured: Vec<Instance>) -> Reply<()> {
        self.write(move |db, rules| take_over(db, &configured, rules.now()))
    }
}

impl Rules {
    fn accept_restore(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        new: NewInstance,
    ) -> Result<Instance, CatalogError> {
        let id = new.backup;
        let record = visible_backup(db, scope, id)?;
        if record.removal.is_some() {
            return Err(CatalogError::NoSuchBackup { id });
        }
        let backup = record.backup;
        if !backup.status.is_usable() {
            let why =
                format!("Backup {id} is {}: only COMPLETED ones can be restored.", backup.status);
            return Err(CatalogError::NotNow { why });
        }
        if let Some(asked) = new.engine.filter(|it| *it != backup.datastore.engine) {
            let why = format!(
                "Datastore '{asked}' does not match backup {id}, which is of '{}'.",
                backup.datastore.engine
            );
            return Err(CatalogError::Invalid { why });
        }
        if !self.has_engine(&backup.datastore.engine) {
            let engine = backup.datastore.engine;
            return Err(CatalogError::NotSupported { operation: "restore", engine });
        }
        lineage::chain(db, &backup.project, id)?.map_err(|broken| broken.refuse(id))?;
        self.must_have_room(db, scope.project(), QuotaResource::Instances)?;
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
        Ok(instance)
    }
}

fn take_over(db: Records<'_>, configured: &[Instance], now: Timestamp) -> Result<(), CatalogError> {
    let mut named = HashSet::new();
    for instance in configured {
        let id = instance.id;
        if !named.insert(id) {
            let why = format!("Two instances of the configuration have the id {id}.");
            return Err(CatalogError::Invalid { why });
        }
        if let Some(InstanceRecord { instance: there, removal }) = db.instance(id)?
            && (there.status == InstanceStatus::Build || removal.is_some())
        {
            let why = format!(
                "Instance {id} of the configuration is being restored or removed: wait until that has ended, or give it another id."
            );
            return Err(CatalogError::Invalid { why });
        }
        db.put_configured(instance, now)?;
    }
    for id in db.configured_instances()?.into_iter().filter(|id| !named.contains(id)) {
        db.detach(id, now)?;
    }
    Ok(())
}
