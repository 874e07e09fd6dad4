//! Containers of OpenStack Swift, on a real server: what every place promises, and what a container promises besides.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use coffer::domain::{BackupId, Location, ReadAt, Timestamp};
use coffer::storage::{
    LoginSource, Observation, Place as _, Refusal, StorageError, Swift, SwiftSettings, UploadPlan,
};

use super::places::{self, PROMISES};

#[path = "../../servers/swift.rs"]
pub(crate) mod server;

use self::server::SwiftServer;

pub(crate) fn login_file(folder: &tempfile::TempDir, key: &str) -> LoginSource {
    let path = folder.path().join(key);
    let text = format!("export ST_USER=test:tester\nexport ST_KEY='{key}'\n");
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    LoginSource::File(path)
}

pub(crate) fn container(auth_url: &str, name: &str, login: &LoginSource) -> Swift {
    Swift::new(SwiftSettings {
        name: "offsite".to_owned(),
        auth_url: auth_url.to_owned(),
        region: None,
        container: name.to_owned(),
        prefix: "one/two".to_owned(),
        ca_file: None,
        login: login.clone(),
        patience: Duration::from_secs(60),
        retry_after: Duration::from_millis(1),
    })
    .unwrap()
}

pub(super) fn plan(bytes: u64, part: u64) -> UploadPlan {
    let id = BackupId::generate();
    let location: Location = format!("p/i/{id}.tar.zst").parse().unwrap();
    UploadPlan::new(id, location, bytes, Timestamp::EARLIEST).with_parts_of(part)
}

#[test]
fn a_container_keeps_every_promise_of_a_place() {
    let (server, folder) = (SwiftServer::start(), tempfile::tempdir().unwrap());
    let login = login_file(&folder, "testing");
    for (number, (name, promise)) in PROMISES.iter().enumerate() {
        let container_name = format!("container {number}");
        server.make_container(&container_name.replace(' ', "%20"));
        println!("{name}");
        let place = container(&server.auth_url(), &container_name, &login);
        promise(&place);
        // What was sent to be refused is given up by a sweep.
        place.sweep(&[], "2999-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let mut left = server.objects(&container_name.replace(' ', "%20"));
        left.retain(|it| *it != "one/two/owner.id");
        assert_eq!(left, [""; 0], "{name}");
    }
    what_is_wrong_is_said_in_a_word(&server, &folder);
    an_upload_that_became_an_archive_is_not_given_up(&server, &login);
    uploads_that_nobody_knows_are_given_up_once_they_are_old(&server, &login);
    a_copy_that_lost_a_part_is_an_error_and_can_be_removed(&server, &login);
    a_container_that_anybody_may_read_is_a_problem(&server, &login);
}

fn what_is_wrong_is_said_in_a_word(server: &SwiftServer, folder: &tempfile::TempDir) {
    let login = login_file(folder, "testing");
    let refused = |error: &StorageError, expected: &Refusal| {
        let is_it = matches!(error, StorageError::Refused { refusal, .. } if refusal == expected);
        assert!(is_it && !error.is_not_found() && error.is_about_place(), "{error}");
    };
    let missing = container(&server.auth_url(), "no-such-container", &login);
    let plan = plan(3, 8);
    for error in [
        missing.list().unwrap_err(),
        missing.stat(&plan.location).unwrap_err(),
        missing.open(&plan.location).map(drop).unwrap_err(),
        missing.try_out().unwrap_err(),
        places::copy(&missing, &plan, b"abc").unwrap_err(),
    ] {
        refused(&error, &Refusal::NoContainer);
    }
    let wrong = container(&server.auth_url(), "c", &login_file(folder, "wrong-secret"));
    let error = wrong.list().unwrap_err();
    refused(&error, &Refusal::WrongLogin);
    assert!(!error.to_string().contains("wrong-secret"), "a key is a secret: {error}");
    // Nobody listens there.
    let nobody = container("http://127.0.0.1:9/auth/v1.0", "c", &login).list().unwrap_err();
    assert!(matches!(nobody, StorageError::Unreachable { .. }), "{nobody}");
}

/// As after a crash, or if the answer to the commit was lost.
fn an_upload_that_became_an_archive_is_not_given_up(server: &SwiftServer, login: &LoginSource) {
    server.make_container("done");
    let place = container(&server.auth_url(), "done", login);
    let (plan, bytes) = (plan(2000, 1500), vec![7; 2000]);
    let upload = place.begin(&plan).unwrap();
    places::send_all(&place, &plan, &upload, &bytes).unwrap();
    place.abort(&plan, &upload).unwrap();
    assert!(places::read(&place, &plan.location) == bytes);
    // A second upload of the same archive is given up without the first.
    let second = place.begin(&plan).unwrap();
    places::send_all(&place, &plan, &second, &bytes).unwrap_err();
    assert_eq!(place.sweep(&[], "2999-01-01T00:00:00Z".parse().unwrap()).unwrap(), 1);
    assert!(places::read(&place, &plan.location) == bytes);
    assert_eq!(place.list().unwrap()[0].bytes, 2000, "and not the length of its manifest");
    assert_eq!(server.objects("done").len(), 3, "an archive and its two parts");
}

fn uploads_that_nobody_knows_are_given_up_once_they_are_old(
    server: &SwiftServer,
    login: &LoginSource,
) {
    server.make_container("forgotten");
    let place = container(&server.auth_url(), "forgotten", login);
    let (known, lost) = (plan(20, 15), plan(20, 15));
    let name = place.begin(&known).unwrap();
    let forgotten = place.begin(&lost).unwrap();
    let mut going = place.resume(&lost, &forgotten, Vec::new()).unwrap();
    let source: Arc<dyn ReadAt> = Arc::new(vec![1_u8; 20]);
    going.send(1, &[0; 32], &source).unwrap();
    let all = [(known.backup, name)];
    assert_eq!(place.sweep(&all, Timestamp::from_micros(0)).unwrap(), 0, "none is as old");
    let later: Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(place.sweep(&all, later).unwrap(), 1);
    assert_eq!(server.objects("forgotten").len(), 1, "the one that is known");
    assert_eq!(place.sweep(&[], later).unwrap(), 1);
    assert_eq!(server.objects("forgotten"), [""; 0]);
}

fn a_copy_that_lost_a_part_is_an_error_and_can_be_removed(
    server: &SwiftServer,
    login: &LoginSource,
) {
    server.make_container("lost");
    let place = container(&server.auth_url(), "lost", login);
    let plan = plan(2000, 1500);
    places::copy(&place, &plan, &vec![7; 2000]).unwrap();
    let objects = server.objects("lost");
    let part = objects.iter().find(|it| it.ends_with("/00001")).unwrap();
    server.remove(&format!("lost/{part}"));
    let error = place.open(&plan.location).unwrap().read_exact_at(&mut [0; 10], 0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    place.remove(&plan.location).unwrap();
    assert_eq!(server.objects("lost"), [""; 0]);
}

fn a_container_that_anybody_may_read_is_a_problem(server: &SwiftServer, login: &LoginSource) {
    server.make_container("open");
    server.let_read("open", ".r:*,.rlistings");
    let found = container(&server.auth_url(), "open", login).try_out().unwrap();
    let problems = found.iter().filter(|it| matches!(it, Observation::Problem(..))).count();
    assert_eq!(problems, 2, "listing and reading: {found:?}");
}
