//! Buckets, on a real server: what every place promises, what a bucket promises besides, and that nothing wrong comes of
//! a network that breaks.

use std::time::Duration;

use coffer::domain::{BackupId, Location, Timestamp};
use coffer::storage::{
    KeySource, Place as _, Refusal, S3, S3Settings, StorageError, UploadPlan, Vouched,
};
use sha2::{Digest as _, Sha256};

use super::places::{self, PROMISES};

#[path = "../../servers/proxy.rs"]
pub(crate) mod proxy;
#[path = "../../servers/s3.rs"]
pub(crate) mod server;

use self::proxy::Proxy;
use self::server::{KEYS, S3Server};
use super::swift::server::{LOGIN as SWIFT_LOGIN, SwiftServer};

/// Runs with a network that breaks; `COFFER_NETWORK_RUNS` is for more of them.
const RUNS: u64 = 20;

pub(crate) fn keys_file(folder: &tempfile::TempDir) -> KeySource {
    keys_file_of(folder, KEYS.map(|(_, value)| value))
}

fn keys_file_of(folder: &tempfile::TempDir, [id, secret]: [&str; 2]) -> KeySource {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.path().join("keys");
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    std::fs::write(&path, format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n"))
        .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    KeySource::File(path)
}

pub(crate) fn bucket(base: &str, name: &str, keys: &KeySource) -> S3 {
    S3::new(S3Settings {
        name: "offsite".to_owned(),
        endpoint: base.to_owned(),
        region: "us-east-1".to_owned(),
        bucket: name.to_owned(),
        prefix: "one/two".to_owned(),
        path_style: true,
        ca_file: None,
        keys: keys.clone(),
        locks: false,
        patience: Duration::from_secs(60),
        retry_after: Duration::from_millis(1),
    })
    .unwrap()
}

#[test]
fn a_bucket_keeps_every_promise_of_a_place() {
    let (server, folder) = (S3Server::start(), tempfile::tempdir().unwrap());
    let keys = keys_file(&folder);
    for (number, (name, promise)) in PROMISES.iter().enumerate() {
        let bucket_name = format!("bucket-{number}");
        server.make_bucket(&bucket_name);
        println!("{name}");
        promise(&bucket(server.base(), &bucket_name, &keys));
        let left = server.unfinished_uploads(&bucket_name);
        let begun = u32::from(*name == "a_copy_is_never_replaced");
        assert!(left <= usize::try_from(begun).unwrap(), "{name}: {left} uploads are left over");
    }
    what_is_wrong_is_said_in_a_word(&server, &keys);
    only_a_store_that_compares_checksums_is_believed(&server, &keys);
}

/// Swift answers to requests of S3, too.
#[test]
fn a_bucket_of_swift_keeps_every_promise_of_a_place() {
    let (server, folder) = (SwiftServer::start(), tempfile::tempdir().unwrap());
    let keys = keys_file_of(&folder, SWIFT_LOGIN.map(|(_, value)| value));
    for (number, (name, promise)) in PROMISES.iter().enumerate() {
        let bucket_name = format!("bucket-{number}");
        server.make_container(&bucket_name);
        println!("{name}");
        promise(&bucket(server.s3_endpoint(), &bucket_name, &keys));
    }
}

fn what_is_wrong_is_said_in_a_word(server: &S3Server, keys: &KeySource) {
    let missing = bucket(server.base(), "no-such-bucket", keys);
    let location: Location = "p/i/x.tar.zst".parse().unwrap();
    for error in [
        missing.list().unwrap_err(),
        missing.stat(&location).unwrap_err(),
        missing.open(&location).map(drop).unwrap_err(),
        missing.try_out().unwrap_err(),
    ] {
        let is_it = matches!(&error, StorageError::Refused { refusal: Refusal::NoBucket, .. });
        assert!(is_it && !error.is_not_found(), "{error}");
    }
    // Nobody listens there.
    let nobody = bucket("http://127.0.0.1:9", "b", keys).list().unwrap_err();
    assert!(matches!(nobody, StorageError::Unreachable { .. }), "{nobody}");
    for error in [nobody, missing.list().unwrap_err()] {
        assert!(!error.to_string().contains("X-Amz"), "a signed URL is a secret: {error}");
    }
}

fn only_a_store_that_compares_checksums_is_believed(server: &S3Server, keys: &KeySource) {
    server.make_bucket("vouching");
    let place = bucket(server.base(), "vouching", keys);
    let id = BackupId::generate();
    let location: Location = format!("p/i/{id}.tar.zst").parse().unwrap();
    let plan = UploadPlan::new(id, location.clone(), 5, Timestamp::EARLIEST);
    places::copy(&place, &plan, b"bytes").unwrap();
    let part = |sha256| coffer::domain::SentPart { number: 1, tag: "put".to_owned(), sha256 };
    let right = place.checksum(&plan, &[part(Sha256::digest(b"bytes").into())]).unwrap();
    let wrong = place.checksum(&plan, &[part([0; 32])]).unwrap();
    // This server takes what does not have its checksum, so nothing that it says of one is believed.
    assert!(right.is_none() || (right, wrong) == (Some(Vouched::Same), Some(Vouched::Other)));
    assert_eq!(place.list().unwrap().len(), 1, "the trial left nothing");
}

#[test]
fn what_is_read_over_a_network_that_breaks_is_right_or_an_error() {
    // So long that it is read from several answers, one after the other.
    const LENGTH: u32 = 3_000_000;
    let (server, folder) = (S3Server::start(), tempfile::tempdir().unwrap());
    let keys = keys_file(&folder);
    server.make_bucket("broken");
    let proxy = Proxy::before(server.address());
    let through = bucket(proxy.base(), "broken", &keys);
    let direct = bucket(server.base(), "broken", &keys);
    let id = BackupId::generate();
    let location: Location = format!("p/i/{id}.tar.zst").parse().unwrap();
    let bytes: Vec<u8> = (0..LENGTH).map(|at| at.to_le_bytes()[usize::from(at % 3 == 0)]).collect();
    let plan = UploadPlan::new(id, location.clone(), u64::from(LENGTH), Timestamp::EARLIEST);
    places::copy(&direct, &plan, &bytes).unwrap();
    let runs = std::env::var("COFFER_NETWORK_RUNS").ok().and_then(|it| it.parse().ok());
    for seed in 1..=runs.unwrap_or(RUNS) {
        proxy.break_by(seed * 104_729);
        let read = (0..200).find_map(|_again| {
            let copy = through.open(&location).ok().filter(|it| it.len() == u64::from(LENGTH))?;
            let (mut found, mut at) = (vec![0; bytes.len()], 0);
            for piece in found.chunks_mut(100_000) {
                copy.read_exact_at(piece, at).ok()?;
                at += 100_000;
            }
            Some(found)
        });
        proxy.break_by(0);
        let read = read.expect("one of many attempts succeeds");
        assert!(read == bytes, "seed {seed}: what is read differs");
    }
}

#[test]
fn a_bucket_is_tried_out_although_the_answer_to_the_first_write_is_lost() {
    let (server, folder) = (S3Server::start(), tempfile::tempdir().unwrap());
    server.make_bucket("tried");
    let proxy = Proxy::before(server.address());
    let place = bucket(proxy.base(), "tried", &keys_file(&folder));
    proxy.lose_answer_to("probe-");
    place.try_out().unwrap();
    assert!(place.list().unwrap().is_empty());
}

#[test]
fn uploads_that_nobody_knows_are_given_up_once_they_are_old() {
    let (server, folder) = (S3Server::start(), tempfile::tempdir().unwrap());
    let place = bucket(server.base(), "forgotten", &keys_file(&folder));
    server.make_bucket("forgotten");
    let plan = || {
        let id = BackupId::generate();
        let location: Location = format!("p/i/{id}.tar.zst").parse().unwrap();
        UploadPlan::new(id, location, 20 << 20, Timestamp::EARLIEST)
    };
    let (known, lost) = (plan(), plan());
    let name = place.begin(&known).unwrap();
    place.begin(&lost).unwrap();
    let all = [(known.backup, name)];
    // This server says of each that it was begun in 2010.
    let earlier = Timestamp::from_micros(0);
    assert_eq!(place.sweep(&all, earlier).unwrap(), 0, "none is as old");
    let later: Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(place.sweep(&all, later).unwrap(), 1);
    assert_eq!(server.unfinished_uploads("forgotten"), 1);
    assert_eq!(place.sweep(&[], later).unwrap(), 1);
    assert_eq!(server.unfinished_uploads("forgotten"), 0);
}
