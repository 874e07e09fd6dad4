//! Archives read by other programs: zstd, GNU tar, another reader of the seekable format.

use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use coffer::domain::num::to_u64;
use coffer::domain::{Entry, EntryKind, SEGMENT_BYTES};

use super::fixture::{TestArchive, child, file, full, mixed_tree, noise, sparse};

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    let warnings: Vec<_> =
        stderr.lines().filter(|line| !line.contains("implausibly old")).collect();
    assert!(warnings.is_empty(), "{program} {arguments:?}: {warnings:?}");
    output.stdout
}

/// Writes the archive to a file.
fn save(folder: &Path, made: &TestArchive) -> PathBuf {
    let at = folder.join("backup.tar.zst");
    let mut out = File::create_new(&at).unwrap();
    out.write_all(&made.bytes).unwrap();
    at
}

fn extracted(folder: &Path, entry: &Entry) -> PathBuf {
    folder.join("data").join(std::ffi::OsStr::from_bytes(entry.path.as_bytes()))
}

#[test]
fn tar_alone_restores_a_full_backup() {
    let folder = tempfile::tempdir().unwrap();
    let tree = mixed_tree();
    let archive = save(folder.path(), &full(&tree));
    let (archive, target) = (archive.to_str().unwrap(), folder.path().to_str().unwrap());
    run("zstd", &["-t", "-q", archive]);
    // Only root may change owners, and not every filesystem has extended attributes.
    run("tar", &["--zstd", "--no-same-owner", "-xpf", archive, "-C", target]);
    for member in &tree {
        let at = extracted(folder.path(), &member.entry);
        let found = fs::symlink_metadata(&at).unwrap();
        match &member.entry.kind {
            EntryKind::File { .. } => {
                assert!(fs::read(&at).unwrap() == member.content, "{at:?}");
                assert_eq!(found.mode() & 0o7777, 0o640, "{at:?}");
                let mtime =
                    i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
                assert_eq!(mtime, member.entry.mtime_ns, "{at:?}");
            }
            EntryKind::Directory => assert!(found.is_dir()),
            EntryKind::Symlink { target } => {
                assert_eq!(fs::read_link(&at).unwrap().as_os_str().as_bytes(), target);
            }
            EntryKind::HardLink { to } => {
                let first = folder.path().join("data").join(to.to_string());
                assert_eq!(found.ino(), fs::metadata(first).unwrap().ino());
            }
        }
    }
    let text = fs::read_to_string(folder.path().join(".coffer/RESTORE.txt")).unwrap();
    assert_eq!(text, "how to restore\n");
    let json = fs::read(folder.path().join(".coffer/manifest.json")).unwrap();
    assert!(serde_json::from_slice::<coffer::archive::Manifest>(&json).is_ok());
}

#[test]
fn tar_restores_extended_attributes_where_the_filesystem_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(folder.path(), "user.probe", b"x", flags).is_err() {
        return;
    }
    let value = b"a\nb=c\0".to_vec();
    let mut member = file("a", "a");
    member.entry.xattrs = vec![(b"user.note".to_vec(), value.clone())];
    let archive = save(folder.path(), &full(std::slice::from_ref(&member)));
    let target = folder.path().to_str().unwrap();
    run("tar", &["--zstd", "--xattrs", "-xf", archive.to_str().unwrap(), "-C", target]);
    let mut found = [0; 64];
    let at = extracted(folder.path(), &member.entry);
    let length = rustix::fs::getxattr(at, "user.note", &mut found).unwrap();
    assert_eq!(found[..length], value);
}

#[test]
fn tar_alone_keeps_holes() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = vec![0; 40 * SEGMENT_BYTES];
    let start = 20 * SEGMENT_BYTES;
    content[start..start + 8192].copy_from_slice(&noise(8192, 1));
    let long = "h".repeat(120);
    let tree = [
        sparse("end", content.clone(), &[(to_u64(start), 8192)]),
        sparse(&long, vec![0; 9 * SEGMENT_BYTES], &[]),
    ];
    let archive = save(folder.path(), &full(&tree));
    let target = folder.path().to_str().unwrap();
    run("tar", &["--zstd", "-xf", archive.to_str().unwrap(), "-C", target]);
    for member in &tree {
        let at = extracted(folder.path(), &member.entry);
        assert!(fs::read(&at).unwrap() == member.content);
        assert!(fs::metadata(&at).unwrap().blocks() * 512 < 100_000, "{at:?}");
    }
}

#[test]
fn tar_lists_the_instructions_and_the_manifest_of_an_incremental() {
    let folder = tempfile::tempdir().unwrap();
    let root = full(&[file("a", "a")]);
    let made = child(&[root], &[file("a", "b"), file("c", noise(SEGMENT_BYTES + 1, 1))], false);
    let archive = save(folder.path(), &made);
    let archive = archive.to_str().unwrap();
    run("zstd", &["-t", "-q", archive]);
    let list = run("tar", &["--zstd", "-tf", archive]);
    assert_eq!(list, b".coffer/RESTORE.txt\n.coffer/manifest.json\n");
}

#[test]
fn another_reader_of_the_seekable_format_can_seek() {
    let made = full(&mixed_tree());
    let plain = zstd_content(&made.bytes);
    let source = Cursor::new(made.bytes.clone());
    let mut decoder = zeekstd::Decoder::new(source).unwrap();
    let at = to_u64(plain.len() / 2);
    decoder.set_offset(at).unwrap();
    decoder.set_offset_limit(at + 100_000).unwrap();
    let mut found = vec![0; 100_000];
    let mut filled = 0;
    while filled < found.len() {
        let now = decoder.decompress(&mut found[filled..]).unwrap();
        assert!(now > 0);
        filled += now;
    }
    let start = plain.len() / 2;
    assert!(found == plain[start..start + 100_000]);
}

/// The archive as zstd decompresses it.
fn zstd_content(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 << 20);
    zstd_safe::decompress(&mut out, bytes).unwrap();
    out
}
