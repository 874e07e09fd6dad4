//! A chain of backups of a tree that changes between them.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, lchown, symlink};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::fixture::Fixture;
use super::listing::{Listing, assert_same, listing};
use super::sample::{fill_with_everything, mode, noise, set_mtime, sparse, xattr};
use crate::support::{id_of, write_file};

/// The name of a change, and the change.
type Step = (&'static str, fn(&Path));

/// What is done to the tree before each incremental.
const STEPS: &[Step] = &[
    ("nothing", |_root| ()),
    ("files and folders added", added),
    ("removed", removed),
    ("renamed", renamed),
    ("replaced by other kinds", replaced),
    ("grown and cut", grown_and_cut),
    ("holes filled and made", holes),
    ("hard links regrouped", hard_links_changed),
    ("modes, owners, times and attributes only", metadata_changed),
    ("rewritten under the old size and time", rewritten_with_old_size_and_time),
    ("emptied", emptied),
    ("filled again", filled_again),
];

#[test]
fn every_point_of_a_chain_restores_the_same_tree() {
    let fixture = Fixture::new(fill_with_everything);
    let mut points = vec![("the first", fixture.full(), listing(&fixture.tree))];
    for (what, step) in STEPS {
        step(&fixture.tree);
        let was = listing(&fixture.tree);
        let backup = fixture.incremental();
        assert_eq!(backup["kind"], "incremental", "{what}");
        points.push((what, backup, was));
    }
    for (what, backup, was) in &points {
        assert_same(was, &fixture.restored_listing(backup), what);
        fixture.server.run_ok(&["verify", id_of(backup)]);
    }
}

#[test]
fn a_point_within_a_chain_is_exported_as_a_tar_of_the_same_tree() {
    let fixture = Fixture::new(fill_with_everything);
    fixture.full();
    let mut points: Vec<Listing> = Vec::new();
    let mut middle = None;
    for (_, step) in &STEPS[1..9] {
        step(&fixture.tree);
        points.push(listing(&fixture.tree));
        middle = Some(fixture.incremental());
    }
    emptied(&fixture.tree);
    fixture.incremental();
    let archive = fixture.folder.path().join("point.tar.zst");
    let to = archive.to_str().unwrap();
    fixture.server.run_ok(&["export", id_of(&middle.unwrap()), "--to", to]);
    let unpacked = fixture.unpacked(&archive);
    assert_same(points.last().unwrap(), &listing(&unpacked), "exported");
}

fn added(root: &Path) {
    std::fs::create_dir_all(root.join("added/below")).unwrap();
    write_file(&root.join("added/below/big"), noise("added", (2 << 20) + 3));
    write_file(&root.join("!first of all"), "sorted in front");
    write_file(&root.join("~last of all"), "sorted behind");
    sparse(&root.join("added/sparse"), 9 << 20, &[(4 << 20, b"needle")]);
    std::fs::create_dir(root.join("added/empty")).unwrap();
}

fn removed(root: &Path) {
    std::fs::remove_file(root.join("exact")).unwrap();
    std::fs::remove_file(root.join("dangling")).unwrap();
    std::fs::remove_dir_all(root.join("added/below")).unwrap();
    std::fs::remove_dir(root.join("empty")).unwrap();
}

fn renamed(root: &Path) {
    let rename = |from: &str, to: &str| rustix::fs::rename(root.join(from), root.join(to)).unwrap();
    rename("zeros", "a-zeros");
    rename("sub/deep", "moved");
    rename("sub", "sub2");
    rename("sparse", "added/sparse");
}

fn replaced(root: &Path) {
    // A file by a folder, a folder by a file, and links by both and the other way round.
    std::fs::remove_file(root.join("a-zeros")).unwrap();
    std::fs::create_dir(root.join("a-zeros")).unwrap();
    write_file(&root.join("a-zeros/inside"), "inside");
    std::fs::remove_dir_all(root.join("sub-x")).unwrap();
    write_file(&root.join("sub-x"), noise("was a folder", 1 << 20));
    std::fs::remove_file(root.join("to a folder")).unwrap();
    write_file(&root.join("to a folder"), "a file now");
    std::fs::remove_file(root.join("none")).unwrap();
    symlink("no", root.join("none")).unwrap();
    std::fs::remove_dir_all(root.join("closed")).unwrap();
    symlink("sub2", root.join("closed")).unwrap();
    std::fs::remove_file(root.join("a pipe")).unwrap();
    write_file(&root.join("a pipe"), "no pipe any more");
}

fn grown_and_cut(root: &Path) {
    let append = |name: &str, bytes: &[u8]| {
        let file = File::options().append(true).open(root.join(name)).unwrap();
        std::io::Write::write_all(&mut &file, bytes).unwrap();
    };
    append("big", &noise("more", (1 << 20) + 9));
    append("to a folder", b" and longer");
    append("no", b"no more nothing");
    let cut = |name: &str, length| {
        File::options().write(true).open(root.join(name)).unwrap().set_len(length).unwrap();
    };
    cut("sub-x", 700_000);
    cut("~last of all", 0);
    cut("huge", 1 << 20);
}

fn holes(root: &Path) {
    let open = |name: &str| File::options().write(true).open(root.join(name)).unwrap();
    let file = open("added/sparse");
    file.write_all_at(&noise("filled", 200_000), 20 << 20).unwrap();
    file.set_len(50 << 20).unwrap();
    file.sync_all().unwrap();
    let file = open("all hole");
    file.write_all_at(b"no longer", 7 << 19).unwrap();
    file.sync_all().unwrap();
    let file = open("big");
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&file, punch, 1 << 20, 1 << 20).unwrap();
    file.sync_all().unwrap();
}

fn hard_links_changed(root: &Path) {
    // The first name goes, so that a later one leads; another group is split; two files become one.
    std::fs::remove_file(root.join("big")).unwrap();
    std::fs::remove_file(root.join("sparse too")).unwrap();
    write_file(&root.join("sparse too"), "on its own now");
    std::fs::hard_link(root.join("zz"), root.join("!front")).unwrap();
    std::fs::remove_file(root.join("~last of all")).unwrap();
    std::fs::hard_link(root.join("to a folder"), root.join("~last of all")).unwrap();
}

fn metadata_changed(root: &Path) {
    mode(&root.join("zz"), 0o600);
    mode(&root.join("moved"), 0o3700);
    lchown(root.join("huge"), Some(4), Some(5)).unwrap();
    lchown(root.join("long target"), Some(6), Some(7)).unwrap();
    xattr(&root.join("zz"), "user.origin", b"another");
    rustix::fs::removexattr(root.join("zz"), "user.empty").unwrap();
    xattr(&root.join("added"), "user.new", b"folder");
    set_mtime(&root.join("sub-x"), 3, 3);
    set_mtime(&root.join("raw target"), 4, 4);
    set_mtime(&root.join("added/empty"), 5, 5);
}

fn rewritten_with_old_size_and_time(root: &Path) {
    for name in ["zz", "to a folder", "sub-x"] {
        let path = root.join(name);
        let was = path.metadata().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"changed", was.size() / 2).unwrap();
        drop(file);
        set_mtime(&path, was.mtime(), was.mtime_nsec());
    }
}

fn emptied(root: &Path) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() || !path.is_dir() {
            std::fs::remove_file(path).unwrap();
        } else {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}

fn filled_again(root: &Path) {
    fill_with_everything(root);
}
