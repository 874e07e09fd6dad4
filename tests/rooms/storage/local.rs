//! What the local storage promises beyond what every backend promises.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coffer::domain::{BackupId, FixedClock, InstanceId, Kind, Location, ProjectId, Timestamp};
use coffer::storage::{KnownArchives, Local, LocalSettings, Storage as _, StorageError, Workspace};

use super::conformance::storage_conformance;

/// A folder of the store.
fn folder_of(store: &Local, name: &str) -> PathBuf {
    store.scratch().unwrap().with_file_name(name)
}

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

pub(super) fn project() -> ProjectId {
    "p".parse().unwrap()
}

fn published(store: &Local) -> Location {
    let instance = InstanceId::derived(&project(), "shop");
    let backup = BackupId::generate();
    let location = Location::of(&project(), None, instance, backup, Kind::Incremental);
    let mut pending = store.create(backup, 1).unwrap();
    pending.write_all(b"bytes").unwrap();
    pending.sync().unwrap();
    pending.publish(&location, Timestamp::from_micros(-1)).unwrap();
    location
}

fn path_of(store: &Local, location: &Location) -> PathBuf {
    folder_of(store, "archives").join(location.as_str())
}

#[expect(clippy::disallowed_methods, reason = "a test sets up files")]
pub(super) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn archives_and_folders_are_private_to_their_owner() {
    let (_place, store) = store();
    let location = published(&store);
    let archive = std::fs::metadata(path_of(&store, &location)).unwrap();
    assert_eq!(archive.mode() & 0o7777, 0o400);
    let mut folder = path_of(&store, &location);
    for _ in 0..4 {
        folder.pop();
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
    }
    assert_eq!(
        store.stat(&location).unwrap().unwrap().proven_hint,
        Some(Timestamp::from_micros(-1))
    );
}

#[test]
fn one_process_at_a_time_has_the_lock_and_readers_need_none() {
    let (_place, store) = store();
    let held = store.lock().unwrap();
    let reader = Local::open(store.scratch().unwrap().parent().unwrap()).unwrap();
    assert!(matches!(reader.lock(), Err(StorageError::Locked { .. })));
    drop(held);
    let _held = reader.lock().unwrap();
}

#[test]
fn links_folders_and_other_files_are_not_archives() {
    let (place, store) = store();
    let kept = published(&store);
    let outside = place.path().join("outside");
    write(&outside.join("x.tar.zst"), "secret");
    let archives = folder_of(&store, "archives");
    symlink(&outside, archives.join("link")).unwrap();
    symlink(outside.join("x.tar.zst"), archives.join("p/link.tar.zst")).unwrap();
    std::fs::create_dir(archives.join("p/folder.tar.zst")).unwrap();
    write(&archives.join("p/notes.txt"), "mine");
    for text in ["link/x.tar.zst", "p/link.tar.zst", "p/folder.tar.zst"] {
        let there = text.parse::<Location>().unwrap();
        assert!(!store.open(&there).unwrap_err().is_not_found(), "{text}");
        store.put_proof(&there, b"{}").unwrap_err();
        store.stat(&there).unwrap_err();
        store.remove(&there).unwrap_err();
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
fn a_missing_archive_folder_is_an_error_and_not_an_empty_store() {
    let (_place, store) = store();
    let location = published(&store);
    std::fs::remove_dir_all(folder_of(&store, "archives")).unwrap();
    assert!(!store.open(&location).unwrap_err().is_not_found());
    store.stat(&location).unwrap_err();
    store.remove(&location).unwrap_err();
    store.list().unwrap_err();
}

#[test]
fn a_missing_trash_keeps_the_archive() {
    let (_place, store) = store();
    let location = published(&store);
    std::fs::remove_dir(folder_of(&store, "trash")).unwrap();
    store.remove(&location).unwrap_err();
    assert!(store.stat(&location).unwrap().is_some());
}

#[test]
fn empty_folders_are_removed_with_their_last_archive() {
    let (_place, store) = store();
    let (first, second) = (published(&store), published(&store));
    store.remove(&first).unwrap();
    assert_eq!(names(&folder_of(&store, "archives")), ["p"]);
    store.remove(&second).unwrap();
    assert!(names(&folder_of(&store, "archives")).is_empty());
}

#[test]
fn the_trash_is_emptied_when_its_window_is_over_and_not_before() {
    let (_place, store) = store();
    let trash = folder_of(&store, "trash");
    // The clock starts at second 1000 and advances by one with every call.
    for name in ["1.old", "900.file", "901.file", "foreign", "notes.txt", "5000.ahead"] {
        write(&trash.join(name), "12345");
    }
    write(&trash.join("2.folder/inner/file"), "1234567");
    assert_eq!(store.empty_trash(Duration::from_secs(100)).unwrap(), 5 + 5 + 7);
    assert_eq!(names(&trash), ["1000.ahead", "901.file", "foreign", "notes.txt"]);
    assert_eq!(store.empty_trash(Duration::from_secs(100)).unwrap(), 5);
    assert_eq!(names(&trash), ["1000.ahead", "foreign", "notes.txt"]);
}

#[test]
fn a_restored_instance_is_moved_to_the_trash_with_everything_in_it() {
    let (_place, store) = store();
    let instance = InstanceId::generate();
    store.remove_restored(&project(), instance).unwrap();
    let folder = store.restored_folder(&project(), instance).unwrap();
    assert!(folder.is_dir());
    write(&folder.join("inner/shop.db"), "12345");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    store.remove_restored(&project(), instance).unwrap();
    assert!(names(&folder_of(&store, "restored")).is_empty());
    store.remove_restored(&project(), instance).unwrap();
    assert_eq!(store.empty_trash(Duration::ZERO).unwrap(), 5);
    assert!(names(&folder_of(&store, "trash")).is_empty());
}

#[test]
fn a_sweep_removes_unfinished_files_and_folders_and_keeps_archives() {
    let (_place, store) = store();
    let location = published(&store);
    let pending = store.create(BackupId::generate(), 1).unwrap();
    let tmp = store.scratch().unwrap();
    write(&tmp.join(".coffer-spool-x"), "");
    write(&tmp.join("drill-x/inner/file"), "");
    for foreign in ["mine", "notes/file", ".ssh/key"] {
        write(&tmp.join(foreign), "");
    }
    assert_eq!(store.sweep().unwrap(), 3);
    assert_eq!(names(tmp), [".ssh", "mine", "notes"]);
    drop(pending);
    assert!(store.open(&location).is_ok());
}

#[test]
fn an_archive_removed_at_once_is_not_in_the_trash() {
    let (_place, store) = store();
    let location = published(&store);
    store.put_proof(&location, b"{}").unwrap();
    store.remove_at_once(&location).unwrap();
    assert!(store.stat(&location).unwrap().is_none());
    assert!(names(&folder_of(&store, "trash")).is_empty());
    store.remove_at_once(&location).unwrap();
    store.bring_back(std::slice::from_ref(&location)).unwrap_err();
}

#[test]
fn a_data_directory_keeps_its_id_wherever_it_is_moved_to() {
    let (place, store) = store();
    let data_dir = store.scratch().unwrap().parent().unwrap().to_owned();
    assert_eq!(Local::data_id(&data_dir).unwrap(), None);
    let id = store.make_data_id().unwrap();
    assert_eq!(store.make_data_id().unwrap(), id);
    assert_eq!(Local::data_id(&data_dir).unwrap(), Some(id));
    assert_eq!(Local::data_id(&place.path().join("nothing")).unwrap(), None);
}

#[test]
fn an_archive_that_a_person_put_there_is_found_at_any_depth() {
    let (_place, store) = store();
    let mut text = "folder/".repeat(100);
    text.push_str("x.tar.zst");
    write(&folder_of(&store, "archives").join(&text), "bytes");
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].location.as_str(), text);
    store.remove(&listed[0].location).unwrap();
    assert!(names(&folder_of(&store, "archives")).is_empty());
}

#[test]
fn archives_are_published_and_removed_by_many_threads_at_once() {
    let (_place, store) = store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let location = published(&store);
                    store.remove(&location).unwrap();
                }
            });
        }
    });
    assert!(store.list().unwrap().is_empty());
    assert_eq!(store.empty_trash(Duration::ZERO).unwrap(), 4 * 20 * 5);
}

#[test]
fn a_removed_archive_stays_in_the_trash_for_its_window() {
    let (_place, store) = store();
    let (first, second) = (published(&store), published(&store));
    store.remove(&first).unwrap();
    store.remove(&second).unwrap();
    store.remove(&second).unwrap();
    assert_eq!(store.empty_trash(Duration::from_secs(1 << 40)).unwrap(), 0);
    assert_eq!(store.empty_trash(Duration::ZERO).unwrap(), 10);
    assert_eq!(store.empty_trash(Duration::ZERO).unwrap(), 0);
}

#[test]
fn a_proof_lies_beside_its_archive_and_leaves_nothing_behind() {
    let (_place, store) = store();
    let location = published(&store);
    store.put_proof(&location, b"{}").unwrap();
    let mut beside = path_of(&store, &location).into_os_string();
    beside.push(".proof");
    assert_eq!(std::fs::read(beside).unwrap(), b"{}");
    assert!(names(store.scratch().unwrap()).is_empty());
    store.remove(&location).unwrap();
    assert!(names(&folder_of(&store, "archives")).is_empty());
}

#[test]
fn a_time_that_0_1_0_gave_an_archive_is_a_hint_and_any_other_is_not() {
    let (_place, store) = store();
    let location = published(&store);
    let path = path_of(&store, &location);
    for (nanos, hint) in [(1_500_000_000_123_456_000, true), (1_500_000_000_123_456_789, false)] {
        let time = std::time::UNIX_EPOCH + Duration::from_nanos(nanos);
        std::fs::File::open(&path).unwrap().set_modified(time).unwrap();
        let found = store.stat(&location).unwrap().unwrap().proven_hint;
        let expected = Timestamp::from_micros(1_500_000_000_123_456);
        assert_eq!(found, hint.then_some(expected));
    }
}

#[test]
fn a_location_comes_back_from_its_url_and_urls_that_leave_the_store_are_refused() {
    let (_place, store) = store();
    for text in ["p/i/b.tar.zst", "p/ü %/b.incr.zst", "b.tar.zst", "a?#/&.tar.zst"] {
        let location: Location = text.parse().unwrap();
        let url = store.url(&location);
        assert_eq!(store.locate(&url).unwrap(), location, "{url}");
        let named = url.replacen("file://", "file://localhost", 1);
        assert_eq!(store.locate(&named).unwrap(), location);
    }
    let root = format!("file://{}", folder_of(&store, "archives").display()).replace(' ', "%20");
    for bad in [
        format!("{root}/"),
        format!("{root}/../x.tar.zst"),
        format!("{root}/a/../../x.tar.zst"),
        format!("{root}//etc/x.tar.zst"),
        format!("{root}/a//x.tar.zst"),
        format!("{root}/a/./x.tar.zst"),
        format!("{root}/.tar.zst"),
        format!("{root}/a/x.txt"),
        format!("{root}/a\\..\\x.tar.zst"),
        format!("{root}/%2E%2E/x.tar.zst"),
        format!("{root}/a%2F..%2F..%2Fx.tar.zst"),
        format!("{root}/%00x.tar.zst"),
        format!("{root}x/x.tar.zst"),
        format!("{root}/../archives/x.tar.zst"),
        "file:///etc/x.tar.zst".to_owned(),
        root.replacen("file://", "file://elsewhere", 1) + "/x.tar.zst",
        root.replacen("file://", "http://", 1) + "/x.tar.zst",
    ] {
        store.locate(&bad).unwrap_err();
    }
}

#[test]
fn a_dropped_workspace_is_removed_with_folders_that_may_not_be_written() {
    let within = tempfile::tempdir().unwrap();
    let workspace = Workspace::make(within.path(), 1, 0).unwrap();
    let deep = workspace.folder("data").unwrap().join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    for folder in [&deep, deep.parent().unwrap()] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    }
    let mode = std::fs::metadata(workspace.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    drop(workspace);
    assert!(names(within.path()).is_empty());
}

#[test]
fn a_workspace_without_room_or_parent_is_refused_before_anything_is_made() {
    let within = tempfile::tempdir().unwrap();
    for (needed, headroom) in [(u64::MAX / 2, 0), (0, u64::MAX / 2), (u64::MAX, 7)] {
        let error = Workspace::make(within.path(), needed, headroom).unwrap_err();
        assert!(error.is_full() && error.to_string().contains("are free"), "{error}");
    }
    assert!(names(within.path()).is_empty());
    let error = Workspace::make(Path::new("/nowhere/at/all"), 0, 0).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[test]
fn archives_are_brought_back_from_the_trash_together_or_not_at_all() {
    let (_place, store) = store();
    let (one, other) = (published(&store), published(&store));
    for location in [&one, &other] {
        store.remove(location).unwrap();
    }
    let discarded = store.discarded().unwrap();
    assert_eq!(discarded.iter().map(|it| &it.stored.location).collect::<Vec<_>>(), [&one, &other]);
    let mut bytes = [0; 5];
    let opened = store.open_discarded(&discarded[0]).unwrap();
    opened.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!((&bytes, discarded[0].stored.bytes), (b"bytes", 5));
    let trash = folder_of(&store, "trash");
    let name =
        names(&trash).into_iter().find(|it| it.contains(&other.backup_id().unwrap().to_string()));
    std::fs::remove_file(trash.join(name.unwrap())).unwrap();
    let error = store.bring_back(&[one.clone(), other]).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(store.stat(&one).unwrap(), None);
    store.bring_back(std::slice::from_ref(&one)).unwrap();
    assert!(store.stat(&one).unwrap().is_some() && store.discarded().unwrap().is_empty());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test takes a folder away")]
fn what_is_asked_of_the_open_folder_of_the_archives_is_not_answered_by_another_in_its_place() {
    let (_place, store) = store();
    let location = published(&store);
    let (archives, away) = (folder_of(&store, "archives"), folder_of(&store, "away"));
    let was = store.open_archives().unwrap();
    std::fs::rename(&archives, &away).unwrap();
    write(&archives.join("other/x.tar.zst"), "of another Coffer");
    let other = store.open_archives().unwrap();
    assert!(was.has(&location) && !other.has(&location));
    assert_ne!(was.id(), other.id());
    std::fs::remove_dir_all(&archives).unwrap();
    std::fs::rename(&away, &archives).unwrap();
    assert_eq!(store.open_archives().unwrap().id(), was.id());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test takes a folder away")]
fn nothing_is_brought_back_into_another_folder_than_that_of_the_archives() {
    let (_place, store) = store();
    let location = published(&store);
    let known = KnownArchives::new(store.open_archives().unwrap().id());
    store.remember_archives(&known).unwrap();
    store.remove(&location).unwrap();
    let (archives, away) = (folder_of(&store, "archives"), folder_of(&store, "away"));
    std::fs::rename(&archives, &away).unwrap();
    std::fs::create_dir(&archives).unwrap();
    let refused = store.bring_back(std::slice::from_ref(&location)).unwrap_err();
    assert!(matches!(refused, StorageError::NotInPlace { .. }), "{refused}");
    assert_eq!(names(&archives), [""; 0]);
    std::fs::remove_dir(&archives).unwrap();
    std::fs::rename(&away, &archives).unwrap();
    store.bring_back(std::slice::from_ref(&location)).unwrap();
    assert!(path_of(&store, &location).exists());
}
