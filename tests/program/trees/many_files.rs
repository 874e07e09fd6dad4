//! Very many small files.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use super::fixture::{Fixture, settle};
use super::listing::{assert_same, listing};
use super::sample::mode;
use crate::support::{manifest_of, write_file};

/// Files in one folder.
const TOGETHER: usize = 200;

fn count() -> usize {
    let long = std::env::var_os("COFFER_LONG").is_some_and(|it| it == "1");
    if long { 1_000_000 } else { 100_000 }
}

/// `count` small files with different content, many in one folder, some with hard links outside of the tree.
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

#[test]
fn a_hundred_thousand_files_restore_exactly_with_little_memory() {
    let fixture = Fixture::new(plant);
    let files = u64::try_from(count()).unwrap();
    let idle = fixture.server.peak_rss_bytes();
    let mut clock = Instant::now();
    let mut lap = |what: &str, fixture: &Fixture| {
        let (took, peak) = (clock.elapsed(), fixture.server.peak_rss_bytes());
        println!("{files} files, {what}: {took:.1?}, memory {} MiB", peak >> 20);
        fixture.server.assert_little_memory_since(idle);
        clock = Instant::now();
    };
    let full = fixture.full();
    lap("full", &fixture);
    assert_eq!(manifest_of(&full)["totals"]["files"], files);

    let unchanged = fixture.incremental();
    lap("unchanged incremental", &fixture);
    let totals = manifest_of(&unchanged)["totals"].take();
    let empty = files / 50;
    assert_eq!(totals["unread_files"].as_u64().unwrap(), files - empty, "{totals}");

    let folder = fixture.tree.join("folder-7");
    std::fs::remove_dir_all(&folder).unwrap();
    write_file(&fixture.tree.join("together/file number 4000.txt"), "changed");
    mode(&fixture.tree.join("together/file number 8.txt"), 0o600);
    let changed = fixture.incremental();
    lap("incremental", &fixture);

    let restored = fixture.client().restored_instance(&changed);
    lap("restore", &fixture);
    assert_same(&listing(&fixture.tree), &listing(&restored), "many files");
}
