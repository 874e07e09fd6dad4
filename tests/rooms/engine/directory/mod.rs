//! The engine `directory`, with a tree that has one of everything.

mod dump;
mod load;
mod random_changes;

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use coffer::engine::{Engine, find};

use super::conformance::{EngineTest, TestSource, engine_conformance};

fn engine() -> &'static dyn Engine {
    find("directory").unwrap()
}

/// A tree with one of everything that is backed up.
struct Tree;

impl EngineTest for Tree {
    fn engine() -> &'static dyn Engine {
        engine()
    }
    fn create(folder: &Path) -> TestSource {
        let root = folder.join("the tree");
        for path in ["sub/deep", "empty", "sub-x"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        write(&root.join("big"), &noise(3 * 1024 * 1024 + 17));
        write(&root.join("exact"), &noise(1 << 20));
        write(&root.join("sub/deep/a \"b\"\n'c"), b"small");
        write(&root.join("sub/none"), b"");
        write(&root.join(OsStr::from_bytes(b"sub-x/\xff\xfe")), b"not UTF-8");
        let sparse = write(&root.join("sparse"), b"");
        sparse.set_len(5 << 20).unwrap();
        sparse.write_all_at(b"in the middle", 3 << 20).unwrap();
        std::fs::hard_link(root.join("big"), root.join("sub/again")).unwrap();
        symlink("../nowhere/at all", root.join("link")).unwrap();
        for (path, mode) in
            [("big", 0o4711), ("empty", 0o1755), ("sub/deep", 0o555), ("sub", 0o750)]
        {
            std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode))
                .unwrap();
        }
        let xattr = |path: &str| {
            let file = File::open(root.join(path)).unwrap();
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::fsetxattr(&file, "user.origin", b"a\0b", flags)
        };
        xattr("big").and_then(|()| xattr("empty")).unwrap();
        age(&root.join("sub/deep"), -5);
        age(&root, 1_000_000_007);
        TestSource::at(engine(), root)
    }
    fn assert_same(original: &TestSource, restored: &Path) {
        assert_eq!(listed(&original.path), listed(restored));
    }
}

engine_conformance!(Tree);

fn write(path: &Path, content: &[u8]) -> File {
    let file = File::options().write(true).create_new(true).open(path).unwrap();
    file.write_all_at(content, 0).unwrap();
    file
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
    bytes
}

/// Sets the time of the last change to these seconds and some nanoseconds.
fn age(path: &Path, seconds: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 123_456_789 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty()).unwrap();
}

/// Everything that the standard library tells about a tree: a line for each member.
fn listed(root: &Path) -> Vec<String> {
    let tell = |path: &Path, found: &Metadata| {
        let content = if found.is_file() {
            blake3::hash(&std::fs::read(path).unwrap()).to_string()
        } else if found.is_symlink() {
            format!("{:?}", std::fs::read_link(path).unwrap())
        } else {
            String::new()
        };
        let xattr = File::open(path).ok().and_then(|file| {
            let mut value = vec![0; 16];
            let length = rustix::fs::fgetxattr(&file, "user.origin", &mut value).ok()?;
            value.truncate(length);
            Some(value)
        });
        let links = if found.is_dir() { 0 } else { found.nlink() };
        let shared = found.is_file().then(|| found.blocks() * 512 >= found.size());
        format!(
            "{:?} {:o} {}:{} {}.{:09} {links} {shared:?} {xattr:?} {content}",
            path.strip_prefix(root).unwrap(),
            found.mode(),
            found.uid(),
            found.gid(),
            found.mtime(),
            found.mtime_nsec(),
        )
    };
    let mut lines = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let found = std::fs::symlink_metadata(&path).unwrap();
        lines.push(tell(&path, &found));
        if found.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    lines.sort();
    lines
}
