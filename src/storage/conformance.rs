//! What every place for archives promises. `storage_conformance!(open)` makes a test of each promise,
//! where `open` gives an empty place and whatever must live as long.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use super::{Pending, Storage, StorageError};
use crate::domain::{
    BackupId, ContainerName, InstanceId, Kind, Location, ProjectId, ReadAt, Timestamp,
};

/// Makes a test of every promise.
macro_rules! storage_conformance {
    ($open:expr; $($promise:ident),+ $(,)?) => { $(
        #[test]
        fn $promise() {
            let (_alive, storage) = $open;
            $crate::storage::conformance::$promise(&storage);
        }
    )+ };
    ($open:expr) => {
        storage_conformance! { $open;
            nothing_is_visible_before_publish_and_a_dropped_attempt_leaves_nothing,
            what_was_published_reads_back_with_its_length_and_time,
            what_was_synced_reads_back_before_it_is_published,
            what_is_not_synced_is_neither_reopened_nor_published,
            a_second_archive_at_a_location_is_refused_and_replaces_nothing,
            an_attempt_that_runs_is_not_begun_twice,
            an_archive_is_discarded_once_and_again_without_error,
            one_location_can_be_used_again_after_each_discard,
            the_list_is_whole_and_in_order_of_location,
            a_read_past_the_end_is_an_error_that_says_so,
            an_archive_that_was_never_there_is_told_from_an_error,
            a_location_or_url_that_could_leave_the_store_is_refused,
            every_location_comes_back_from_its_url,
            more_than_is_free_is_refused_at_once_and_leaves_nothing,
            room_that_was_reserved_but_not_used_is_no_part_of_the_archive,
            a_sweep_removes_unfinished_attempts_and_keeps_archives,
        }
    };
}
pub(super) use storage_conformance;

fn project(text: &str) -> ProjectId {
    text.parse().unwrap()
}

fn place_of(project_id: &str, container: Option<&str>) -> (BackupId, Location) {
    let container: Option<ContainerName> = container.map(|name| name.parse().unwrap());
    let instance = InstanceId::derived(&project(project_id), "shop");
    let id = BackupId::generate();
    (id, Location::of(&project(project_id), container.as_ref(), instance, id, Kind::Full))
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000 + 250_000)
}

fn written(storage: &dyn Storage, id: BackupId, bytes: &[u8]) -> Box<dyn Pending> {
    let mut pending = storage.create(id, 1).unwrap();
    pending.write_all(bytes).unwrap();
    pending.sync().unwrap();
    pending
}

fn published(storage: &dyn Storage, bytes: &[u8]) -> Location {
    let (id, location) = place_of("p", None);
    written(storage, id, bytes).publish(&location, time(1)).unwrap();
    location
}

fn read(archive: &Arc<dyn ReadAt>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(archive.len()).unwrap()];
    archive.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn is_empty(storage: &dyn Storage) -> bool {
    storage.list().unwrap().is_empty() && storage.sweep().unwrap() == 0
}

pub(super) fn nothing_is_visible_before_publish_and_a_dropped_attempt_leaves_nothing(
    storage: &dyn Storage,
) {
    let (id, location) = place_of("p", None);
    let pending = written(storage, id, b"bytes");
    assert_eq!(storage.stat(&location).unwrap(), None);
    assert!(storage.list().unwrap().is_empty());
    drop(pending);
    assert!(is_empty(storage));
}

pub(super) fn what_was_published_reads_back_with_its_length_and_time(storage: &dyn Storage) {
    let (id, location) = place_of("p", Some("weekly"));
    written(storage, id, b"some bytes").publish(&location, time(1_700_000_000)).unwrap();
    assert_eq!(read(&storage.open(&location).unwrap()), b"some bytes");
    assert_eq!(io::read_to_string(storage.open_file(&location).unwrap()).unwrap(), "some bytes");
    let stored = storage.stat(&location).unwrap().unwrap();
    assert_eq!((stored.bytes, stored.modified), (10, time(1_700_000_000)));
    storage.touch(&location, time(1_800_000_000)).unwrap();
    assert_eq!(storage.stat(&location).unwrap().unwrap().modified, time(1_800_000_000));
    assert_eq!(storage.sweep().unwrap(), 0);
}

pub(super) fn what_was_synced_reads_back_before_it_is_published(storage: &dyn Storage) {
    let (id, _location) = place_of("p", None);
    let pending = written(storage, id, b"some bytes");
    assert_eq!(read(&pending.reopen().unwrap()), b"some bytes");
}

pub(super) fn what_is_not_synced_is_neither_reopened_nor_published(storage: &dyn Storage) {
    let (id, location) = place_of("p", None);
    let mut pending = written(storage, id, b"bytes");
    pending.write_all(b" and more").unwrap();
    pending.reopen().unwrap_err();
    pending.publish(&location, time(1)).unwrap_err();
    assert!(is_empty(storage));
}

pub(super) fn a_second_archive_at_a_location_is_refused_and_replaces_nothing(
    storage: &dyn Storage,
) {
    let location = published(storage, b"first");
    let error =
        written(storage, BackupId::generate(), b"second").publish(&location, time(2)).unwrap_err();
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    assert_eq!(read(&storage.open(&location).unwrap()), b"first");
    assert_eq!(storage.sweep().unwrap(), 0);
}

pub(super) fn an_attempt_that_runs_is_not_begun_twice(storage: &dyn Storage) {
    let id = BackupId::generate();
    let first = storage.create(id, 1).unwrap();
    let error = storage.create(id, 1).unwrap_err();
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    drop(storage.create(id, 2).unwrap());
    drop(first);
    assert!(is_empty(storage));
}

pub(super) fn an_archive_is_discarded_once_and_again_without_error(storage: &dyn Storage) {
    let location = published(storage, b"bytes");
    let other = published(storage, b"others");
    storage.discard(&location).unwrap();
    assert_eq!(storage.stat(&location).unwrap(), None);
    assert!(storage.open(&location).unwrap_err().is_not_found());
    storage.discard(&location).unwrap();
    assert_eq!(read(&storage.open(&other).unwrap()), b"others");
    storage.discard(&other).unwrap();
    storage.discard(&other).unwrap();
    assert_eq!(storage.empty_trash(Duration::from_secs(1 << 40)).unwrap(), 0);
    assert_eq!(storage.empty_trash(Duration::ZERO).unwrap(), 11);
    assert_eq!(storage.empty_trash(Duration::ZERO).unwrap(), 0);
}

pub(super) fn one_location_can_be_used_again_after_each_discard(storage: &dyn Storage) {
    let (id, location) = place_of("p", None);
    for _ in 0..3 {
        written(storage, id, b"bytes").publish(&location, time(1)).unwrap();
        storage.discard(&location).unwrap();
    }
    assert_eq!(storage.empty_trash(Duration::ZERO).unwrap(), 15);
    assert!(is_empty(storage));
}

pub(super) fn the_list_is_whole_and_in_order_of_location(storage: &dyn Storage) {
    assert!(storage.list().unwrap().is_empty());
    let mut expected = Vec::new();
    for (project, container) in
        [("b", None), ("a-b", Some("z")), ("a", Some("daily")), ("a", None), ("b", Some("x.y"))]
    {
        let (id, location) = place_of(project, container);
        written(storage, id, project.as_bytes()).publish(&location, time(1)).unwrap();
        expected.push(location);
    }
    expected.sort();
    let listed = storage.list().unwrap();
    for stored in &listed {
        assert_eq!(storage.stat(&stored.location).unwrap().as_ref(), Some(stored));
    }
    assert_eq!(listed.into_iter().map(|stored| stored.location).collect::<Vec<_>>(), expected);
}

pub(super) fn a_read_past_the_end_is_an_error_that_says_so(storage: &dyn Storage) {
    let archive = storage.open(&published(storage, b"0123456789")).unwrap();
    let mut buffer = [0; 4];
    archive.read_exact_at(&mut buffer, 6).unwrap();
    assert_eq!(&buffer, b"6789");
    for offset in [7, 10, 1 << 40] {
        let error = archive.read_exact_at(&mut buffer, offset).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{offset}");
    }
}

pub(super) fn an_archive_that_was_never_there_is_told_from_an_error(storage: &dyn Storage) {
    let (_id, location) = place_of("p", None);
    assert_eq!(storage.stat(&location).unwrap(), None);
    assert!(storage.open(&location).unwrap_err().is_not_found());
    assert!(storage.open_file(&location).unwrap_err().is_not_found());
    assert!(storage.touch(&location, time(1)).unwrap_err().is_not_found());
    storage.discard(&location).unwrap();
}

pub(super) fn a_location_or_url_that_could_leave_the_store_is_refused(storage: &dyn Storage) {
    let url = storage.url(place_of("p", None).1.as_str()).concat();
    let root = url.split("/p/").next().unwrap();
    for bad in [
        "",
        "..",
        "../x.tar.zst",
        "a/../../x.tar.zst",
        "/etc/x.tar.zst",
        "a//x.tar.zst",
        "a/./x.tar.zst",
        "a\0/x.tar.zst",
        ".tar.zst",
        "a/x.txt",
        "a\\..\\x.tar.zst",
    ] {
        storage.locate(&format!("{root}/{bad}")).unwrap_err();
    }
    for bad in [
        format!("{root}/%2E%2E/x.tar.zst"),
        format!("{root}/a%2F..%2F..%2Fx.tar.zst"),
        format!("{root}/%00x.tar.zst"),
        format!("{root}x/x.tar.zst"),
        format!("{root}/../archives/x.tar.zst"),
        "file:///etc/x.tar.zst".to_owned(),
        root.replacen("file://", "file://elsewhere", 1) + "/x.tar.zst",
        root.replacen("file://", "http://", 1) + "/x.tar.zst",
    ] {
        storage.locate(&bad).unwrap_err();
    }
}

pub(super) fn every_location_comes_back_from_its_url(storage: &dyn Storage) {
    for text in ["p/i/b.tar.zst", "p/ü %/b.incr.zst", "b.tar.zst", "a?#/&.tar.zst"] {
        let location = text.parse::<Location>().unwrap();
        let url = storage.url(location.as_str()).concat();
        assert_eq!(storage.locate(&url).unwrap(), location, "{url}");
        let named = url.replacen("file://", "file://localhost", 1);
        assert_eq!(storage.locate(&named).unwrap(), location);
    }
}

pub(super) fn more_than_is_free_is_refused_at_once_and_leaves_nothing(storage: &dyn Storage) {
    let mut pending = storage.create(BackupId::generate(), 1).unwrap();
    pending.write_all(b"bytes").unwrap();
    for too_much in [storage.free_bytes().unwrap().saturating_mul(2), u64::MAX / 2, u64::MAX] {
        let error = pending.reserve(too_much).unwrap_err();
        assert!(matches!(error, StorageError::Full { .. }) && error.is_full(), "{error}");
    }
    drop(pending);
    assert!(is_empty(storage));
}

pub(super) fn room_that_was_reserved_but_not_used_is_no_part_of_the_archive(storage: &dyn Storage) {
    let (id, location) = place_of("p", None);
    let mut pending = storage.create(id, 1).unwrap();
    for _ in 0..3 {
        pending.reserve(1 << 20).unwrap();
        pending.write_all(b"bytes").unwrap();
    }
    pending.sync().unwrap();
    assert_eq!(pending.reopen().unwrap().len(), 15);
    pending.publish(&location, time(1)).unwrap();
    assert_eq!(read(&storage.open(&location).unwrap()), b"bytesbytesbytes");
}

pub(super) fn a_sweep_removes_unfinished_attempts_and_keeps_archives(storage: &dyn Storage) {
    let location = published(storage, b"bytes");
    let pending = storage.create(BackupId::generate(), 1).unwrap();
    assert_eq!(storage.sweep().unwrap(), 1);
    assert_eq!(storage.sweep().unwrap(), 0);
    drop(pending);
    assert_eq!(read(&storage.open(&location).unwrap()), b"bytes");
}
