//! Copies over a network that breaks at any moment: none that is called proven is wrong, and nothing is left over.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer::catalog::{Scope, Write};
use coffer::config::Config;
use coffer::domain::{
    Backup, BackupId, Caller, CopyState, InstanceId, NewBackup, ParentChoice, ProjectId, Role,
    Status, Timestamp,
};
use coffer::executor::{Context, CopyTarget, Executor, Pace, settle};
use coffer::server::open_and_lock;
use coffer::storage::Place;

use crate::storage::s3::proxy::Proxy;
use crate::storage::s3::server::S3Server;
use crate::storage::s3::{bucket, keys_file};
use crate::storage::swift::server::SwiftServer;
use crate::storage::swift::{container, login_file};

/// Copies over the broken network; `COFFER_NETWORK_RUNS` is for more of them.
const RUNS: u64 = 24;

/// Every so many is of several parts.
const LARGE_EVERY: u64 = 6;
/// How long the parts of archives of this size are.
const PART: u64 = 8 << 20;

fn project() -> ProjectId {
    "p".parse().unwrap()
}

fn instance() -> InstanceId {
    InstanceId::derived(&project(), "files")
}

/// Looks until this is so, however long that takes on a busy machine.
fn wait_until<T>(context: &Context, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(600), "{what} takes too long");
        // What failed is tried again at the next ring, and not only seconds later.
        context.bell.ring();
        context.bell.wait_past(context.bell.count(), Duration::from_millis(5));
    }
}

/// The data directory of a server whose backups go to this place.
fn open(folder: &Path, place: Arc<dyn Place>) -> (Context, coffer::storage::DataDirLock) {
    let file = folder.join("coffer.toml");
    let source = folder.join("files");
    std::fs::create_dir(&source).unwrap();
    let text = format!(
        "data_dir = {:?}\n[[instances]]\nname = \"files\"\nproject_id = \"p\"\nengine = \"directory\"\n\
         source = {{ path = {source:?} }}\n",
        folder.join("data")
    );
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file)).unwrap();
    let (context, lock) = open_and_lock(&config).unwrap();
    context.places.replace(vec![CopyTarget {
        place,
        recipients: None,
        readable: true,
        pace: Arc::new(Pace::kib_per_second(0)),
        keep_deleted: false,
        retry_after: Duration::from_millis(1),
        window: None,
        lock: None,
    }]);
    context.catalog.set_copies(HashMap::from([(instance(), vec!["offsite".to_owned()])]));
    settle(&context, &|_done, _total| ()).unwrap();
    (context, lock)
}

/// Makes a backup of other bytes than before.
fn back_up(context: &Context, source: &Path, length: usize) -> BackupId {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test changes its source")]
    std::fs::write(source.join("file"), bytes).unwrap();
    let caller =
        Caller { name: "tester".to_owned(), project: Some(project()), roles: vec![Role::Member] };
    let scope: Scope<Write> = Scope::enter(caller, project()).unwrap();
    let new = NewBackup {
        name: "one".to_owned(),
        description: None,
        instance: instance(),
        parent: ParentChoice::None,
        container: None,
    };
    let id = context.catalog.create_backup(&scope, new).wait().unwrap().id;
    wait_until(context, "the backup", || {
        let status = context.catalog.find(id).unwrap().status;
        assert_ne!(status, Status::Failed);
        (status == Status::Completed).then_some(id)
    })
}

fn proven(backup: &Backup) -> bool {
    backup.copies.iter().any(|it| it.state == CopyState::Proven)
}

/// Makes copies over the proxy, and compares what lies there. Returns how long they are.
fn copy_over(proxy: &Proxy, through: Arc<dyn Place>, direct: &dyn Place) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let (context, lock) = open(folder.path(), through);
    let executor = Executor::start(&context).unwrap();
    let runs = std::env::var("COFFER_NETWORK_RUNS").ok().and_then(|it| it.parse().ok());
    let mut lengths = Vec::new();
    for seed in 1..=runs.unwrap_or(RUNS) {
        let length = if seed % LARGE_EVERY == 0 { 9 << 20 } else { 20_000 };
        proxy.break_by(seed * 7919);
        let id = back_up(&context, &folder.path().join("files"), length);
        let backup = wait_until(&context, "the copy", || {
            Some(context.catalog.find(id).unwrap()).filter(proven)
        });
        proxy.break_by(0);
        let location = &backup.facts.as_ref().unwrap().location;
        let read = |it: Arc<dyn coffer::domain::ReadAt>| {
            let mut bytes = vec![0; usize::try_from(it.len()).unwrap()];
            it.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        let archive = read(context.storage.open(location).unwrap());
        let copy = read(direct.open(location).expect("what is proven is there"));
        assert!(copy == archive, "seed {seed}: what is proven differs");
        lengths.push(u64::try_from(copy.len()).unwrap());
    }
    assert!(executor.drain(Duration::from_secs(60)));
    let later: Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    let known = context.catalog.uploads_in("offsite").unwrap();
    assert_eq!(known, [], "an upload of a proven copy is done with");
    direct.sweep(&known, later).unwrap();
    drop(lock);
    lengths
}

#[test]
fn no_copy_that_is_called_proven_is_wrong_whatever_the_network_does() {
    let (server, folder) = (S3Server::start(), tempfile::tempdir().unwrap());
    let keys = keys_file(&folder);
    server.make_bucket("broken");
    let proxy = Proxy::before(server.address());
    let through = Arc::new(bucket(proxy.base(), "broken", &keys));
    copy_over(&proxy, through, &bucket(server.base(), "broken", &keys));
    assert_eq!(server.unfinished_uploads("broken"), 0);
}

#[test]
fn no_copy_in_swift_that_is_called_proven_is_wrong_whatever_the_network_does() {
    let (server, folder) = (SwiftServer::start(), tempfile::tempdir().unwrap());
    let login = login_file(&folder, "testing");
    server.make_container("broken");
    let proxy = Proxy::before(server.address());
    let through = container(&format!("{}/auth/v1.0", proxy.base()), "broken", &login);
    let direct = container(&server.auth_url(), "broken", &login);
    let lengths = copy_over(&proxy, Arc::new(through), &direct);
    let mut objects = server.objects("broken");
    objects.retain(|it| *it != "one/two/owner.id");
    let archives = objects.iter().filter(|it| it.contains("/archives/")).count();
    assert_eq!(archives, lengths.len());
    let parts: u64 = lengths.iter().map(|it| it.div_ceil(PART)).filter(|parts| *parts > 1).sum();
    assert_eq!(objects.len() - archives, usize::try_from(parts).unwrap(), "{objects:?}");
}
