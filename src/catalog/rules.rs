//! What the rules depend on besides the rows: the operator's settings, the clock, the engines of this
//! build.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::domain::{
    BackupId, Clock, Datastore, Instance, InstanceId, InstanceStatus, PlaceTrouble, Timestamp,
};
use crate::policy::{AlertRoutes, Policy};
use crate::store::{BackupRecord, Records};

use super::configured_place::ConfiguredPlace;
use super::fleet_rules::FleetRules;
use super::policy_source::PolicySource;
use super::{Catalog, CatalogError, Operation, Permission, Result, Scope, Settings};

/// The last time that fits the four-digit years of every format that Coffer writes.
pub(super) const LAST_INSTANT: i64 = 253_402_300_799_999_999;

/// How far ahead of the clock the newest backup may be that the next ones follow: 31 days in microseconds. A clock that
/// went back further was far ahead before.
const MOST_AHEAD: i64 = 31 * 24 * 3600 * 1_000_000;

/// With this much, an hour in microseconds, the clock has jumped.
const JUMP: i64 = 3600 * 1_000_000;

#[derive(Debug)]
pub(super) struct Rules {
    pub(super) settings: Settings,
    clock: Arc<dyn Clock>,
    engines: RwLock<Vec<Datastore>>,
    /// Those that hold.
    pub(super) policies: RwLock<HashMap<InstanceId, Arc<Policy>>>,
    pub(super) policies_set: AtomicU64,
    /// What the configuration says of them.
    pub(super) source: RwLock<Option<Arc<dyn PolicySource>>>,
    pub(super) alert_routes: RwLock<Arc<AlertRoutes>>,
    /// Where the backups of the instances of the configuration are copied to.
    pub(super) copies: RwLock<HashMap<InstanceId, Vec<String>>>,
    /// The places of the configuration.
    pub(super) places: RwLock<Vec<ConfiguredPlace>>,
    /// The fleets of the configuration.
    pub(super) fleets: RwLock<Vec<FleetRules>>,
    /// Those that hold copies and are not in it, as they were found last; `None`: it is to be looked first whether they
    /// only have another name.
    pub(super) removed: RwLock<Option<Vec<PlaceTrouble>>>,
}

impl Catalog {
    /// Sets the engines of this build, with the version each reads with.
    pub fn set_engines(&self, engines: Vec<Datastore>) {
        *self.rules.engines.write() = engines;
    }

    /// Sets when the instances of the configuration are backed up, and what of them is kept.
    pub fn set_policies(&self, policies: HashMap<InstanceId, Policy>) {
        let policies = policies.into_iter().map(|(id, policy)| (id, Arc::new(policy)));
        *self.rules.policies.write() = policies.collect();
        self.rules.policies_set.fetch_add(1, Ordering::AcqRel);
        self.bell.ring();
    }

    /// How often they were set.
    pub fn policies_set(&self) -> u64 {
        self.rules.policies_set.load(Ordering::Acquire)
    }

    /// What is wrong with the clock, judging by the newest backup, if anything is.
    pub fn why_clock_jumped(&self) -> Result<Option<String>> {
        let (now, latest) = (self.rules.now(), self.rules.latest_plausible());
        let newest = self.store.read(|db| {
            Ok::<_, CatalogError>(db.last_created(Timestamp::from_micros(LAST_INSTANT))?)
        })?;
        let Some(newest) = newest.filter(|it| it.as_micros() - now.as_micros() > JUMP) else {
            return Ok(None);
        };
        let text = if newest > latest {
            format!(
                "the clock was far ahead, or is behind now: it says {now}, and a backup says that it was made at {newest}; \
                 that one stays first in lists, and nothing is built on it by itself. Correct the clock, and delete that backup \
                 once there is a newer one"
            )
        } else {
            format!(
                "the clock went back: it says {now}, and the newest backup was made at {newest}; until then, new backups are \
                 dated just after it, to keep their order"
            )
        };
        Ok(Some(text))
    }

    /// Every engine and version that this build has, an instance has, or a backup was made of; ordered.
    pub fn datastores(&self) -> Result<Vec<Datastore>> {
        self.store.read(|db| self.rules.datastores(db))
    }
}

impl Rules {
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let (engines, policies, policies_set, source, alert_routes) = Default::default();
        let (copies, places, fleets) = Default::default();
        let removed = RwLock::new(Some(Vec::new()));
        Self {
            settings,
            clock,
            engines,
            policies,
            policies_set,
            source,
            alert_routes,
            copies,
            places,
            fleets,
            removed,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn policy(&self, id: InstanceId) -> Option<Arc<Policy>> {
        self.policies.read().get(&id).cloned()
    }

    pub(super) fn datastores(&self, db: Records<'_>) -> Result<Vec<Datastore>> {
        let engines = self.engines.read().clone();
        let found = engines
            .into_iter()
            .chain(db.datastores_of_instances()?)
            .chain(db.datastores_of_backups()?);
        let ordered: BTreeSet<_> = found.map(|it| (it.engine, it.version)).collect();
        Ok(ordered.into_iter().map(|(engine, version)| Datastore { engine, version }).collect())
    }

    /// The engine of this name or datastore id.
    pub(super) fn engine_named(&self, db: Records<'_>, asked: &str) -> Result<String> {
        self.datastores(db)?
            .into_iter()
            .find(|it| it.engine == asked || Datastore::datastore_id(&it.engine) == asked)
            .map(|it| it.engine)
            .ok_or_else(|| CatalogError::NoSuchDatastore { name: asked.chars().take(80).collect() })
    }

    pub(super) fn ensure_engine(&self, name: &str, operation: Operation) -> Result<()> {
        if self.engines.read().iter().any(|it| it.engine == name) {
            return Ok(());
        }
        Err(CatalogError::NotSupported { operation, engine: name.to_owned() })
    }

    /// Fails unless the instance exists, this build has its engine, and no backup of it runs.
    pub(super) fn ensure_idle(&self, instance: &Instance) -> Result<()> {
        let (id, status) = (instance.id, instance.status);
        let busy = Err(CatalogError::InstanceBusy { id, status });
        match status {
            InstanceStatus::Build | InstanceStatus::Error | InstanceStatus::Detached => busy,
            InstanceStatus::Backup | InstanceStatus::Active => {
                self.ensure_engine(&instance.datastore.engine, Operation::Backup)?;
                if status == InstanceStatus::Backup { busy } else { Ok(()) }
            }
        }
    }

    /// The time of creation of a new backup: now, or just after that of the newest backup if the clock went
    /// back. Backups are listed in the order they were accepted in, and pages rely on that. A backup that was made when
    /// the clock was far ahead does not hold up those that follow.
    pub(super) fn creation_time(&self, db: Records<'_>) -> Result<Timestamp> {
        let now = self.now();
        let behind = db
            .last_created(self.latest_plausible())?
            .map(|last| last.as_micros().saturating_add(1))
            .filter(|behind| *behind <= LAST_INSTANT);
        Ok(behind.map_or(now, |behind| now.max(Timestamp::from_micros(behind))))
    }

    /// Backups that say they were made after this were made when the clock was far ahead. One that is behind by more
    /// than this shows a time before there was a Coffer, and then this means nothing.
    pub(super) fn latest_plausible(&self) -> Timestamp {
        let now = self.now();
        let latest = now.as_micros().saturating_add(MOST_AHEAD).min(LAST_INSTANT);
        Timestamp::from_micros(if now < Timestamp::EARLIEST { LAST_INSTANT } else { latest })
    }
}

/// A backup that the scope may see; any other, and one that was deleted, is reported as not found.
pub(super) fn visible_backup<P: Permission>(
    db: Records<'_>,
    scope: &Scope<P>,
    id: BackupId,
) -> Result<BackupRecord> {
    db.backup(id)?
        .filter(|it| scope.covers(&it.backup.project) && !it.is_deleted())
        .ok_or(CatalogError::NoSuchBackup { id })
}

/// An instance that the scope may see. One that is marked for removal is reported as not found.
pub(super) fn visible_instance<P: Permission>(
    db: Records<'_>,
    scope: &Scope<P>,
    id: InstanceId,
) -> Result<Instance> {
    db.instance(id)?
        .filter(|it| scope.covers(&it.instance.project) && it.removal.is_none())
        .map(|it| it.instance)
        .ok_or(CatalogError::NoSuchInstance { id })
}
