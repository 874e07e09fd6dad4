//! Attempts that the disk or another program interferes with.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use coffer::domain::{BackupId, Location, Timestamp};
use coffer::storage::{Local, LocalSettings, Pending, Storage as _, StorageError};
use tempfile::TempDir;

fn attempt(headroom_bytes: u64) -> (TempDir, Box<dyn Pending>) {
    let dir = tempfile::tempdir().unwrap();
    let settings = LocalSettings { headroom_bytes, ..LocalSettings::default() };
    let store = Local::open_with(dir.path(), settings).unwrap();
    let pending = store.create(BackupId::generate(), 1).unwrap();
    (dir, pending)
}

/// The unfinished file.
fn tmp_file(dir: &TempDir) -> PathBuf {
    let mut files = std::fs::read_dir(dir.path().join("tmp")).unwrap();
    files.next().unwrap().unwrap().path()
}

fn is_clean(dir: &TempDir) -> bool {
    ["tmp", "archives"]
        .iter()
        .all(|folder| std::fs::read_dir(dir.path().join(folder)).unwrap().next().is_none())
}

fn publish(pending: Box<dyn Pending>) -> Result<(), StorageError> {
    let location = "p/i/x.tar.zst".parse::<Location>().unwrap();
    pending.publish(&location, Timestamp::from_micros(0))
}

#[test]
fn nothing_can_be_done_with_an_attempt_after_its_sync_failed() {
    let (dir, mut pending) = attempt(0);
    pending.write_all(b"bytes").unwrap();
    let path = tmp_file(&dir);
    let other = OpenOptions::new().write(true).open(&path).unwrap();
    other.set_len(3).unwrap();
    pending.sync().unwrap_err();
    other.set_len(5).unwrap();
    pending.sync().unwrap_err();
    pending.write_all(b"more").unwrap_err();
    pending.reopen().unwrap_err();
    publish(pending).unwrap_err();
    assert!(is_clean(&dir));
}

#[test]
fn a_file_that_was_truncated_or_replaced_after_its_sync_is_not_published() {
    for replace in [false, true] {
        let (dir, mut pending) = attempt(0);
        pending.write_all(b"bytes").unwrap();
        pending.sync().unwrap();
        let path = tmp_file(&dir);
        if replace {
            std::fs::remove_file(&path).unwrap();
        }
        let other = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        other.unwrap().set_len(4).unwrap();
        pending.reopen().unwrap_err();
        publish(pending).unwrap_err();
        assert!(is_clean(&dir));
    }
}

#[test]
fn an_allocation_leaves_the_headroom_free() {
    let (_dir, mut pending) = attempt(u64::MAX / 2);
    let error = pending.allocate(1).unwrap_err();
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    pending.allocate(0).unwrap();
}

#[test]
fn room_is_allocated_once_and_freed_by_the_sync() {
    let (dir, mut pending) = attempt(0);
    pending.allocate(8 << 20).unwrap();
    let blocks = || tmp_file(&dir).metadata().unwrap().blocks();
    let allocated = blocks();
    pending.allocate(8 << 20).unwrap();
    assert_eq!(blocks(), allocated);
    pending.write_all(b"bytes").unwrap();
    pending.sync().unwrap();
    assert!(blocks() * 512 < 1 << 20, "{allocated}");
}

#[test]
fn a_publish_that_cannot_make_its_folder_leaves_nothing() {
    let (dir, mut pending) = attempt(0);
    pending.sync().unwrap();
    // A file has the name of the folder that must be made.
    let blocked = dir.path().join("archives/p");
    drop(OpenOptions::new().write(true).create_new(true).open(&blocked).unwrap());
    publish(pending).unwrap_err();
    std::fs::remove_file(blocked).unwrap();
    assert!(is_clean(&dir));
}
