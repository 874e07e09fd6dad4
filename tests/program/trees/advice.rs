//! The advice of a failure works when it is followed to the letter.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fixture::TREE;
use crate::support::{TestServer, succeed, write_file};

/// A tree that others may read, but for the file or folder of this name.
fn tree(name: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("the tree's");
    let closed = root.join(OsStr::from_bytes(name));
    std::fs::create_dir_all(closed.parent().unwrap()).unwrap();
    write_file(&closed, "closed");
    write_file(&root.join("open"), "open");
    let mode = |path: &Path, bits| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
    };
    mode(folder.path(), 0o755);
    mode(&closed, 0o600);
    (folder, root)
}

fn server(root: &Path, more: &str) -> TestServer {
    let source = format!("{{ path = {:?}{more} }}", root.to_str().unwrap());
    TestServer::builder()
        .instance_of(TREE, "directory", &source, "quick")
        .allow_warning(" failed: ")
        .unprivileged()
        .start()
}

#[test]
fn the_advised_line_leaves_out_a_file_of_any_name() {
    for name in [
        &b"plain"[..],
        b"folder/b\xff\xfe d",
        "Screenshot 9.41\u{202f}AM.png".as_bytes(),
        b"a \"quoted\\ 'name'",
        b"line\nfeed\x7f\x1b",
    ] {
        let (_folder, root) = tree(name);
        let (code, message) = server(&root, "").admin().failed(TREE);
        assert_eq!(code, "source_denied");
        let (_, line) = message.split_once("leave it out with source.").unwrap();
        let following = server(&root, &format!(", {line}"));
        let full = following.admin().full(TREE);
        let restored = following.restored(&full);
        assert!(restored.join("open").exists());
        assert!(!restored.join(OsStr::from_bytes(name)).exists(), "{line}");
    }
}

#[test]
fn the_advised_command_gives_the_right_to_read() {
    let (_folder, root) = tree(b"closed");
    let server = server(&root, "");
    let (_, message) = server.admin().failed(TREE);
    let command = message.split('`').nth(1).unwrap();
    succeed(Command::new("bash").args(["-c", command]));
    let restored = server.restored(&server.admin().full(TREE));
    assert_eq!(std::fs::read_to_string(restored.join("closed")).unwrap(), "closed");
}
