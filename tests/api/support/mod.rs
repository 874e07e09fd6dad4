//! The API without a network, over a real catalog in a temporary folder: two projects with instances, a
//! token for each kind of caller, and a stand-in for the workers.
#![expect(clippy::allow_attributes, reason = "each test uses other parts")]
#![allow(dead_code, unreachable_pub, reason = "each test uses other parts")]

mod answer;
mod archives;
mod people;

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody as _, to_bytes};
use actix_web::http::Method;
use actix_web::{App, test, web};
use coffer::access::SlowDown;
use coffer::api::{self, AuthMode, LimitSettings, Limits, RequestCounts, State};
use coffer::bell::Bell;
use coffer::catalog::{Catalog, CatalogError, Job, Lane, Permission, Recovered, Scope, Settings};
use coffer::domain::{
    ArchiveFacts, Backup, BackupId, Caller, CheckLevel, Datastore, Drill, DrillFacts, Failure,
    FailureCode, FixedClock, Here, Instance, InstanceId, InstanceOrigin, InstanceStatus, Kind,
    ProjectId, Role, RowsByTable, RunEnd, RunNumbers, RunResult, Source, Status, Timestamp, Verify,
    VerifyLevel,
};
use coffer::keystone::Keystone;
use coffer::notify::Channels;
use coffer::users::Users;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

#[allow(unused_imports, reason = "the same")]
pub use answer::{Answer, Request, fault};
pub use archives::FolderArchives;
#[allow(unused_imports, reason = "the same")]
pub use people::People;

/// Claims whatever there is to do.
trait ClaimAny {
    fn claim_any(&self) -> Result<Option<Job>, CatalogError>;
}

impl ClaimAny for Catalog {
    fn claim_any(&self) -> Result<Option<Job>, CatalogError> {
        let claims = Lane::ALL.into_iter().map(|lane| self.claim(lane).transpose());
        claims.flatten().next().transpose()
    }
}

/// 2026-11-23T19:00:00.
pub const START: Timestamp = Timestamp::from_micros(1_795_460_400_000_000);
/// Instances of the two projects.
pub const A1: &str = "11111111-0000-4000-8000-000000000001";
pub const A2: &str = "11111111-0000-4000-8000-000000000002";
pub const B1: &str = "11111111-0000-4000-8000-000000000003";
pub const VERTICA: &str = "11111111-0000-4000-8000-000000000005";
pub const POSTGRES: &str = "11111111-0000-4000-8000-000000000006";
pub const B2: &str = "11111111-0000-4000-8000-000000000007";
/// An id that does not exist.
pub const UNKNOWN_ID: &str = "deadbeef-0000-4000-8000-00000000dead";

/// Name, project and role of every token; the secret is the name and `-secret`.
const TOKENS: [(&str, &str, Role); 4] = [
    ("alice", "project-a", Role::Member),
    ("reader", "project-a", Role::Reader),
    ("bob", "project-b", Role::Member),
    ("admin", "p-admin", Role::Admin),
];

/// Id, project, name, engine and version of every configured instance.
const INSTANCES: [(&str, &str, &str, &str, &str); 7] = [
    (A1, "project-a", "a1", "mysql", "5.7"),
    (A2, "project-a", "a2", "mysql", "8.0"),
    (B1, "project-b", "b1", "mysql", "5.7"),
    ("11111111-0000-4000-8000-000000000004", "project-a", "a4", "mysql", "5.7"),
    (VERTICA, "project-a", "a5", "vertica", "9"),
    (POSTGRES, "project-a", "a6", "postgresql", "16"),
    (B2, "project-b", "b2", "mysql", "5.7"),
];

/// Limits that only the tests of limits reach.
pub const LIMITS: LimitSettings = LimitSettings {
    body_bytes: 256 << 10,
    downloads: 3,
    token_requests: 64,
    token_requests_per_second: 0,
    token_body_bytes: 128 << 10,
    token_downloads: 2,
};

/// A server without a network.
pub struct Fixture {
    pub catalog: Arc<Catalog>,
    pub state: web::Data<State>,
    pub archives: FolderArchives,
    /// Who may sign in; nobody, until a test adds somebody.
    pub people: People,
    folder: TempDir,
}

pub fn project(text: &str) -> ProjectId {
    text.parse().unwrap()
}

pub fn datastore(engine: &str, version: &str) -> Datastore {
    Datastore { engine: engine.to_owned(), version: version.to_owned() }
}

fn caller(name: &str, of: &str, role: Role) -> Caller {
    Caller { name: name.to_owned(), project: Some(project(of)), roles: vec![role] }
}

/// An administrator's scope, to ask the catalog directly.
pub fn admin<P: Permission>() -> Scope<P> {
    Scope::enter(caller("admin", "p-admin", Role::Admin), project("p-admin")).unwrap()
}

/// Runs blocking code on another thread, as the event loop must not block.
pub fn blocking<T: Send>(step: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(step).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// The facts of a published archive.
pub fn facts(location: &str, bytes: &[u8]) -> ArchiveFacts {
    ArchiveFacts {
        location: location.parse().unwrap(),
        stored_bytes: bytes.len().try_into().unwrap(),
        source_bytes: 4096,
        checksum: blake3::hash(bytes).to_string(),
        verified_at: START,
        verify_level: VerifyLevel::Bytes,
        left_out: Vec::new(),
    }
}

fn passed_drill() -> RunEnd {
    let facts = DrillFacts {
        version: "5.7".to_owned(),
        check: "CHECK TABLE".to_owned(),
        tables: 1,
        rows: 42,
    };
    let numbers = RunNumbers {
        took_ms: Some(1500),
        drill: Some(facts),
        rows_by_table: RowsByTable::from([("shop.orders".to_owned(), 42)]),
        ..RunNumbers::default()
    };
    RunEnd { at: START, result: RunResult::Done, numbers }
}

impl Fixture {
    /// The file of the catalog.
    pub fn catalog_file(&self) -> PathBuf {
        self.folder.path().join("catalog.db")
    }

    /// A server that wants a token.
    pub fn new() -> Self {
        Self::with(AuthMode::Token, None)
    }

    /// The same, which takes tokens of this Keystone, too.
    pub fn with_keystone(keystone: Keystone) -> Self {
        Self::made(AuthMode::Token, None, Some(Arc::new(keystone)))
    }

    pub fn with(auth: AuthMode, public_url: Option<&str>) -> Self {
        Self::made(auth, public_url, None)
    }

    fn made(auth: AuthMode, public_url: Option<&str>, keystone: Option<Arc<Keystone>>) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            max_backups: 1_000_000,
            max_instances: 10,
            max_restores: 5,
            max_chain: 10,
            events_days: 400,
            scrub_after: None,
        };
        let clock = Arc::new(FixedClock::starting_at(START));
        let path = folder.path().join("catalog.db");
        let catalog =
            Arc::new(Catalog::open(&path, settings, clock, Arc::new(Bell::default())).unwrap());
        catalog.set_engines(vec![datastore("mysql", "5.7"), datastore("postgresql", "16")]);
        catalog.set_configured_tokens(
            TOKENS
                .iter()
                .map(|(name, project, role)| {
                    let sha256 = Sha256::digest(format!("{name}-secret").as_bytes()).into();
                    (caller(name, project, *role), sha256)
                })
                .collect(),
        );
        let instances = INSTANCES.iter().map(|it| instance(*it)).collect();
        blocking(|| catalog.sync_instances(instances).wait().unwrap());
        let archives = FolderArchives::new(folder.path().join("archives"));
        let people = People::new(START);
        let users = people.users();
        catalog.set_issued_tokens(Arc::<Users>::clone(&users));
        let state = web::Data::new(State {
            catalog: Arc::clone(&catalog),
            archives: Arc::new(archives.clone()),
            channels: Arc::new(Channels::default()),
            auth,
            users,
            keystone,
            unknown_tokens: SlowDown::of_asked(),
            slow_down: Arc::default(),
            wrong_sign_in_wait: Duration::ZERO,
            public_url: public_url.map(str::to_owned),
            hosts: vec!["coffer.test".to_owned()],
            body_timeout: Duration::from_secs(60),
            limits: Limits::new(LIMITS),
            default_page: 20,
            max_page: 100,
            instance_page: 1000,
            registration_wait: Duration::ZERO,
            version: "9.9.9",
            answered: RequestCounts::default(),
        });
        Self { catalog, state, archives, people, folder }
    }

    /// Sends a request, and reads the body of the answer as far as it comes: its bytes, and how long it was to be.
    pub async fn send_until_cut(&self, request: Request) -> (Vec<u8>, BodySize) {
        let app = App::new().wrap(api::request_id()).configure(api::routes(self.state.clone()));
        let service = test::init_service(app).await;
        let response = request.into_inner().send_request(&service).await;
        let (mut body, mut bytes) = (response.into_body(), Vec::new());
        let size = body.size();
        while let Some(Ok(piece)) = poll_fn(|it| Pin::new(&mut body).poll_next(it)).await {
            bytes.extend_from_slice(&piece);
        }
        (bytes, size)
    }

    /// Sends a request and reads the complete answer.
    pub async fn send(&self, request: Request) -> Answer {
        let app = App::new().wrap(api::request_id()).configure(api::routes(self.state.clone()));
        let service = test::init_service(app).await;
        let response = request.into_inner().send_request(&service).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str, who: &str) -> Answer {
        self.send(Request::new(Method::GET, path).token_of(who)).await
    }

    pub async fn delete(&self, path: &str, who: &str) -> Answer {
        self.send(Request::new(Method::DELETE, path).token_of(who)).await
    }

    pub async fn post(&self, path: &str, who: &str, body: &serde_json::Value) -> Answer {
        self.send(Request::new(Method::POST, path).token_of(who).json(body)).await
    }

    /// Creates a backup over HTTP. Its status is NEW.
    pub async fn create_backup(
        &self,
        who: &str,
        project: &str,
        instance: &str,
        name: &str,
    ) -> BackupId {
        let body = serde_json::json!({"backup": {"name": name, "instance": instance}});
        let answer = self.post(&format!("/v1.0/{project}/backups"), who, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["backup"]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Creates a backup over HTTP and completes it.
    pub async fn completed_backup(
        &self,
        who: &str,
        project: &str,
        instance: &str,
        name: &str,
    ) -> BackupId {
        let id = self.create_backup(who, project, instance, name).await;
        self.run_jobs(b"an archive");
        id
    }

    /// Does all waiting jobs as the workers would; every one succeeds.
    pub fn run_jobs(&self, archive: &[u8]) {
        blocking(|| {
            while let Some(job) = self.catalog.claim_any().unwrap() {
                match job {
                    Job::Backup(job) => self.complete(&job.backup, archive),
                    Job::Register(job) => {
                        let facts = facts(job.location.as_str(), archive);
                        self.catalog
                            .registered(job.backup.id, Kind::Full, None, facts)
                            .wait()
                            .unwrap();
                    }
                    Job::Restore(job) => {
                        let source = Source::from_path("/restored/it");
                        self.catalog.restored(job.instance.id, source, 4096).wait().unwrap();
                    }
                    Job::Drill(job) => {
                        self.catalog.end_drill(job.id, passed_drill(), None).wait().unwrap();
                    }
                    Job::Stage(job) => {
                        let end = RunEnd::new(START, RunResult::Done);
                        self.catalog.end_staging(job.id, end).wait().unwrap();
                    }
                    Job::Consolidate(job) => {
                        let id = job.new_id;
                        let location = format!("project-a/{id}.tar.zst");
                        let made = Backup {
                            id,
                            kind: Kind::Full,
                            parent: None,
                            facts: Some(facts(&location, archive)),
                            ..job.backup.clone()
                        };
                        let numbers = RunNumbers::default();
                        let added = self.catalog.consolidated(job.backup.id, made, numbers);
                        assert!(added.wait().unwrap());
                    }
                    Job::Verify(job) => {
                        let end = RunEnd::new(START, RunResult::Done);
                        let (id, level) = (job.backup.id, VerifyLevel::Bytes);
                        self.catalog
                            .end_verification(id, end, vec![(id, level)], None)
                            .wait()
                            .unwrap();
                    }
                    Job::Remove(job) => {
                        let ids = job.backups.iter().map(|it| it.id).collect();
                        self.catalog.removed(ids).wait().unwrap();
                    }
                    Job::RemoveInstance(job) => {
                        self.catalog.instance_removed(job.id).wait().unwrap();
                    }
                }
            }
        });
    }

    /// Stores an archive for a claimed backup and completes it.
    pub fn complete(&self, backup: &Backup, archive: &[u8]) {
        blocking(|| {
            let location = format!("{}/{}.tar.zst", backup.project, backup.id);
            self.archives.put(&location, archive);
            self.catalog.saving(backup.id, START).wait().unwrap();
            let (facts, numbers) = (facts(&location, archive), RunNumbers::default());
            self.catalog.complete(backup.id, facts, "unknown", numbers).wait().unwrap();
        });
    }

    /// Claims the next backup, which stays BUILDING.
    pub fn claim_backup(&self) -> Backup {
        blocking(|| match self.catalog.claim_any().unwrap() {
            Some(Job::Backup(job)) => job.backup,
            other => panic!("not a backup: {other:?}"),
        })
    }

    /// Claims the next backup and fails it.
    pub fn fail_next(&self) {
        blocking(|| {
            let failure = Failure::new(FailureCode::SourceMissing, "the database does not exist");
            self.catalog.fail(self.claim_backup().id, failure).wait().unwrap();
        });
    }

    /// Imports a completed backup with this id.
    pub fn import_backup(&self, id: &str, instance: &str, parent: Option<&str>, name: &str) {
        blocking(|| {
            let id: BackupId = id.parse().unwrap();
            let location = format!("project-a/{id}.tar.zst");
            self.archives.put(&location, b"an older archive");
            let backup = Backup {
                id,
                project: project("project-a"),
                instance: Some(instance.parse().unwrap()),
                name: name.to_owned(),
                description: None,
                kind: if parent.is_some() { Kind::Incremental } else { Kind::Full },
                parent: parent.map(|id| id.parse().unwrap()),
                status: Status::Completed,
                datastore: datastore("mysql", "5.7"),
                container: None,
                created: START,
                updated: START,
                facts: Some(facts(&location, b"an older archive")),
                failure: None,
                progress: 1.0,
                drill: Drill::default(),
                pinned: None,
                copies: Vec::new(),
                here: Here::Yes,
            };
            let (drill, damage, trashed) = (None, None, None);
            let rows = vec![Recovered { backup, instance_name: None, drill, damage, trashed }];
            assert_eq!(self.catalog.import(rows).wait().unwrap(), 1);
        });
    }
}

fn instance(row: (&str, &str, &str, &str, &str)) -> Instance {
    let (id, of, name, engine, version) = row;
    let source = match engine {
        "postgresql" => Source([("url".to_owned(), "postgresql://c@10.0.0.7/".into())].into()),
        _ => Source::from_path(&format!("/srv/{name}")),
    };
    Instance {
        id: id.parse::<InstanceId>().unwrap(),
        project: project(of),
        name: name.to_owned(),
        datastore: datastore(engine, version),
        origin: InstanceOrigin::Configured,
        source,
        check: CheckLevel::Quick,
        verify: Verify::Archive,
        status: InstanceStatus::Active,
        used_bytes: 0,
        failure: None,
        created: START,
        updated: START,
    }
}
