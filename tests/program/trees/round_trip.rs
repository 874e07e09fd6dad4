//! A tree with every kind of entry, backed up and restored.

use std::fs::{File, FileTimes};
use std::os::unix::fs::chown;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::fixture::Fixture;
use super::listing::{assert_same, listing};
use super::sample::{acl, fill_with_everything, set_mtime, xattr};
use crate::support::{archive_of, id_of, manifest_of, succeed, write_file};

#[test]
fn a_tree_with_every_kind_of_entry_restores_the_same() {
    let fixture = Fixture::new(fill_with_everything);
    let was = listing(&fixture.tree);
    let full = fixture.full();
    assert_same(&was, &fixture.restored_listing(&full), "a full backup");
    let incremental = fixture.incremental();
    assert_eq!(incremental["kind"], "incremental");
    assert_same(&was, &fixture.restored_listing(&incremental), "an incremental");
    assert_same(&was, &listing(&fixture.tree), "the source itself is left as it was");
}

#[test]
fn a_backup_leaves_the_times_of_access_alone() {
    let fixture = Fixture::new(|root| {
        std::fs::create_dir(root.join("folder")).unwrap();
        write_file(&root.join("folder/file"), "content");
        make_unread(root);
    });
    let read = accessed(&fixture.tree);
    fixture.full();
    assert_eq!(accessed(&fixture.tree), read, "a full backup");
    write_file(&fixture.tree.join("folder/file"), "changed");
    make_unread(&fixture.tree);
    let read = accessed(&fixture.tree);
    assert_eq!(fixture.incremental()["kind"], "incremental");
    assert_eq!(accessed(&fixture.tree), read, "an incremental");
}

const ENTRIES: [&str; 3] = ["", "folder", "folder/file"];

/// Each was read a day before it was changed: whatever reads it now sets the time of access.
fn make_unread(root: &Path) {
    for entry in ENTRIES {
        let file = File::open(root.join(entry)).unwrap();
        let changed = file.metadata().unwrap().modified().unwrap();
        let day = Duration::from_secs(24 * 3600);
        file.set_times(FileTimes::new().set_accessed(changed - 2 * day)).unwrap();
    }
}

fn accessed(root: &Path) -> Vec<SystemTime> {
    ENTRIES.map(|it| root.join(it).metadata().unwrap().accessed().unwrap()).to_vec()
}

#[test]
fn tar_alone_restores_the_same_tree() {
    let fixture = Fixture::new(fill_with_everything);
    let was = listing(&fixture.tree);
    let full = fixture.full();
    let unpacked = fixture.unpacked(&archive_of(&full));
    assert_same(&was, &listing(&unpacked), "unpacked with tar");
}

#[test]
fn a_restore_through_the_api_gives_the_same_tree() {
    let fixture = Fixture::new(fill_with_everything);
    let full = fixture.full();
    let restored = fixture.client().restored_instance(&full);
    assert_same(&listing(&fixture.tree), &listing(&restored), "a restored instance");
}

#[test]
fn sockets_pipes_and_devices_are_skipped_and_listed_in_the_manifest() {
    let fixture = Fixture::new(fill_with_everything);
    let manifest = manifest_of(&fixture.full());
    let expected = json!([
        {"what": "a pipe", "why": "fifo"},
        {"what": "block", "why": "device"},
        {"what": "sub/null", "why": "device"},
        {"what": "sub/socket", "why": "socket"},
    ]);
    assert_eq!(manifest["source"]["left_out"], expected);
    assert_eq!(manifest["source"]["facts"]["passed_over"], 4);
    assert_eq!(manifest["source"]["facts"]["changed_while_read"], 0);
}

#[test]
fn what_a_backup_leaves_out_is_said_wherever_a_backup_is_shown() {
    let fixture = Fixture::new(|root| {
        write_file(&root.join("file"), "x");
        succeed(Command::new("mkfifo").arg(root.join("a pipe")));
    });
    let full = fixture.full();
    let expected = json!([{"what": "a pipe", "why": "fifo"}]);
    assert_eq!(full["left_out"], expected);
    assert_eq!(fixture.incremental()["left_out"], expected);
    let text = fixture.unpacked(&archive_of(&full)).with_file_name(".coffer/RESTORE.txt");
    let text = std::fs::read_to_string(text).unwrap();
    assert!(text.contains("- a pipe: fifo") && text.contains("| tar "), "{text}");
    let id = id_of(&full);
    for arguments in [&["verify", id][..], &["doctor"]] {
        let said = fixture.server.run(arguments);
        assert!(
            String::from_utf8_lossy(&said.stdout).contains("a pipe"),
            "{arguments:?}: {said:?}"
        );
    }
    let verified = fixture.server.run_ok(&["verify", "--json", id]);
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["left_out"], expected);
    std::fs::remove_file(fixture.tree.join("a pipe")).unwrap();
    assert_eq!(fixture.incremental()["left_out"], json!([]));
}

#[test]
fn holes_need_no_space_in_the_archive() {
    let fixture = Fixture::new(fill_with_everything);
    let full = fixture.full();
    let stored = full["size_bytes"].as_u64().unwrap();
    // big, exact and the few pages of data; hundreds of MiB of holes are nowhere.
    assert!(stored < 5 << 20, "{stored}");
    let source: Value = manifest_of(&full)["totals"]["content_bytes"].take();
    assert!(source.as_u64().unwrap() > 256 << 20, "holes are part of the files' length: {source}");
}

#[test]
fn the_target_folders_acl_and_group_do_not_affect_a_restored_tree() {
    let fixture = Fixture::new(fill_with_everything);
    let was = listing(&fixture.tree);
    let full = fixture.full();
    let shared = fixture.folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    super::sample::mode(&shared, 0o2777);
    chown(&shared, None, Some(4321)).unwrap();
    xattr(&shared, "system.posix_acl_default", &acl(7));
    let target = shared.join("again");
    let to = target.to_str().unwrap();
    fixture.server.run_ok(&["restore", id_of(&full), "--to", to]);
    assert_same(&was, &listing(&target), "in a folder with rights to pass on");
}

#[test]
fn the_attributes_of_links_and_the_access_times_of_a_tree_are_kept() {
    let fixture = Fixture::new(|root| {
        symlink("nowhere", root.join("link")).unwrap();
        symlink(".", root.join("to a folder")).unwrap();
        xattr(&root.join("link"), "trusted.label", b"a\0b");
        xattr(&root.join("to a folder"), "trusted.other", b"");
        write_file(&root.join("file"), "read me");
        for name in ["file", ""] {
            set_mtime(&root.join(name), 1_500_000_000, 1);
        }
    });
    let was = listing(&fixture.tree);
    let accessed = |name: &str| fixture.tree.join(name).metadata().unwrap().accessed().unwrap();
    let before = [accessed("file"), accessed("")];
    let full = fixture.full();
    assert_eq!([accessed("file"), accessed("")], before, "reading changed access times");
    assert_same(&was, &fixture.restored_listing(&full), "links with attributes");
}
