//! What has not changed is not read again, as the kernel tells it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::house::{House, manifest_of, settle};
use crate::listing::{assert_same, listing};
use crate::plant::{age, noise};
use crate::support::write_file;
use crate::watch::Watch;

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

/// The folders that hold files, named as the watch tells them.
fn watch(house: &House) -> Watch {
    Watch::over(&[&house.tree.join("a"), &house.tree.join("b")])
}

fn unread(backup: &serde_json::Value) -> u64 {
    manifest_of(backup)["totals"]["unread_files"].as_u64().unwrap()
}

#[test]
fn unchanged_files_are_not_read_again() {
    let house = House::new(plant);
    let watch = watch(&house);
    let full = house.full();
    assert_eq!((watch.read_files().len(), unread(&full)), (FILES, 0), "a full one reads all");

    let incremental = house.incremental();
    assert_eq!(watch.read_files(), BTreeSet::new(), "nothing changed, nothing is read");
    assert_eq!(unread(&incremental), 40);
    assert_same(&listing(&house.tree), &house.restored_listing(&incremental), "unread");
}

#[test]
fn of_a_changed_tree_only_the_changed_files_are_read() {
    let house = House::new(plant);
    house.full();
    let changed: BTreeSet<PathBuf> =
        ["a/3", "a/new", "b/7", "b/9"].iter().map(|name| house.tree.join(name)).collect();
    write_file(&house.tree.join("a/3"), "shorter");
    write_file(&house.tree.join("a/new"), "new");
    write_file(&house.tree.join("b/7"), noise("other content of the same length", 100_001));
    age(&house.tree.join("b/9"), 1, 1);
    settle(house.folder.path());

    let watch = watch(&house);
    let incremental = house.incremental();
    assert_eq!(watch.read_files(), changed);
    assert_eq!(unread(&incremental), 37);
    let was = listing(&house.tree);
    assert_same(&was, &house.restored_listing(&incremental), "partly unread");
    drop(watch);

    let watch = self::watch(&house);
    assert_eq!(unread(&house.incremental()), 41, "and those are known from then on");
    assert_eq!(watch.read_files(), BTreeSet::new());
}

#[test]
fn every_nth_backup_reads_everything_again() {
    let house = House::with(|builder| builder.setting("catalog.reread_every", "2"), plant);
    let watch = watch(&house);
    let mut unread_files = Vec::new();
    house.full();
    for _ in 0..4 {
        watch.read_files();
        let unread = unread(&house.incremental());
        let read = u64::try_from(watch.read_files().len()).unwrap();
        assert_eq!(unread + read, 40, "each file is either read or not");
        unread_files.push(unread);
    }
    unread_files.sort_unstable();
    assert_eq!(unread_files, [0, 0, 40, 40]);
}
