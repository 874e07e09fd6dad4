//! Attempts that the disk or another program interferes with.

use std::fs::OpenOptions;

use super::*;
use crate::domain::SystemClock;

fn attempt(headroom_bytes: u64) -> (tempfile::TempDir, PendingFile) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::open(dir.path(), headroom_bytes, Arc::new(SystemClock)).unwrap();
    let pending = PendingFile::create(&Arc::new(layout), BackupId::generate(), 1).unwrap();
    (dir, pending)
}

fn is_clean(dir: &tempfile::TempDir) -> bool {
    ["tmp", "archives"]
        .iter()
        .all(|folder| std::fs::read_dir(dir.path().join(folder)).unwrap().next().is_none())
}

fn publish(pending: PendingFile) -> Result<(), StorageError> {
    let location = "p/i/x.tar.zst".parse::<Location>().unwrap();
    Box::new(pending).publish(&location, Timestamp::from_micros(0))
}

#[test]
fn a_full_disk_is_reported_as_such_and_ends_the_attempt() {
    let (dir, mut pending) = attempt(0);
    pending.write_all(b"bytes").unwrap();
    pending.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = pending.write_all(b"more").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    pending.write_all(b"more").unwrap_err();
    pending.sync().unwrap_err();
    pending.reopen().unwrap_err();
    publish(pending).unwrap_err();
    assert!(is_clean(&dir));
}

#[test]
fn nothing_can_be_done_with_an_attempt_after_its_sync_failed() {
    let (dir, mut pending) = attempt(0);
    pending.write_all(b"bytes").unwrap();
    let path = pending.path();
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
        let path = pending.path();
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
    let (_dir, mut pending) = attempt(0);
    pending.allocate(8 << 20).unwrap();
    let blocks = |pending: &PendingFile| pending.file.metadata().unwrap().blocks();
    let allocated = blocks(&pending);
    pending.allocate(8 << 20).unwrap();
    assert_eq!(blocks(&pending), allocated);
    pending.write_all(b"bytes").unwrap();
    pending.sync().unwrap();
    assert!(blocks(&pending) * 512 < 1 << 20, "{allocated}");
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
