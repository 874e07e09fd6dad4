//! Trees to back up.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use crate::support::write_file;

const MIB: usize = 1 << 20;

/// Bytes that do not compress, others for each seed.
pub(crate) fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(bits)).unwrap();
}

/// Sets the time of the last change, of a link itself too.
pub(crate) fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(crate) fn xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// A file of `length` with data at these places only.
pub(crate) fn sparse(path: &Path, length: u64, pieces: &[(u64, &[u8])]) {
    let file = File::options().write(true).create_new(true).open(path).unwrap();
    file.set_len(length).unwrap();
    for (offset, bytes) in pieces {
        file.write_all_at(bytes, *offset).unwrap();
    }
    // Where the holes are is settled when the data is on the disk.
    file.sync_all().unwrap();
}

/// A list that lets user 12345 read, in the kernel's own form (version 2): owner, that user, group, mask, others.
pub(crate) fn acl(others: u16) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, bits, who) in
        [(1, 6, nobody), (2, 4, 12_345), (4, 4, nobody), (16, 4, nobody), (32, others, nobody)]
    {
        let (tag, bits): (u16, u16) = (tag, bits);
        bytes.extend(tag.to_le_bytes());
        bytes.extend(bits.to_le_bytes());
        bytes.extend(u32::to_le_bytes(who));
    }
    bytes
}

/// Fills a tree with every kind of entry. Needs root, for owners and devices.
pub(crate) fn fill_with_everything(root: &Path) {
    assert!(rustix::process::geteuid().is_root(), "owners and devices are root's to make");
    files(root);
    holes(root);
    links(root);
    attributes(root);
    sockets_pipes_and_devices(root);
    owners_and_times(root);
}

fn files(root: &Path) {
    for folder in ["empty", "sub/deep/deeper", "sub-x", "closed"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    write_file(&root.join("big"), noise("big", 3 * MIB + 17));
    write_file(&root.join("exact"), noise("exact", MIB));
    write_file(&root.join("zeros"), vec![0; 2 * MIB + 5]);
    write_file(&root.join("none"), "");
    write_file(&root.join("sub/one byte"), "1");
    write_file(&root.join("sub/deep/deeper/a \"b\"\n'c\\ $(d)*"), "odd name");
    write_file(&root.join("closed/secret"), "nobody but root");
    write_file(&root.join(OsStr::from_bytes(b"sub-x/\xff\xfe not UTF-8")), "raw");
    let folder = root.join(OsStr::from_bytes(b"f\xe4lder"));
    std::fs::create_dir(&folder).unwrap();
    write_file(&folder.join("-rf"), "looks like an option");
    write_file(&root.join("n".repeat(255)), "longest name");
    let mut deep = root.join("sub/deep");
    for _ in 0..12 {
        deep.push("d".repeat(60));
        std::fs::create_dir(&deep).unwrap();
    }
    write_file(&deep.join("at the end"), "far below");
}

fn holes(root: &Path) {
    let data = noise("data", 5000);
    sparse(&root.join("sparse"), 40 << 20, &[(3 << 20, &data), ((9 << 20) + 77, &data)]);
    sparse(&root.join("all hole"), 7 << 20, &[]);
    sparse(&root.join("hole in front"), (1 << 20) + 5000, &[(1 << 20, &data)]);
    sparse(&root.join("small hole"), 20_000, &[(0, &data[..4096]), (16_384, &data[..3616])]);
    let long = format!("sub-x/{}", "sparse ".repeat(30));
    sparse(&root.join(long), 3 << 20, &[(1 << 20, b"long name")]);
    sparse(&root.join(OsStr::from_bytes(b"sparse \xff\n")), 2 << 20, &[(65_536, b"raw name")]);
    sparse(&root.join("huge"), 256 << 20, &[(128 << 20, b"a needle")]);
}

fn links(root: &Path) {
    symlink("../nowhere/at all", root.join("dangling")).unwrap();
    symlink("sub", root.join("to a folder")).unwrap();
    symlink("/etc/passwd", root.join("sub/absolute")).unwrap();
    symlink("t".repeat(300), root.join("long target")).unwrap();
    symlink(OsStr::from_bytes(b"\xff\xfe"), root.join("raw target")).unwrap();
    for (of, name) in
        [("big", "sub/again"), ("big", "zz"), ("sparse", "sparse too"), ("none", "no")]
    {
        std::fs::hard_link(root.join(of), root.join(name)).unwrap();
    }
    std::fs::hard_link(root.join("n".repeat(255)), root.join("sub/long's other name")).unwrap();
}

fn attributes(root: &Path) {
    xattr(&root.join("big"), "user.origin", b"a\0b\n=c");
    xattr(&root.join("big"), "user.empty", b"");
    xattr(&root.join("big"), "user.with=sign 100%", b"odd name");
    xattr(&root.join("big"), "user.%3D", b"looks encoded");
    xattr(&root.join("sparse"), "user.on.sparse", b"yes");
    xattr(&root.join("none"), "user.on.nothing", &noise("attribute", 3000));
    xattr(&root.join("empty"), "user.folder", b"yes");
    xattr(root, "user.root", b"yes");
    xattr(&root.join("exact"), "trusted.by.root", b"yes");
    xattr(&root.join("exact"), "system.posix_acl_access", &acl(0));
    xattr(&root.join("sub-x"), "system.posix_acl_default", &acl(4));
    // cap_net_raw, permitted and effective.
    let capability = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    xattr(&root.join("sub/one byte"), "security.capability", &capability);
}

fn sockets_pipes_and_devices(root: &Path) {
    drop(UnixListener::bind(root.join("sub/socket")).unwrap());
    let make = |name: &str, kind, device| {
        rustix::fs::mknodat(CWD, root.join(name), kind, Mode::RUSR, device).unwrap();
    };
    make("a pipe", FileType::Fifo, 0);
    make("sub/null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    make("block", FileType::BlockDevice, rustix::fs::makedev(7, 200));
}

fn owners_and_times(root: &Path) {
    for (name, uid, gid) in [
        ("big", 1234, 5678),
        ("empty", 1, 2),
        ("dangling", 77, 88),
        ("sparse", 3_000_000_000, 2_500_000),
        ("sub", 65_534, 65_534),
        ("exact", 9, 9),
    ] {
        lchown(root.join(name), Some(uid), Some(gid)).unwrap();
    }
    for (name, bits) in [
        ("big", 0o4711),
        ("exact", 0o2640),
        ("none", 0o000),
        ("empty", 0o1777),
        ("sub", 0o2755),
        ("closed", 0o000),
        ("zeros", 0o444),
        ("sub/deep/deeper", 0o555),
    ] {
        mode(&root.join(name), bits);
    }
    for (name, seconds, nanoseconds) in [
        ("big", 1_234_567_890, 123_456_789),
        ("exact", 0, 0),
        ("zeros", -1, 1),
        ("none", -86_400 * 365, 0),
        ("sparse", 4_102_444_800, 999_999_999),
        ("dangling", 1_000_000_000, 7),
        ("long target", -7, 250_000_000),
        ("closed", 5, 5),
        ("sub/deep/deeper", 86_400, 10),
        ("sub/deep", 86_401, 20),
        ("sub", 2, 1),
    ] {
        set_mtime(&root.join(name), seconds, nanoseconds);
    }
    mode(root, 0o2751);
    set_mtime(root, 1_500_000_000, 987_654_321);
}
