//! What every place for archives promises. `storage_conformance!(open)` makes a test of each promise; `open`
//! returns whatever must live as long as the place, and an empty place.

use std::io::{self, Write as _};
use std::sync::Arc;

use coffer::domain::{
    BackupId, ContainerName, InstanceId, Kind, Location, ProjectId, ReadAt, Timestamp,
};
use coffer::storage::{Pending, Storage, StorageError};

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
            a_published_archive_reads_back_with_its_length,
            a_synced_archive_reads_back_before_it_is_published,
            an_archive_that_is_not_synced_is_neither_reopened_nor_published,
            a_second_archive_at_a_location_is_refused_and_replaces_nothing,
            an_attempt_cannot_be_begun_twice_at_once,
            removing_an_archive_twice_is_no_error,
            a_location_can_be_used_again_after_a_removal,
            the_list_is_complete_and_in_order_of_location,
            a_read_past_the_end_is_an_error_that_says_so,
            a_missing_archive_is_reported_as_missing,
            a_reservation_of_more_than_is_free_is_refused_and_leaves_nothing,
            room_that_was_reserved_but_not_used_is_not_part_of_the_archive,
            a_proof_is_replaced_not_listed_and_removed_with_its_archive,
        }
    };
}
pub(super) use storage_conformance;

fn project(text: &str) -> ProjectId {
    text.parse().unwrap()
}

fn new_location(project_id: &str, container: Option<&str>) -> (BackupId, Location) {
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
    let (id, location) = new_location("p", None);
    written(storage, id, bytes).publish(&location, time(1)).unwrap();
    location
}

fn read(archive: &Arc<dyn ReadAt>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(archive.len()).unwrap()];
    archive.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn is_empty(storage: &dyn Storage) -> bool {
    storage.list().unwrap().is_empty()
}

pub(super) fn nothing_is_visible_before_publish_and_a_dropped_attempt_leaves_nothing(
    storage: &dyn Storage,
) {
    let (id, location) = new_location("p", None);
    let pending = written(storage, id, b"bytes");
    assert_eq!(storage.stat(&location).unwrap(), None);
    assert!(storage.list().unwrap().is_empty());
    drop(pending);
    assert!(is_empty(storage));
}

pub(super) fn a_published_archive_reads_back_with_its_length(storage: &dyn Storage) {
    let (id, location) = new_location("p", Some("weekly"));
    written(storage, id, b"some bytes").publish(&location, time(1_700_000_000)).unwrap();
    assert_eq!(read(&storage.open(&location).unwrap()), b"some bytes");
    let stored = storage.stat(&location).unwrap().unwrap();
    assert_eq!((stored.location, stored.bytes), (location, 10));
}

pub(super) fn a_synced_archive_reads_back_before_it_is_published(storage: &dyn Storage) {
    let (id, _location) = new_location("p", None);
    let pending = written(storage, id, b"some bytes");
    assert_eq!(read(&pending.reopen().unwrap()), b"some bytes");
}

pub(super) fn an_archive_that_is_not_synced_is_neither_reopened_nor_published(
    storage: &dyn Storage,
) {
    let (id, location) = new_location("p", None);
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
}

pub(super) fn an_attempt_cannot_be_begun_twice_at_once(storage: &dyn Storage) {
    let id = BackupId::generate();
    let first = storage.create(id, 1).unwrap();
    let error = storage.create(id, 1).unwrap_err();
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    drop(storage.create(id, 2).unwrap());
    drop(first);
    assert!(is_empty(storage));
}

pub(super) fn removing_an_archive_twice_is_no_error(storage: &dyn Storage) {
    let location = published(storage, b"bytes");
    let other = published(storage, b"others");
    storage.remove(&location).unwrap();
    assert_eq!(storage.stat(&location).unwrap(), None);
    assert!(storage.open(&location).unwrap_err().is_not_found());
    storage.remove(&location).unwrap();
    assert_eq!(read(&storage.open(&other).unwrap()), b"others");
    storage.remove(&other).unwrap();
    storage.remove(&other).unwrap();
    assert!(is_empty(storage));
}

pub(super) fn a_location_can_be_used_again_after_a_removal(storage: &dyn Storage) {
    let (id, location) = new_location("p", None);
    for _ in 0..3 {
        written(storage, id, b"bytes").publish(&location, time(1)).unwrap();
        storage.remove(&location).unwrap();
    }
    assert!(is_empty(storage));
}

pub(super) fn the_list_is_complete_and_in_order_of_location(storage: &dyn Storage) {
    assert!(storage.list().unwrap().is_empty());
    let mut expected = Vec::new();
    for (project, container) in
        [("b", None), ("a-b", Some("z")), ("a", Some("daily")), ("a", None), ("b", Some("x.y"))]
    {
        let (id, location) = new_location(project, container);
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

pub(super) fn a_missing_archive_is_reported_as_missing(storage: &dyn Storage) {
    let (_id, location) = new_location("p", None);
    assert_eq!(storage.stat(&location).unwrap(), None);
    assert!(storage.open(&location).unwrap_err().is_not_found());
    assert_eq!(storage.proof(&location).unwrap(), None);
    assert!(storage.put_proof(&location, b"{}").unwrap_err().is_not_found());
    storage.remove(&location).unwrap();
}

pub(super) fn a_reservation_of_more_than_is_free_is_refused_and_leaves_nothing(
    storage: &dyn Storage,
) {
    let mut pending = storage.create(BackupId::generate(), 1).unwrap();
    pending.write_all(b"bytes").unwrap();
    for too_much in [u64::MAX / 2, u64::MAX] {
        let error = pending.allocate(too_much).unwrap_err();
        assert!(matches!(error, StorageError::Full { .. }) && error.is_full(), "{error}");
    }
    drop(pending);
    assert!(is_empty(storage));
}

pub(super) fn room_that_was_reserved_but_not_used_is_not_part_of_the_archive(
    storage: &dyn Storage,
) {
    let (id, location) = new_location("p", None);
    let mut pending = storage.create(id, 1).unwrap();
    for _ in 0..3 {
        pending.allocate(1 << 20).unwrap();
        pending.write_all(b"bytes").unwrap();
    }
    pending.sync().unwrap();
    pending.publish(&location, time(1)).unwrap();
    assert_eq!(read(&storage.open(&location).unwrap()), b"bytesbytesbytes");
}

pub(super) fn a_proof_is_replaced_not_listed_and_removed_with_its_archive(storage: &dyn Storage) {
    let (id, location) = new_location("p", None);
    for _ in 0..2 {
        written(storage, id, b"bytes").publish(&location, time(1)).unwrap();
        assert_eq!(storage.proof(&location).unwrap(), None);
        for proof in [b"{\"a\": 1}".as_slice(), b"{}"] {
            storage.put_proof(&location, proof).unwrap();
            assert_eq!(storage.proof(&location).unwrap().as_deref(), Some(proof));
        }
        assert_eq!(storage.list().unwrap().len(), 1);
        assert_eq!(read(&storage.open(&location).unwrap()), b"bytes");
        storage.remove(&location).unwrap();
        assert_eq!(storage.proof(&location).unwrap(), None);
    }
    assert!(is_empty(storage));
}
