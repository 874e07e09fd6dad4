//! Every kind of inode, attribute and mount: restored the same, or named; and nothing else is named.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::Value;

use super::fixture::{Fixture, TREE};
use super::listing::{assert_same, listing};
use super::sample::{acl, fill_with_everything, mode, set_mtime, xattr};
use crate::support::{TestServer, UNPRIVILEGED, stderr_of, succeed, write_file};

/// Takes flags and mounts away before the tree is removed.
struct Cleared(PathBuf);

impl Drop for Cleared {
    fn drop(&mut self) {
        for point in ["in memory", "proc", "bound"] {
            Command::new("umount").arg("--lazy").arg(self.0.join(point)).output().unwrap();
        }
        for name in ["immutable", "append only"] {
            flag("-ia", &self.0.join(name));
        }
    }
}

fn mount(arguments: &[&str], point: &Path) {
    succeed(Command::new("mount").args(arguments).arg(point));
}

fn flag(flags: &str, path: &Path) {
    succeed(Command::new("chattr").arg(flags).arg(path));
}

/// What `sample` does not have.
fn rarities(root: &Path) {
    let make = |name: &str, kind, device| {
        mknodat(CWD, root.join(name), kind, Mode::RUSR, device).unwrap();
    };
    make("whiteout", FileType::CharacterDevice, makedev(0, 0));
    for (of, name) in [("a pipe", "pipe too"), ("block", "block too"), ("dangling", "sub/dangles")]
    {
        std::fs::hard_link(root.join(of), root.join(name)).unwrap();
    }
    symlink("self", root.join("self")).unwrap();
    xattr(&root.join("self"), "trusted.of.link", b"yes");
    std::fs::hard_link(root.join("self"), root.join("a self")).unwrap();
    xattr(&root.join("zeros"), "security.selinux", b"system_u:object_r:etc_t:s0\0");
    xattr(&root.join("zeros"), "security.any", b"\0");
    for (name, seconds) in [("old", i64::from(i32::MIN)), ("late", (1 << 34) - 2_147_483_649)] {
        write_file(&root.join(name), name);
        set_mtime(&root.join(name), seconds, 999_999_999);
    }
    for (name, flags) in
        [("immutable", "+i"), ("append only", "+a"), ("no times", "+A"), ("flagged", "+dS")]
    {
        if name == "flagged" {
            std::fs::create_dir(root.join(name)).unwrap();
        } else {
            write_file(&root.join(name), name);
        }
        flag(flags, &root.join(name));
    }
    write_file(&root.join("flagged/inherits"), "dS");
    write_file(&root.join("flagged/more"), "dSA");
    flag("+A", &root.join("flagged/more"));
    write_file(&root.join("flagged/none"), "");
    flag("-dS", &root.join("flagged/none"));
    for point in ["in memory", "proc", "bound"] {
        std::fs::create_dir(root.join(point)).unwrap();
    }
    mount(&["-t", "tmpfs", "coffer-test"], &root.join("in memory"));
    write_file(&root.join("in memory/file"), "in memory");
    xattr(&root.join("in memory/file"), "trusted.x", b"y");
    mount(&["--bind", root.join("sub").to_str().unwrap()], &root.join("bound"));
    mount(&["-t", "proc", "proc"], &root.join("proc"));
}

/// What the backup names, and why.
fn named(backup: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = backup["left_out"].as_array().unwrap();
    all.iter().map(|it| (text(&it["what"]), text(&it["why"]))).collect()
}

#[test]
fn every_kind_of_inode_attribute_and_mount_is_restored_or_named() {
    let fixture = Fixture::new(|root| {
        fill_with_everything(root);
        rarities(root);
    });
    let cleared = Cleared(fixture.tree.clone());
    let expected = [
        ("a pipe", "fifo"),
        ("append only", "its inode flags (lsattr: a) are not kept"),
        ("block", "device"),
        ("block too", "device"),
        ("bound/null", "device"),
        ("bound/socket", "socket"),
        (
            "flagged",
            "its inode flags (lsattr: Sd) are not kept, nor where they are inherited from it",
        ),
        ("flagged/more", "its inode flags (lsattr: A) are not kept"),
        ("immutable", "its inode flags (lsattr: i) are not kept"),
        ("no times", "its inode flags (lsattr: A) are not kept"),
        ("pipe too", "fifo"),
        ("proc", "filesystem of the kernel's own: it shows the running system, and holds no files"),
        ("sub/null", "device"),
        ("sub/socket", "socket"),
        ("whiteout", "device"),
    ];
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(what, why)| ((*what).to_owned(), (*why).to_owned())).collect();
    let full = fixture.full();
    mode(&fixture.tree.join("old"), 0o1);
    let incremental = fixture.incremental();
    for backup in [&full, &incremental] {
        assert_eq!(named(backup), expected);
    }
    succeed(Command::new("umount").arg(fixture.tree.join("proc")));
    let mut was = listing(&fixture.tree);
    was.remove(Path::new("proc")).unwrap();
    assert_same(&was, &fixture.restored_listing(&incremental), "restored");
    drop(cleared);
}

#[test]
fn an_unprivileged_reader_restores_what_it_may_and_says_what_it_may_not() {
    let folder = tempfile::tempdir().unwrap();
    mode(folder.path(), 0o755);
    let tree = folder.path().join("source");
    std::fs::create_dir_all(tree.join("folder")).unwrap();
    for name in ["own", "of another", "folder/listed", "set-uid"] {
        write_file(&tree.join(name), name);
    }
    symlink("own", tree.join("link")).unwrap();
    std::fs::hard_link(tree.join("own"), tree.join("folder/again")).unwrap();
    xattr(&tree.join("own"), "user.origin", b"here");
    let all = ["", "folder", "own", "folder/listed", "set-uid", "link"];
    for name in all {
        lchown(tree.join(name), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
    }
    xattr(&tree.join("folder/listed"), "system.posix_acl_access", &acl(0));
    lchown(tree.join("of another"), Some(1234), Some(1234)).unwrap();
    mode(&tree.join("of another"), 0o4755);
    mode(&tree.join("set-uid"), 0o4755);
    let source = format!("{{ path = {:?} }}", tree.to_str().unwrap());
    let server = TestServer::builder()
        .instance_of(TREE, "directory", &source, "quick")
        .unprivileged()
        .start();
    let full = server.admin().full(TREE);
    assert_eq!(full["left_out"], serde_json::json!([]));
    let target = server.folder().join("restored");
    let id = full["id"].as_str().unwrap();
    let said = server.run(&["restore", id, "--to", target.to_str().unwrap(), "--json"]);
    assert_eq!(said.status.code(), Some(5), "restored in part: {said:?}");
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let lost: Vec<&str> = report["not_restored"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["what"].as_str().unwrap())
        .collect();
    let bits = "the set-user-ID and set-group-ID bits of 1 member";
    assert_eq!(lost, ["the owner or group of 1 member", bits]);
    assert!(stderr_of(&said).contains("restored in part"), "{said:?}");
    let other = target.join("of another").metadata().unwrap();
    assert_eq!(
        (other.uid(), other.mode() & 0o7777),
        (UNPRIVILEGED, 0o755),
        "somebody else's set-uid"
    );
    let (mut was, mut is) = (listing(&tree), listing(&target));
    assert!(was.remove(Path::new("of another")).is_some());
    assert!(is.remove(Path::new("of another")).is_some());
    assert_same(&was, &is, "what belongs to the reader");
}
