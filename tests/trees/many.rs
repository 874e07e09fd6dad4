//! Very many small files: little memory, little time, nothing forgotten.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::house::{House, id, manifest_of, settle};
use crate::listing::{assert_same, listing};
use crate::plant::mode;
use crate::support::write_file;

/// The server promises to stay below it, whatever the tree.
const MOST_MEMORY: u64 = 64 << 20;
/// Files in one folder.
const TOGETHER: usize = 200;

fn count() -> usize {
    let long = std::env::var_os("COFFER_LONG").is_some_and(|it| it == "1");
    if long { 1_000_000 } else { 100_000 }
}

/// `count` small files, each with content of its own; also one huge folder, and names outside of the tree for
/// a part of them.
fn plant(root: &Path) {
    let outside = root.parent().unwrap().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::create_dir(root.join("together")).unwrap();
    for number in 0..count() {
        let folder = match number % 4 {
            0 => root.join("together"),
            _ => root.join(format!("folder-{}", number / TOGETHER)),
        };
        if number % TOGETHER == 0 {
            std::fs::create_dir(root.join(format!("folder-{}", number / TOGETHER))).unwrap();
        }
        let path = folder.join(format!("file number {number}.txt"));
        write_file(&path, format!("content {number}\n").repeat(number % 50));
        if number % 5 == 0 {
            std::fs::hard_link(&path, outside.join(number.to_string())).unwrap();
        }
    }
    symlink("together", root.join("link")).unwrap();
    settle(root.parent().unwrap());
}

fn restored_instance(house: &House, backup: &Value) -> PathBuf {
    let body = json!({"instance": {
        "name": "again", "flavorRef": 1, "restorePoint": {"backupRef": backup["id"]},
    }});
    let client = house.client();
    let made = client.post("instances", &body).expect(200).json();
    let made = client.wait_for_instance(id(&made["instance"]), &["ACTIVE", "ERROR"]);
    assert_eq!(made["status"], "ACTIVE", "{made:#}");
    PathBuf::from(made["restored_to"].as_str().unwrap())
}

#[test]
fn a_hundred_thousand_files_need_little_memory_and_all_come_back() {
    let house = House::new(plant);
    let files = u64::try_from(count()).unwrap();
    let mut clock = Instant::now();
    let mut lap = |what: &str, house: &House| {
        let (took, peak) = (clock.elapsed(), house.server.peak_rss_bytes());
        println!("{files} files, {what}: {took:.1?}, memory {} MiB", peak >> 20);
        assert!(peak < MOST_MEMORY, "{what}: {peak} bytes");
        clock = Instant::now();
    };
    let full = house.full();
    lap("full", &house);
    assert_eq!(manifest_of(&full)["totals"]["files"], files);

    let unchanged = house.incremental();
    lap("unchanged incremental", &house);
    let totals = manifest_of(&unchanged)["totals"].take();
    let empty = files / 50;
    assert_eq!(totals["unread_files"].as_u64().unwrap(), files - empty, "{totals}");

    let folder = house.tree.join("folder-7");
    std::fs::remove_dir_all(&folder).unwrap();
    write_file(&house.tree.join("together/file number 4000.txt"), "changed");
    mode(&house.tree.join("together/file number 8.txt"), 0o600);
    let changed = house.incremental();
    lap("incremental", &house);

    let restored = restored_instance(&house, &changed);
    lap("restore", &house);
    assert_same(&listing(&house.tree), &listing(&restored), "many files");
}
