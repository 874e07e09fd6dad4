//! What a local store promises beyond what every place does.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::super::conformance::storage_conformance;
use super::*;
use crate::domain::{FixedClock, Kind};

fn store() -> (tempfile::TempDir, Local) {
    let place = tempfile::tempdir().unwrap();
    let settings = LocalSettings {
        clock: Arc::new(FixedClock::starting_at(Timestamp::from_micros(1_000_000_000))),
        ..LocalSettings::default()
    };
    let store = Local::open_with(&place.path().join("data dir"), settings).unwrap();
    (place, store)
}

storage_conformance!(store());

fn project() -> ProjectId {
    "p".parse().unwrap()
}

fn location(store: &Local) -> Location {
    let instance = InstanceId::derived(&project(), "shop");
    let backup = BackupId::generate();
    let location = Location::of(&project(), None, instance, backup, Kind::Incremental);
    let mut pending = store.create(backup, 1).unwrap();
    pending.write_all(b"bytes").unwrap();
    pending.sync().unwrap();
    pending.publish(&location, Timestamp::from_micros(-1)).unwrap();
    location
}

#[expect(clippy::disallowed_methods, reason = "a test sets up files")]
fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn archives_and_folders_are_their_owners_alone() {
    let (_place, store) = store();
    let location = location(&store);
    let archive = std::fs::metadata(store.path(&location)).unwrap();
    assert_eq!(archive.mode() & 0o7777, 0o400);
    let mut folder = store.path(&location);
    for _ in 0..4 {
        folder.pop();
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
    }
    assert_eq!(store.stat(&location).unwrap().unwrap().modified, Timestamp::from_micros(-1));
}

#[test]
fn one_process_at_a_time_holds_the_lock_and_readers_need_none() {
    let (_place, store) = store();
    let held = store.lock().unwrap();
    let reader = Local::open(store.scratch().parent().unwrap()).unwrap();
    assert!(matches!(reader.lock(), Err(StorageError::Locked { .. })));
    drop(held);
    let _held = reader.lock().unwrap();
}

#[test]
fn links_and_other_things_are_no_archives_and_lead_nowhere() {
    let (place, store) = store();
    let kept = location(&store);
    let outside = place.path().join("outside");
    write(&outside.join("x.tar.zst"), "secret");
    let archives = store.place.archives.clone();
    symlink(&outside, archives.join("link")).unwrap();
    symlink(outside.join("x.tar.zst"), archives.join("p/link.tar.zst")).unwrap();
    std::fs::create_dir(archives.join("p/folder.tar.zst")).unwrap();
    write(&archives.join("p/notes.txt"), "mine");
    for text in ["link/x.tar.zst", "p/link.tar.zst", "p/folder.tar.zst"] {
        let there = text.parse::<Location>().unwrap();
        assert!(!store.open(&there).unwrap_err().is_not_found(), "{text}");
        store.open_file(&there).unwrap_err();
        store.touch(&there, Timestamp::from_micros(0)).unwrap_err();
        store.stat(&there).unwrap_err();
        store.discard(&there).unwrap_err();
    }
    let through = "link/new.tar.zst".parse::<Location>().unwrap();
    let mut pending = store.create(BackupId::generate(), 1).unwrap();
    pending.sync().unwrap();
    pending.publish(&through, Timestamp::from_micros(0)).unwrap_err();
    assert_eq!(names(&outside), ["x.tar.zst"]);
    let listed: Vec<_> = store.list().unwrap().into_iter().map(|it| it.location).collect();
    assert_eq!(listed, [kept]);
}

#[test]
fn a_missing_archive_root_is_an_error_and_never_an_empty_store() {
    let (_place, store) = store();
    let location = location(&store);
    std::fs::remove_dir_all(&store.place.archives).unwrap();
    assert!(!store.open(&location).unwrap_err().is_not_found());
    store.stat(&location).unwrap_err();
    store.discard(&location).unwrap_err();
    store.list().unwrap_err();
}

#[test]
fn a_missing_trash_keeps_the_archive() {
    let (_place, store) = store();
    let location = location(&store);
    std::fs::remove_dir(&store.place.trash).unwrap();
    store.discard(&location).unwrap_err();
    assert!(store.stat(&location).unwrap().is_some());
}

#[test]
fn folders_that_hold_nothing_any_more_go_with_their_last_archive() {
    let (_place, store) = store();
    let (first, second) = (location(&store), location(&store));
    store.discard(&first).unwrap();
    assert_eq!(names(&store.place.archives), ["p"]);
    store.discard(&second).unwrap();
    assert!(names(&store.place.archives).is_empty());
}

#[test]
fn trash_goes_when_its_window_is_over_and_not_before() {
    let (_place, store) = store();
    let trash = &store.place.trash;
    // The clock starts at second 1000 and is looked at once a call.
    for name in ["1.old", "900.file", "901.file", "foreign", "notes.txt", "5000.ahead"] {
        write(&trash.join(name), "12345");
    }
    write(&trash.join("2.folder/inner/file"), "1234567");
    assert_eq!(store.empty_trash(Duration::from_secs(100)).unwrap(), 5 + 5 + 7);
    assert_eq!(names(trash), ["1000.ahead", "901.file", "foreign", "notes.txt"]);
    assert_eq!(store.empty_trash(Duration::from_secs(100)).unwrap(), 5);
    assert_eq!(names(trash), ["1000.ahead", "foreign", "notes.txt"]);
}

#[test]
fn a_restored_instance_goes_to_the_trash_with_everything_in_it() {
    let (_place, store) = store();
    let instance = InstanceId::generate();
    store.discard_restored(&project(), instance).unwrap();
    let folder = store.restored_folder(&project(), instance).unwrap();
    assert!(folder.is_dir());
    write(&folder.join("inner/shop.db"), "12345");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    store.discard_restored(&project(), instance).unwrap();
    assert!(names(&store.place.restored).is_empty());
    store.discard_restored(&project(), instance).unwrap();
    assert_eq!(store.empty_trash(Duration::ZERO).unwrap(), 5);
    assert!(names(&store.place.trash).is_empty());
}

#[test]
fn a_sweep_removes_files_and_folders_alike() {
    let (_place, store) = store();
    write(&store.scratch().join("file"), "");
    write(&store.scratch().join("folder/inner/file"), "");
    assert_eq!(store.sweep().unwrap(), 2);
    assert!(names(store.scratch()).is_empty());
}

#[test]
fn an_archive_that_was_put_there_by_hand_is_found_at_any_depth() {
    let (_place, store) = store();
    let mut text = "folder/".repeat(100);
    text.push_str("x.tar.zst");
    write(&store.place.archives.join(&text), "bytes");
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].location.as_str(), text);
    store.discard(&listed[0].location).unwrap();
    assert!(names(&store.place.archives).is_empty());
}

#[test]
fn archives_published_and_discarded_at_once_lose_neither() {
    let (_place, store) = store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let location = location(&store);
                    store.discard(&location).unwrap();
                }
            });
        }
    });
    assert!(store.list().unwrap().is_empty());
    assert_eq!(store.empty_trash(Duration::ZERO).unwrap(), 4 * 20 * 5);
}
