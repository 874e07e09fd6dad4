//! Restores of trees, also from hostile archives.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use coffer::domain::{CheckLevel, Entry, EntryKind, EntryPath, FailureCode};
use coffer::engine::EngineError;
use rustix::fs::{Mode, OFlags, mkdirat, openat};

use super::engine;
use crate::engine::conformance::{Recorder, code, dump, load_to, names, pour};

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry {
        path: EntryPath::new(path).unwrap(),
        kind,
        mode: 0o700,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime_ns: 1_500_000_000_123_456_789,
        xattrs: Vec::new(),
        stamp: None,
    }
}

fn file(path: &str, size: u64) -> Entry {
    entry(path, EntryKind::File { size, extents: None })
}

fn link(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::Symlink { target: target.as_bytes().to_vec() })
}

fn hard_link(path: &str, to: &str) -> Entry {
    entry(path, EntryKind::HardLink { to: EntryPath::new(to).unwrap() })
}

fn load(target: &Path, entries: &[Entry]) -> Result<(), EngineError> {
    let mut load = load_to(engine(), target)?;
    for entry in entries {
        load.entry(entry)?;
    }
    load.finish(CheckLevel::Quick)?.place(&mut Vec::new()).map(drop)
}

#[test]
fn a_hostile_archive_writes_nothing_outside_of_its_tree() {
    let outside = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("t");
    let away = outside.path().to_str().unwrap();
    let folder = || entry("d", EntryKind::Directory);
    for entries in [
        vec![link("a", away), file("a/evil", 0)],
        vec![link("a", away), entry("a/evil", EntryKind::Directory)],
        vec![link("a", away), link("a/evil", "x")],
        vec![file("f", 0), link("a", away), hard_link("a/evil", "f")],
        vec![link("a", away), hard_link("b", "a/evil")],
        vec![folder(), hard_link("b", "d")],
        vec![folder(), file("d", 0)],
        vec![link("a", away), file("a", 0)],
        vec![file("a/b", 0)],
        vec![file("a", 0), file("a/b", 0)],
        vec![file("", 0)],
        vec![folder(), entry("", EntryKind::Directory)],
        vec![Entry { mtime_ns: i128::MAX, ..file("a", 0) }],
    ] {
        assert_eq!(code(load(&target, &entries)), FailureCode::ArchiveDamaged, "{entries:?}");
        assert_eq!(names(outside.path()), [""; 0], "{entries:?}");
        assert_eq!(names(place.path()), [""; 0], "{entries:?}");
    }
}

#[test]
fn a_hard_link_to_a_symbolic_link_is_the_same_link_and_is_not_followed() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("t");
    load(&target, &[link("a", "/proc/self/comm"), hard_link("b", "a")]).unwrap();
    let [a, b] = ["a", "b"].map(|name| std::fs::symlink_metadata(target.join(name)).unwrap());
    assert!(a.is_symlink() && a.ino() == b.ino() && a.nlink() == 2);
    assert_eq!(std::fs::read_link(target.join("b")).unwrap(), Path::new("/proc/self/comm"));
}

#[test]
fn an_empty_target_folder_is_replaced_and_one_that_is_not_empty_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("t");
    std::fs::create_dir(&target).unwrap();
    load(&target, &[entry("", EntryKind::Directory), file("f", 0)]).unwrap();
    assert_eq!(names(&target), ["f"]);
    assert_eq!(code(load(&target, &[])), FailureCode::TargetOccupied);

    let late = place.path().join("late");
    std::fs::create_dir(&late).unwrap();
    let staged = load_to(engine(), &late).unwrap().finish(CheckLevel::Off).unwrap();
    std::fs::create_dir(late.join("x")).unwrap();
    assert_eq!(code(staged.place(&mut Vec::new())), FailureCode::TargetOccupied);
    assert_eq!(names(&late), ["x"]);
    assert_eq!(names(place.path()), ["late", "t"]);
}

#[test]
fn a_file_gets_its_time_whenever_its_last_writer_is_dropped() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("t");
    let mut load = load_to(engine(), &target).unwrap();
    let held = load.entry(&file("held", 4)).unwrap().unwrap();
    held.write_at(b"held", 0).unwrap();
    let gone = load.entry(&file("gone", 4)).unwrap().unwrap();
    gone.write_at(b"gone", 0).unwrap();
    drop(gone);
    load.finish(CheckLevel::Off).unwrap().place(&mut Vec::new()).unwrap();
    drop(held);
    for name in ["held", "gone"] {
        let found = std::fs::metadata(target.join(name)).unwrap();
        assert_eq!((found.mtime(), found.mtime_nsec()), (1_500_000_000, 123_456_789), "{name}");
        assert_eq!(found.mode() & 0o7777, 0o700);
    }
}

#[test]
fn while_it_is_restored_only_its_owner_may_read_it() {
    let place = tempfile::tempdir().unwrap();
    let mut load = load_to(engine(), &place.path().join("t")).unwrap();
    load.entry(&Entry { mode: 0o777, ..entry("", EntryKind::Directory) }).unwrap();
    let _file = load.entry(&Entry { mode: 0o666, ..file("f", 1) }).unwrap();
    let staged = place.path().join(&names(place.path())[0]);
    assert!(staged.file_name().unwrap().to_str().unwrap().starts_with(".coffer-"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&staged), mode(&staged.join("f"))), (0o700, 0o600));
}

#[test]
fn a_tree_deeper_than_path_max_is_restored() {
    const DEPTH: usize = 60;
    let name = "n".repeat(100);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at: OwnedFd = rustix::fs::open(&root, flags, Mode::empty()).unwrap();
    for _ in 0..DEPTH {
        // One on each side of the way down, so that the walk comes back to every folder.
        for other in ["a", "z"] {
            mkdirat(&at, other, Mode::RWXU).unwrap();
        }
        mkdirat(&at, &name, Mode::RWXU).unwrap();
        at = openat(&at, &name, flags, Mode::empty()).unwrap();
    }
    let read = |path: &Path| {
        let mut recorder = Recorder::default();
        dump(engine(), &engine().source_of(path), &mut recorder).unwrap();
        recorder
    };
    let original = read(&root);
    assert_eq!(original.members.len(), 1 + 3 * DEPTH);
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("t");
    let mut load = load_to(engine(), &target).unwrap();
    pour(&original, load.as_mut()).unwrap();
    load.finish(CheckLevel::Off).unwrap().place(&mut Vec::new()).unwrap();
    assert_eq!(read(&target).paths(), original.paths());
}

#[test]
fn an_archive_without_files_is_restored_as_an_empty_folder() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("t");
    load(&target, &[Entry { mode: 0o2750, ..entry("", EntryKind::Directory) }]).unwrap();
    assert_eq!(std::fs::metadata(&target).unwrap().mode() & 0o7777, 0o2750);
}
