//! One of everything, there and back.

use std::os::unix::fs::chown;

use serde_json::{Value, json};

use crate::house::{House, archive_of, finished, id, manifest_of};
use crate::listing::{assert_same, listing};
use crate::plant::{acl, everything, xattr};

#[test]
fn a_tree_with_one_of_everything_comes_back_the_same() {
    let house = House::new(everything);
    let was = listing(&house.tree);
    let full = house.full();
    assert_same(&was, &house.restored_listing(&full), "a full backup");
    let incremental = house.incremental();
    assert_eq!(incremental["kind"], "incremental");
    assert_same(&was, &house.restored_listing(&incremental), "an incremental");
    assert_same(&was, &listing(&house.tree), "the source itself is left as it was");
}

#[test]
fn tar_alone_gives_back_the_same_tree() {
    let house = House::new(everything);
    let was = listing(&house.tree);
    let full = house.full();
    let unpacked = house.unpacked(&archive_of(&full));
    assert_same(&was, &listing(&unpacked), "unpacked with tar");
}

#[test]
fn what_is_restored_through_the_api_is_the_same_tree_too() {
    let house = House::new(everything);
    let full = house.full();
    let client = house.client();
    let body = json!({"instance": {
        "name": "again", "flavorRef": 1, "restorePoint": {"backupRef": full["id"]},
    }});
    let made = client.post("instances", &body).expect(200).json();
    let made = client.wait_for_instance(id(&made["instance"]), &["ACTIVE", "ERROR"]);
    assert_eq!(made["status"], "ACTIVE", "{made:#}");
    let restored = made["restored_to"].as_str().unwrap();
    assert_same(&listing(&house.tree), &listing(restored.as_ref()), "a restored instance");
}

#[test]
fn sockets_pipes_and_devices_are_passed_over_and_named_in_the_manifest() {
    let house = House::new(everything);
    let manifest = manifest_of(&house.full());
    let expected = json!([
        {"path": "a pipe", "reason": "fifo"},
        {"path": "block", "reason": "device"},
        {"path": "sub/null", "reason": "device"},
        {"path": "sub/socket", "reason": "socket"},
    ]);
    assert_eq!(manifest["source"]["passed_over"], expected);
    assert_eq!(manifest["source"]["facts"]["passed_over"], 4);
    assert_eq!(manifest["source"]["changed_while_read"], json!([]));
}

#[test]
fn holes_cost_nothing_in_the_archive() {
    let house = House::new(everything);
    let full = house.full();
    let stored = full["size_bytes"].as_u64().unwrap();
    // big, exact and the few pages of data; hundreds of MiB of holes are nowhere.
    assert!(stored < 5 << 20, "{stored}");
    let source: Value = manifest_of(&full)["totals"]["content_bytes"].take();
    assert!(source.as_u64().unwrap() > 256 << 20, "holes are part of the files' length: {source}");
}

#[test]
fn the_folder_a_tree_is_restored_in_does_not_rub_off_on_it() {
    let house = House::new(everything);
    let was = listing(&house.tree);
    let full = house.full();
    let shared = house.folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    crate::plant::mode(&shared, 0o2777);
    chown(&shared, None, Some(4321)).unwrap();
    xattr(&shared, "system.posix_acl_default", &acl(7));
    let target = shared.join("again");
    let to = target.to_str().unwrap();
    finished(&mut house.server.command(&["restore", id(&full), "--to", to]));
    assert_same(&was, &listing(&target), "in a folder with rights to pass on");
}
