//! A catalog in a temporary folder, with a clock that moves a second at each reading, and the steps that
//! tests of the catalog take with it.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use coffer::domain::{
    ArchiveFacts, Backup, BackupId, Caller, CheckLevel, Datastore, Failure, FailureCode,
    FixedClock, Instance, InstanceId, InstanceOrigin, InstanceStatus, Limit, NewBackup,
    ParentChoice, ProjectId, Role, RunNumbers, Source, Timestamp, Verify, VerifyLevel,
};

/// Claims whatever there is to do.
pub(crate) trait ClaimAny {
    fn claim_any(&self) -> Result<Option<Job>, CatalogError>;
}

impl ClaimAny for Catalog {
    fn claim_any(&self) -> Result<Option<Job>, CatalogError> {
        let claims = Lane::ALL.into_iter().map(|lane| self.claim(lane).transpose());
        claims.flatten().next().transpose()
    }
}

/// 2026-01-01.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

pub(crate) struct Fixture {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

pub(crate) fn settings() -> Settings {
    Settings {
        max_backups: -1,
        max_instances: -1,
        max_restores: 1000,
        max_chain: 3,
        events_days: 400,
        scrub_after: None,
    }
}

pub(crate) fn project(text: &str) -> ProjectId {
    text.parse().unwrap()
}

fn caller(project: &ProjectId, role: Role) -> Caller {
    Caller { name: "tester".to_owned(), project: Some(project.clone()), roles: vec![role] }
}

/// A member of the project.
pub(crate) fn member<P: Permission>(of: &str) -> Scope<P> {
    Scope::enter(caller(&project(of), Role::Member), project(of)).unwrap()
}

/// An administrator, in its own project.
pub(crate) fn admin<P: Permission>() -> Scope<P> {
    Scope::enter(caller(&project("ops"), Role::Admin), project("ops")).unwrap()
}

pub(crate) fn sqlite() -> Datastore {
    Datastore { engine: "sqlite".to_owned(), version: "3.51".to_owned() }
}

/// An instance of the configuration.
pub(crate) fn configured(of: &str, name: &str) -> Instance {
    let project = project(of);
    Instance {
        id: InstanceId::derived(&project, name),
        project,
        name: name.to_owned(),
        datastore: sqlite(),
        origin: InstanceOrigin::Configured,
        source: Source::from_path(&format!("/srv/{name}.db")),
        check: CheckLevel::Quick,
        verify: Verify::Archive,
        status: InstanceStatus::Active,
        used_bytes: 0,
        failure: None,
        created: START,
        updated: START,
    }
}

pub(crate) fn shop() -> InstanceId {
    configured("a", "shop").id
}

pub(crate) fn failure(text: &str) -> Failure {
    Failure::new(FailureCode::Storage, text)
}

pub(crate) fn facts(id: BackupId) -> ArchiveFacts {
    ArchiveFacts {
        location: format!("a/{id}.tar.zst").parse().unwrap(),
        stored_bytes: 1000,
        source_bytes: 4000,
        checksum: "00".repeat(32),
        verified_at: Timestamp::from_micros(START.as_micros() + 86_400_000_000),
        verify_level: VerifyLevel::Checked,
        left_out: Vec::new(),
    }
}

pub(crate) fn new_backup(instance: InstanceId, parent: ParentChoice) -> NewBackup {
    let name = "nightly".to_owned();
    NewBackup { name, description: None, instance, parent, container: None }
}

pub(crate) fn everything(rows: u32) -> BackupFilter {
    BackupFilter {
        all_projects: false,
        project: None,
        instance: None,
        engine: None,
        status: None,
        limit: Limit::clamped(rows, 1000),
        after: None,
    }
}

impl Fixture {
    /// Project `a` has the instances `shop` and `web`, project `b` has `shop`; the engine is `sqlite`.
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("catalog.db");
        let bell = Arc::new(Bell::default());
        let clock = Arc::new(FixedClock::starting_at(START));
        let catalog = Catalog::open(&path, settings, clock, Arc::clone(&bell)).unwrap();
        catalog.set_engines(vec![sqlite()]);
        let instances = vec![
            configured("a", "shop"),
            configured("a", "web"),
            configured("b", "shop"),
            Instance {
                datastore: Datastore { engine: "vertica".to_owned(), version: "9".to_owned() },
                ..configured("a", "old")
            },
        ];
        catalog.sync_instances(instances).wait().unwrap();
        Self { catalog: Arc::new(catalog), bell, path, _folder: folder }
    }

    /// The same files after a restart.
    pub(crate) fn reopened(&self) -> Catalog {
        self.catalog.close();
        let clock = Arc::new(FixedClock::starting_at(START));
        Catalog::open(&self.path, settings(), clock, Arc::clone(&self.bell)).unwrap()
    }

    pub(crate) fn ask(
        &self,
        instance: InstanceId,
        parent: ParentChoice,
    ) -> Result<Backup, CatalogError> {
        self.catalog.create_backup(&admin(), new_backup(instance, parent)).wait()
    }

    /// Claims the backup that waits.
    pub(crate) fn claim_backup(&self) -> BackupJob {
        match self.catalog.claim_any().unwrap() {
            Some(Job::Backup(job)) => *job,
            other => panic!("not a backup: {other:?}"),
        }
    }

    /// A completed backup of `shop` in project `a`.
    pub(crate) fn completed(&self, parent: ParentChoice) -> BackupId {
        self.completed_of(shop(), parent)
    }

    pub(crate) fn completed_of(&self, instance: InstanceId, parent: ParentChoice) -> BackupId {
        let id = self.ask(instance, parent).unwrap().id;
        assert_eq!(self.claim_backup().backup.id, id);
        self.catalog.saving(id, START).wait().unwrap();
        self.catalog.complete(id, facts(id), "unknown", RunNumbers::default()).wait().unwrap();
        id
    }

    pub(crate) fn delete(&self, id: BackupId) -> Result<usize, CatalogError> {
        self.catalog.delete_backup(&member("a"), id).wait()
    }

    pub(crate) fn removal(&self) -> Vec<BackupId> {
        match self.catalog.claim_any().unwrap() {
            Some(Job::Remove(job)) => job.backups.iter().map(|it| it.id).collect(),
            other => panic!("not a removal: {other:?}"),
        }
    }

    pub(crate) fn restore_of(&self, backup: BackupId) -> Result<Instance, CatalogError> {
        let new = NewInstance { name: "copy".to_owned(), backup, engine: None, version: None };
        self.catalog.create_instance(&member("a"), new).wait()
    }
}
