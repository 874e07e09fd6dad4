//! The records, and the rules over them: who may see and do what, what a backup may be built on, what
//! may be deleted, what a quota allows. Knows neither HTTP nor files.
//!
//! Reads block for one indexed look-up; call them off the event loop. Writes go to the store's one
//! writer thread and are answered after their commit, as a [`Reply`].

mod error;
mod job;
mod query;
mod scope;
mod shelf;

use std::path::Path;
use std::sync::Arc;

use crate::bell::Bell;
use crate::domain::{
    ArchiveFacts, Backup, BackupId, Caller, Clock, Datastore, Failure, Instance, InstanceId, Kind,
    NewBackup, Page, ProjectId, Registration, Role, Strategy, Timestamp, VerifyLevel,
};

pub use error::CatalogError;
pub use job::{BackupJob, InstanceRemovalJob, Job, RegistrationJob, RemovalJob, RestoreJob};
pub use query::{
    BackupFilter, InstancePage, NewInstance, NewStrategy, Quota, QuotaResource, Recovered,
};
pub use scope::{Admin, Permission, Read, Scope, Write};
pub use shelf::Shelf;

/// The answer to a write: there after its commit.
#[derive(Debug)]
pub struct Reply<T>(std::marker::PhantomData<T>);

impl<T> Reply<T> {
    /// For handlers: waits without blocking.
    pub async fn done(self) -> Result<T, CatalogError> {
        todo!()
    }

    /// For worker threads: blocks.
    pub fn wait(self) -> Result<T, CatalogError> {
        todo!()
    }
}

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Backups a project may have, -1 for any number, unless its own quota says otherwise.
    pub max_backups: i64,
    /// Instances a project may have, -1 for any number, unless its own quota says otherwise.
    pub max_instances: i64,
    /// Incrementals that may follow one full; the next one becomes a full.
    pub max_chain: u32,
}

/// The records of one data directory.
#[derive(Debug)]
pub struct Catalog {}

/// For the API.
impl Catalog {
    /// Opens `catalog.db` at `path`, creating or migrating it.
    pub fn open(
        path: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
        bell: Arc<Bell>,
    ) -> Result<Self, CatalogError> {
        todo!()
    }
    /// Commits what waits, truncates the WAL, closes. Later writes fail.
    pub fn close(&self) {
        todo!()
    }
    /// Whether the database answers (for `/healthcheck`).
    pub fn ping(&self) -> Result<(), CatalogError> {
        todo!()
    }

    /// Who shows this secret, if it is a known token's. Takes the same time for every wrong one.
    pub fn authenticate(&self, secret: &str) -> Option<Caller> {
        todo!()
    }
    /// Replaces the tokens that come from the configuration: name, project, roles, SHA-256 of the secret.
    pub fn set_configured_tokens(&self, tokens: Vec<(Caller, [u8; 32])>) {
        todo!()
    }
    /// Stores a token made by the server itself (the bootstrap one).
    pub fn add_token(&self, caller: Caller, sha256: [u8; 32]) -> Reply<()> {
        todo!()
    }
    /// How many tokens there are, configured or stored.
    pub fn token_count(&self) -> Result<usize, CatalogError> {
        todo!()
    }

    /// One page of backups, newest first.
    pub fn backups(
        &self,
        scope: &Scope<Read>,
        filter: &BackupFilter,
    ) -> Result<Page<Backup>, CatalogError> {
        todo!()
    }
    /// One backup. Another project's is as unknown as one that never was; an admin sees all.
    pub fn backup(&self, scope: &Scope<Read>, id: BackupId) -> Result<Backup, CatalogError> {
        todo!()
    }
    /// Accepts a backup: checks instance, engine, parent, quota, and that none runs; then rings the bell.
    pub fn create_backup(&self, scope: &Scope<Write>, new: NewBackup) -> Reply<Backup> {
        todo!()
    }
    /// Accepts the registration of an archive that lies in the store already; a worker proves it.
    pub fn register_backup(&self, scope: &Scope<Write>, new: Registration) -> Reply<Backup> {
        todo!()
    }
    /// Marks a backup and all that is built on it for removal, or nothing if one of them runs.
    /// One that is marked already is fine.
    pub fn delete_backup(&self, scope: &Scope<Write>, id: BackupId) -> Reply<()> {
        todo!()
    }

    /// Instances of the scope's project in order of (name, id), behind `after` (an instance's id).
    pub fn instances(
        &self,
        scope: &Scope<Read>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<InstancePage, CatalogError> {
        todo!()
    }
    /// Instances of every project.
    pub fn all_instances(&self, scope: &Scope<Admin>) -> Result<Vec<Instance>, CatalogError> {
        todo!()
    }
    /// One instance; another project's is unknown, an admin sees all.
    pub fn instance(&self, scope: &Scope<Read>, id: InstanceId) -> Result<Instance, CatalogError> {
        todo!()
    }
    /// Accepts a restore into a new instance.
    pub fn create_instance(&self, scope: &Scope<Write>, new: NewInstance) -> Reply<Instance> {
        todo!()
    }
    /// Marks a restored instance for removal, with its data; a configured one is refused.
    pub fn delete_instance(&self, scope: &Scope<Write>, id: InstanceId) -> Reply<()> {
        todo!()
    }

    /// Every engine and version that an instance has or a backup was made of, ordered. Engines without any
    /// instance are included through `set_engines`.
    pub fn datastores(&self) -> Result<Vec<Datastore>, CatalogError> {
        todo!()
    }
    /// The engines this build has, with the version each reads with.
    pub fn set_engines(&self, engines: Vec<Datastore>) {
        todo!()
    }

    /// Strategies of a project (`None`: the scope's own), of one instance if given.
    pub fn strategies(
        &self,
        scope: &Scope<Read>,
        project: Option<&ProjectId>,
        instance: Option<&str>,
    ) -> Result<Vec<Strategy>, CatalogError> {
        todo!()
    }
    /// Creates or replaces the strategy of an instance or of the whole project.
    pub fn put_strategy(&self, scope: &Scope<Write>, new: NewStrategy) -> Reply<Strategy> {
        todo!()
    }
    /// Removes it; there being none is an error (Trove: 404).
    pub fn delete_strategy(
        &self,
        scope: &Scope<Write>,
        project: Option<&ProjectId>,
        instance: Option<InstanceId>,
    ) -> Reply<()> {
        todo!()
    }

    /// What a project may have and has.
    pub fn quotas(
        &self,
        scope: &Scope<Read>,
        project: &ProjectId,
    ) -> Result<Vec<Quota>, CatalogError> {
        todo!()
    }
    /// Sets quotas of a project.
    pub fn set_quotas(
        &self,
        scope: &Scope<Admin>,
        project: &ProjectId,
        limits: Vec<(QuotaResource, i64)>,
    ) -> Reply<()> {
        todo!()
    }
}

/// For the executor, the command line and recovery: no scope, because no client asks.
impl Catalog {
    /// Takes over the instances of the configuration: new ones appear, changed ones change, those that are
    /// gone are detached (their backups stay).
    pub fn sync_instances(&self, configured: Vec<Instance>) -> Reply<()> {
        todo!()
    }
    /// The oldest thing to do: removals first, then registrations, restores, backups. What it hands out is
    /// claimed: nobody else gets it.
    pub fn claim(&self) -> Result<Option<Job>, CatalogError> {
        todo!()
    }
    /// A backup by id.
    pub fn find(&self, id: BackupId) -> Result<Backup, CatalogError> {
        todo!()
    }
    /// The backups that restoring this one needs, root first, itself last. A link that is missing or not
    /// usable is an error that names it.
    pub fn chain(&self, id: BackupId) -> Result<Vec<Backup>, CatalogError> {
        todo!()
    }
    /// Every backup, oldest first (for rebuild and doctor).
    pub fn every_backup(&self) -> Result<Vec<Backup>, CatalogError> {
        todo!()
    }
    /// An instance by id.
    pub fn find_instance(&self, id: InstanceId) -> Result<Instance, CatalogError> {
        todo!()
    }
    /// How much of the source a running backup has read, 0 to 1. In memory only.
    pub fn progress(&self, id: BackupId, share: f64) {
        todo!()
    }
    /// A claimed incremental turns out to have no sound chain below it: it goes on as a full one.
    pub fn becomes_full(&self, id: BackupId) -> Reply<()> {
        todo!()
    }
    /// BUILDING → SAVING.
    pub fn saving(&self, id: BackupId) -> Reply<()> {
        todo!()
    }
    /// SAVING → COMPLETED, with what only a published archive has.
    pub fn complete(&self, id: BackupId, facts: ArchiveFacts) -> Reply<()> {
        todo!()
    }
    /// BUILDING → RESTORED, for a registration: what the archive says of itself.
    pub fn registered(
        &self,
        id: BackupId,
        kind: Kind,
        parent: Option<BackupId>,
        facts: ArchiveFacts,
    ) -> Reply<()> {
        todo!()
    }
    /// Any running status → FAILED.
    pub fn fail(&self, id: BackupId, failure: Failure) -> Reply<()> {
        todo!()
    }
    /// Damage was found in a finished backup's archive: it stays, but nothing is built on it.
    pub fn report_damage(&self, id: BackupId, failure: Failure) -> Reply<()> {
        todo!()
    }
    /// It was proven again; takes back reported damage.
    pub fn report_verified(&self, id: BackupId, at: Timestamp, level: VerifyLevel) -> Reply<()> {
        todo!()
    }
    /// The restore of an instance is done and placed.
    pub fn restored(&self, id: InstanceId, used_bytes: u64) -> Reply<()> {
        todo!()
    }
    /// The restore of an instance failed; nothing of it is left.
    pub fn restore_failed(&self, id: InstanceId, failure: Failure) -> Reply<()> {
        todo!()
    }
    /// The archives of these are gone: so are their rows.
    pub fn removed(&self, ids: Vec<BackupId>) -> Reply<()> {
        todo!()
    }
    /// The archive of this one could not be removed: DELETE_FAILED, tried again at the next delete or start.
    pub fn removal_failed(&self, id: BackupId, failure: Failure) -> Reply<()> {
        todo!()
    }
    /// A restored instance's data is gone: so is its row.
    pub fn instance_removed(&self, id: InstanceId) -> Reply<()> {
        todo!()
    }
    /// Backups that were running when the process ended, oldest first.
    pub fn interrupted(&self) -> Result<Vec<Backup>, CatalogError> {
        todo!()
    }
    /// Instances whose restore was running when the process ended: claimed ones become claimable again.
    pub fn reopen_restores(&self) -> Reply<Vec<Instance>> {
        todo!()
    }
    /// DELETE_FAILED rows and claimed removals become claimable again.
    pub fn reopen_removals(&self) -> Reply<()> {
        todo!()
    }
    /// A published archive whose row says it was interrupted: any status but deleted → COMPLETED.
    pub fn adopt(&self, id: BackupId, facts: ArchiveFacts) -> Reply<()> {
        todo!()
    }
    /// Writes rows recovered from archives; one whose id is there already is left alone. Says how many were new.
    pub fn import(&self, rows: Vec<Recovered>) -> Reply<usize> {
        todo!()
    }
}

#[expect(unused_imports, reason = "skeleton")]
use Role as _Role;
