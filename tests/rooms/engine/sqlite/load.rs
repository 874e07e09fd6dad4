//! Restores of databases.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use coffer::domain::{CheckLevel, EntryKind, FailureCode};

use super::{companion, engine, open};
use crate::engine::conformance::{Recorder, code, dump, load_to, names, pour};

fn dumped(folder: &Path, mode: &str) -> Recorder {
    let path = folder.join("a.db");
    let connection = open(&path, mode);
    connection
        .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(9000));")
        .unwrap();
    drop(connection);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let mut recorder = Recorder::default();
    dump(engine(), &engine().source_of(&path), &mut recorder).unwrap();
    recorder
}

#[test]
fn a_restored_wal_database_has_its_mode_and_time_and_no_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = dumped(folder.path(), "wal");
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b.db");
    let mut load = load_to(engine(), &target).unwrap();
    pour(&recorder, load.as_mut()).unwrap();
    let staged = load.finish(CheckLevel::Full).unwrap();
    assert_eq!(staged.check(), Some("integrity_check"));
    staged.place(&mut Vec::new()).unwrap();
    assert_eq!(names(place.path()), ["b.db"]);
    let found = std::fs::metadata(&target).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o640);
    let original = std::fs::metadata(folder.path().join("a.db")).unwrap();
    assert_eq!(
        (found.mtime(), found.mtime_nsec(), found.uid()),
        (original.mtime(), original.mtime_nsec(), original.uid())
    );
    assert!(std::fs::read(&target).unwrap() == recorder.content("the_shop.db"));
}

#[test]
fn an_old_journal_beside_the_target_stops_the_restore() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = dumped(folder.path(), "delete");
    for suffix in ["-wal", "-shm", "-journal"] {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b.db");
        let stale = companion(&target, suffix);
        let mut load = load_to(engine(), &target).unwrap();
        pour(&recorder, load.as_mut()).unwrap();
        let staged = load.finish(CheckLevel::Quick).unwrap();
        std::fs::copy("/proc/self/comm", &stale).unwrap();
        assert_eq!(code(staged.place(&mut Vec::new())), FailureCode::TargetOccupied);
        let refused = load_to(engine(), &target);
        assert!(refused.as_ref().err().unwrap().to_string().contains(suffix));
        assert_eq!(code(refused), FailureCode::TargetOccupied);
        assert_eq!(names(place.path()).len(), 1);
    }
}

#[test]
fn a_damaged_database_is_not_put_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = dumped(folder.path(), "delete");
    recorder.members[0].1[4096..8192].fill(0x5a);
    let place = tempfile::tempdir().unwrap();
    let mut load = load_to(engine(), &place.path().join("b.db")).unwrap();
    pour(&recorder, load.as_mut()).unwrap();
    assert_eq!(code(load.finish(CheckLevel::Quick)), FailureCode::ArchiveDamaged);
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn a_segment_beyond_the_end_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = dumped(folder.path(), "delete");
    let mut entry = recorder.members[0].0.clone();
    entry.kind = EntryKind::File { size: 100, extents: None };
    let mut load = load_to(engine(), &folder.path().join("b.db")).unwrap();
    let place = load.entry(&entry).unwrap().unwrap();
    assert!(place.write_at(b"x", 100).is_err());
    assert!(place.write_at(b"x", u64::MAX).is_err());
    assert!(place.write_at(b"x", 99).is_ok());
}

#[test]
fn an_archive_without_a_database_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let load = load_to(engine(), &place.path().join("b.db")).unwrap();
    assert_eq!(code(load.finish(CheckLevel::Quick)), FailureCode::ArchiveDamaged);
}
