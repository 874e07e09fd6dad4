//! A container of OpenStack Swift behind a network that breaks: what is copied and read is right or an error, and a sweep
//! leaves nothing of what failed.

use std::collections::BTreeSet;

use coffer::domain::Timestamp;
use coffer::storage::{Place as _, StorageError, Swift, UploadPlan};

use super::places;
use super::s3::proxy::Proxy;
use super::swift::server::SwiftServer;
use super::swift::{container, login_file, plan};

/// Runs with a network that breaks; `COFFER_NETWORK_RUNS` is for more of them.
const RUNS: u64 = 12;
/// How often each thing is tried.
const TRIES: usize = 200;
const BYTES: u32 = 300_000;

fn through(proxy: &Proxy, name: &str, folder: &tempfile::TempDir) -> Swift {
    container(&format!("{}/auth/v1.0", proxy.base()), name, &login_file(folder, "testing"))
}

fn later() -> Timestamp {
    "2999-01-01T00:00:00Z".parse().unwrap()
}

#[test]
fn an_answer_that_is_lost_is_not_taken_for_an_archive_that_is_there() {
    let (server, folder) = (SwiftServer::start(), tempfile::tempdir().unwrap());
    server.make_container("lost");
    let proxy = Proxy::before(server.address());
    let place = through(&proxy, "lost", &folder);
    let (plan, bytes) = (plan(2000, 1500), vec![7; 2000]);
    proxy.lose_answer_to("/uploads/");
    let upload = place.begin(&plan).expect("its name is written again");
    // Of the commit it may be: the archive is there, and whoever copies reads it.
    proxy.lose_answer_to("multipart-manifest=put");
    let error = places::send_all(&place, &plan, &upload, &bytes).unwrap_err();
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    assert!(places::read(&place, &plan.location) == bytes);
    for lost in ["probe-", "-large?multipart-manifest=put", "-large-1"] {
        proxy.lose_answer_to(lost);
        place.try_out().unwrap_or_else(|error| panic!("{lost}: {error}"));
    }
    assert_eq!(place.sweep(&[], later()).unwrap(), 0, "it became an archive");
    assert_eq!(server.objects("lost").len(), 3, "an archive and its two parts");
}

/// "There is one already" is right, if the answer to an earlier attempt was lost.
fn copied(place: &Swift, plan: &UploadPlan, bytes: &[u8]) -> bool {
    (0..TRIES).any(|_again| match places::copy(place, plan, bytes) {
        Ok(()) | Err(StorageError::Exists { .. }) => true,
        Err(_broken) => false,
    })
}

fn read(place: &Swift, plan: &UploadPlan) -> Option<Vec<u8>> {
    (0..TRIES).find_map(|_again| {
        let copy = place.open(&plan.location).ok().filter(|it| it.len() == plan.bytes)?;
        let mut found = vec![0; usize::try_from(plan.bytes).unwrap()];
        let (first, second) = found.split_at_mut(100_000);
        copy.read_exact_at(first, 0).ok()?;
        copy.read_exact_at(second, 100_000).ok().map(|()| found)
    })
}

#[test]
fn what_is_copied_and_read_over_a_network_that_breaks_is_right_or_an_error() {
    let (server, folder) = (SwiftServer::start(), tempfile::tempdir().unwrap());
    server.make_container("broken");
    let proxy = Proxy::before(server.address());
    let through = through(&proxy, "broken", &folder);
    let direct = container(&server.auth_url(), "broken", &login_file(&folder, "testing"));
    let bytes: Vec<u8> = (0..BYTES).map(|at| at.to_le_bytes()[usize::from(at % 3 == 0)]).collect();
    let runs = std::env::var("COFFER_NETWORK_RUNS").ok().and_then(|it| it.parse().ok());
    let (mut made, mut parts) = (BTreeSet::new(), 0);
    for seed in 1..=runs.unwrap_or(RUNS) {
        // Of one part, and of several.
        let plan = plan(u64::from(BYTES), if seed % 2 == 0 { 400_000 } else { 110_000 });
        proxy.break_by(seed * 104_729);
        let copied = copied(&through, &plan, &bytes);
        let read = read(&through, &plan);
        proxy.break_by(0);
        assert!(copied, "seed {seed}: one of many attempts succeeds");
        let read = read.unwrap_or_else(|| panic!("seed {seed}: one of many attempts succeeds"));
        assert!(read == bytes, "seed {seed}: it differs");
        assert!(places::read(&direct, &plan.location) == bytes, "seed {seed}: it differs");
        parts += if plan.parts() == 1 { 0 } else { plan.parts() };
        made.insert(plan.location);
    }
    for seed in 1..=runs.unwrap_or(RUNS) {
        proxy.break_by(seed * 7919);
        let swept = (0..TRIES).any(|_again| through.sweep(&[], later()).is_ok());
        assert!(swept, "seed {seed}: one of many attempts succeeds");
        proxy.break_by(0);
    }
    direct.sweep(&[], later()).unwrap();
    let archives: BTreeSet<_> = direct.list().unwrap().into_iter().map(|it| it.location).collect();
    assert_eq!(archives, made);
    let objects = server.objects("broken");
    assert!(!objects.iter().any(|it| it.contains("/uploads/")), "{objects:?}");
    let found = objects.iter().filter(|it| it.contains("/segments/")).count();
    assert_eq!(found, usize::try_from(parts).unwrap(), "nothing is left over: {objects:?}");
    assert_eq!(objects.len(), found + archives.len(), "{objects:?}");
    for location in &archives {
        assert!(places::read(&direct, location) == bytes, "a sweep took a part of it");
    }
}
