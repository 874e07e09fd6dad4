//! Unchanged files are not read again, as inotify shows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::fixture::{Fixture, settle};
use super::listing::{assert_same, listing};
use super::read_watch::Watch;
use super::sample::{noise, set_mtime};
use crate::support::{manifest_of, write_file};

const FILES: usize = 40;

fn plant(root: &Path) {
    for folder in ["a", "b"] {
        std::fs::create_dir(root.join(folder)).unwrap();
        for number in 0..FILES / 2 {
            let content = noise(&format!("{folder} {number}"), 100_000 * (number % 3) + 1);
            write_file(&root.join(folder).join(number.to_string()), content);
        }
    }
    settle(root.parent().unwrap());
}

/// A watch over the folders with files.
fn watch(fixture: &Fixture) -> Watch {
    Watch::over(&[&fixture.tree.join("a"), &fixture.tree.join("b")])
}

fn unread(backup: &serde_json::Value) -> u64 {
    manifest_of(backup)["totals"]["unread_files"].as_u64().unwrap()
}

#[test]
fn unchanged_files_are_not_read_again() {
    let fixture = Fixture::new(plant);
    let watch = watch(&fixture);
    let full = fixture.full();
    assert_eq!((watch.read_files().len(), unread(&full)), (FILES, 0), "a full one reads all");

    let incremental = fixture.incremental();
    assert_eq!(watch.read_files(), BTreeSet::new(), "nothing changed, nothing is read");
    assert_eq!(unread(&incremental), 40);
    assert_same(&listing(&fixture.tree), &fixture.restored_listing(&incremental), "unread");
}

#[test]
fn only_changed_files_are_read() {
    let fixture = Fixture::new(plant);
    fixture.full();
    let changed: BTreeSet<PathBuf> =
        ["a/3", "a/new", "b/7", "b/9"].iter().map(|name| fixture.tree.join(name)).collect();
    write_file(&fixture.tree.join("a/3"), "shorter");
    write_file(&fixture.tree.join("a/new"), "new");
    write_file(&fixture.tree.join("b/7"), noise("other content of the same length", 100_001));
    set_mtime(&fixture.tree.join("b/9"), 1, 1);
    settle(fixture.folder.path());

    let watch = watch(&fixture);
    let incremental = fixture.incremental();
    assert_eq!(watch.read_files(), changed);
    assert_eq!(unread(&incremental), 37);
    let was = listing(&fixture.tree);
    assert_same(&was, &fixture.restored_listing(&incremental), "partly unread");
    drop(watch);

    let watch = self::watch(&fixture);
    assert_eq!(unread(&fixture.incremental()), 41, "and those are known from then on");
    assert_eq!(watch.read_files(), BTreeSet::new());
}

#[test]
fn every_nth_backup_reads_everything_again() {
    let fixture = Fixture::with(|builder| builder.setting("catalog.reread_every", "2"), plant);
    let watch = watch(&fixture);
    let mut unread_files = Vec::new();
    fixture.full();
    for _ in 0..4 {
        watch.read_files();
        let unread = unread(&fixture.incremental());
        let read = u64::try_from(watch.read_files().len()).unwrap();
        assert_eq!(unread + read, 40, "each file is either read or not");
        unread_files.push(unread);
    }
    unread_files.sort_unstable();
    assert_eq!(unread_files, [0, 0, 40, 40]);
}
