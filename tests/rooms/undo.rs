//! Undo points: what is exchanged, with the files that belong to it, and what a killed process left.

#![expect(clippy::disallowed_methods, reason = "tests set up files")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use coffer::domain::BackupId;
use coffer::undo::{self, Holds, UndoError, UndoPoint};
use serde_json::json;
use tempfile::TempDir;

const ENDINGS: &[&str] = &["-wal", "-shm", "-journal"];
const MADE: &str = "2026-11-27T22:00:00";

fn write(path: impl AsRef<Path>, text: &str) {
    fs::write(path, text).unwrap();
}

/// A database with the files of an application that was killed.
fn database() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("shop.db");
    write(&path, "old");
    write(folder.path().join("shop.db-wal"), "old log");
    write(folder.path().join("shop.db-shm"), "old index of the log");
    (folder, path)
}

/// The names in a folder without undo points, each with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut found: Vec<_> = entries
        .map(|it| (it.file_name().into_string().unwrap(), it.path()))
        .filter(|(name, _)| !name.starts_with(".coffer-undo-"))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap_or_default()))
        .collect();
    found.sort();
    found
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn old() -> Vec<(String, String)> {
    named(&[
        ("shop.db", "old"),
        ("shop.db-shm", "old index of the log"),
        ("shop.db-wal", "old log"),
    ])
}

fn make(target: &Path) -> UndoPoint {
    UndoPoint::make(target, BackupId::generate(), MADE.to_owned(), ENDINGS).unwrap()
}

fn newest(target: &Path) -> UndoPoint {
    undo::beside(target).unwrap().points.into_iter().next().unwrap()
}

#[test]
fn what_is_replaced_is_kept_with_its_log_and_comes_back_with_it_as_often_as_one_likes() {
    let (folder, target) = database();
    let mut point = make(&target);
    write(point.held(), "new");
    point.exchange().unwrap();
    assert_eq!(point.holds(), Holds::Replaced);
    drop(point);
    assert_eq!(files(folder.path()), named(&[("shop.db", "new")]), "the old log is not beside it");
    // An application used the restored one.
    write(folder.path().join("shop.db-wal"), "new log");
    for round in 0..2 {
        let mut point = newest(&target);
        point.exchange().unwrap();
        assert_eq!((point.holds(), files(folder.path())), (Holds::Restored, old()), "{round}");
        drop(point);
        newest(&target).exchange().unwrap();
        let new = named(&[("shop.db", "new"), ("shop.db-wal", "new log")]);
        assert_eq!(files(folder.path()), new, "{round}");
    }
    let (seen, unreadable) = undo::look(folder.path()).unwrap();
    assert_eq!((seen.len(), unreadable.len()), (1, 0));
    assert_eq!((seen[0].holds, seen[0].target.as_path()), (Holds::Replaced, target.as_path()));
    assert!(seen[0].bytes > 0 && !seen[0].is_under_way);
    newest(&target).forget().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left of it");
}

#[test]
fn a_folder_is_exchanged_whole_also_if_it_may_not_be_written() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("tree");
    fs::create_dir_all(target.join("a/b")).unwrap();
    write(target.join("a/b/file"), "old");
    let mut permissions = fs::metadata(target.join("a/b")).unwrap().permissions();
    permissions.set_mode(0o555);
    fs::set_permissions(target.join("a/b"), permissions).unwrap();
    let mut point = make(&target);
    fs::create_dir(point.held()).unwrap();
    write(point.held().join("file"), "new");
    point.exchange().unwrap();
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "new");
    point.exchange().unwrap();
    assert_eq!(fs::read_to_string(target.join("a/b/file")).unwrap(), "old");
    point.exchange().unwrap();
    point.forget().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_restore_that_fails_leaves_nothing_and_one_of_what_was_removed_comes_back_alone() {
    let (folder, target) = database();
    let mut point = make(&target);
    let error = point.exchange().unwrap_err();
    assert!(matches!(error, UndoError::Empty { .. }), "{error}");
    write(point.held(), "half of it");
    drop(point);
    assert_eq!((files(folder.path()), fs::read_dir(folder.path()).unwrap().count()), (old(), 3));

    let mut point = make(&target);
    write(point.held(), "new");
    point.exchange().unwrap();
    fs::remove_file(&target).unwrap();
    drop(point);
    newest(&target).exchange().unwrap();
    assert_eq!(files(folder.path()), old());
    let error = newest(&target).exchange().unwrap_err();
    assert!(matches!(error, UndoError::Empty { .. }), "{error}");
}

#[test]
fn where_nothing_is_there_is_nothing_to_replace() {
    let folder = TempDir::new().unwrap();
    for path in ["shop.db", "no/folder/shop.db"] {
        let path = folder.path().join(path);
        let made = UndoPoint::make(&path, BackupId::generate(), MADE.to_owned(), ENDINGS);
        let error = made.unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
    let error = UndoPoint::make(Path::new("/proc"), BackupId::generate(), MADE.to_owned(), &[]);
    assert!(matches!(error.unwrap_err(), UndoError::NotReplaceable { .. }), "a mount point");
}

#[test]
fn while_one_command_works_on_a_point_another_one_passes_it_over() {
    let (_folder, target) = database();
    let point = make(&target);
    assert_eq!(undo::beside(&target).unwrap().points.len(), 0);
    assert!(point.held().parent().unwrap().exists(), "it is not taken for one that was left");
}

/// An undo point as a killed process leaves it: `1` holds what was restored, `2` what was moved away.
fn left(folder: &Path, incoming: Option<&Path>, holds: &str) -> PathBuf {
    let point = folder.join(".coffer-undo-killed");
    fs::create_dir_all(point.join("1")).unwrap();
    let incoming = incoming.map(|path| {
        let found = fs::metadata(path).unwrap();
        json!({"device": found.dev(), "inode": found.ino()})
    });
    let mut record = json!({
        "version": 1, "name": "shop.db", "backup": BackupId::generate(), "made": MADE,
        "companions": ENDINGS, "holds": holds, "slot": 1,
    });
    if let Some(incoming) = incoming {
        record["incoming"] = incoming;
    }
    write(point.join("undo.json"), &record.to_string());
    point
}

#[test]
fn a_restore_that_was_killed_before_the_exchange_is_taken_back() {
    for moved in [&[][..], &["-wal"], &["-wal", "-shm"]] {
        let (folder, target) = database();
        let point = left(folder.path(), None, "unfinished");
        write(point.join("1/shop.db"), "new");
        left(folder.path(), Some(&point.join("1/shop.db")), "unfinished");
        fs::create_dir(point.join("2")).unwrap();
        for ending in moved {
            let name = format!("shop.db{ending}");
            fs::rename(folder.path().join(&name), point.join("2").join(&name)).unwrap();
        }
        let (seen, _) = undo::look(folder.path()).unwrap();
        assert!(seen[0].is_under_way, "a look changes nothing");
        assert_eq!(undo::beside(&target).unwrap().points.len(), 0);
        assert_eq!(files(folder.path()), old(), "{moved:?}");
        assert!(!point.exists());
    }
}

#[test]
fn an_exchange_that_was_killed_after_it_was_made_is_ended() {
    for step in 0..4 {
        let (folder, target) = database();
        let point = left(folder.path(), None, "replaced");
        fs::create_dir(point.join("2")).unwrap();
        // Undone: what comes back has a log, too.
        write(point.join("1/shop.db"), "new");
        write(point.join("1/shop.db-wal"), "new log");
        left(folder.path(), Some(&point.join("1/shop.db")), "replaced");
        let rename = |from: &Path, to: &Path| fs::rename(from, to).unwrap();
        for ending in ["-wal", "-shm"] {
            let name = format!("shop.db{ending}");
            rename(&folder.path().join(&name), &point.join("2").join(&name));
        }
        rename(&target, &point.join("aside"));
        rename(&point.join("1/shop.db"), &target);
        rename(&point.join("aside"), &point.join("1/shop.db"));
        if step > 0 {
            rename(&point.join("1/shop.db-wal"), &folder.path().join("shop.db-wal"));
        }
        if step > 1 {
            rename(&point.join("1/shop.db"), &point.join("2/shop.db"));
        }
        if step > 2 {
            fs::remove_dir(point.join("1")).unwrap();
        }
        let mut settled = newest(&target);
        assert!(settled.was_settled());
        assert_eq!(settled.holds(), Holds::Restored);
        let new = named(&[("shop.db", "new"), ("shop.db-wal", "new log")]);
        assert_eq!(files(folder.path()), new, "step {step}");
        settled.exchange().unwrap();
        assert_eq!(files(folder.path()), old(), "step {step}");
    }
}

#[test]
fn an_undo_point_that_others_made_or_may_change_is_not_used_and_nothing_of_it_is_removed() {
    let folder = TempDir::new().unwrap();
    let point = left(folder.path(), None, "discarded");
    fs::set_permissions(&point, fs::Permissions::from_mode(0o777)).unwrap();
    let found = undo::within(folder.path()).unwrap();
    assert!(found.points.is_empty());
    assert!(matches!(found.unreadable[..], [UndoError::Foreign { .. }]), "{:?}", found.unreadable);
    assert!(point.exists());
    // A link to one.
    fs::set_permissions(&point, fs::Permissions::from_mode(0o700)).unwrap();
    let link = folder.path().join(".coffer-undo-link");
    symlink(&point, &link).unwrap();
    assert!(undo::within(folder.path()).unwrap().points.is_empty());
    assert!(link.is_symlink() && !point.exists(), "a point of one's own is removed");
}

#[test]
fn a_record_that_leads_elsewhere_or_is_of_a_newer_version_is_refused() {
    let (folder, target) = database();
    let point = left(folder.path(), None, "replaced");
    let text = fs::read_to_string(point.join("undo.json")).unwrap();
    for (from, to) in
        [("shop.db", "../shop.db"), ("-wal", "/../x"), ("\"version\":1", "\"version\":2")]
    {
        write(point.join("undo.json"), &text.replace(from, to));
        let found = undo::beside(&target).unwrap();
        assert_eq!((found.points.len(), found.unreadable.len()), (0, 1), "{to}");
        assert!(point.exists(), "what it holds stays");
    }
}
