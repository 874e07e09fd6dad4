//! Mounted filesystems in a tree: those that do not answer are named, and hold nothing up.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::fixture::{Fixture, TREE};
use crate::support::{TestServer, succeed, write_file};

/// Mounts a filesystem that nobody serves, as one whose server is gone.
const DEAD: &str = "
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
device = os.open('/dev/fuse', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0' % device
if libc.mount(b'dead', os.fsencode(sys.argv[1]), b'fuse', 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print('mounted', flush=True)
time.sleep(600)
";

struct DeadMount {
    server: Child,
    path: PathBuf,
}

impl DeadMount {
    fn at(path: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", DEAD]).arg(path).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut word = [0; 7];
        std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut word).unwrap();
        Self { server, path: path.to_owned() }
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        // While the device is open, `umount` would wait for an answer too.
        self.server.kill().unwrap_or_default();
        self.server.wait().map(drop).unwrap_or_default();
        succeed(Command::new("umount").arg("--lazy").arg(&self.path));
    }
}

/// A server for this tree, whose `source` has these keys too, and for another.
fn fixture(plant: impl FnOnce(&Path), keys: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let (tree, other) = (folder.path().join("source"), folder.path().join("other"));
    std::fs::create_dir_all(tree.join("mount \\ point")).unwrap();
    std::fs::create_dir(&other).unwrap();
    write_file(&tree.join("a file"), "in the tree");
    plant(&tree);
    let source = format!("{{ path = {:?}, {keys} }}", tree.to_str().unwrap());
    let server = TestServer::builder()
        .instance_of(TREE, "directory", &source, "quick")
        .instance_directory("other", &other)
        .instance_sqlite("database", &tree.join("mount \\ point/a.db"))
        .allow_warning("a.db has not answered")
        .allow_warning(" failed: ")
        .start();
    Fixture { server, tree, folder }
}

#[test]
fn a_mounted_filesystem_that_does_not_answer_is_left_out_and_holds_nothing_up() {
    let fixture = fixture(|_| {}, "answer_wait_s = 1");
    let dead = DeadMount::at(&fixture.tree.join("mount \\ point"));
    let begun = Instant::now();
    let accepted = fixture.client().create_backup(TREE, &json!({}));
    fixture.client().full("other");
    let full = fixture.client().completed(&accepted);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let reason = "mounted filesystem that does not answer";
    assert_eq!(full["left_out"], json!([{"what": "mount \\ point", "why": reason}]));
    let restored = fixture.restored(&full);
    assert_eq!(std::fs::read_to_string(restored.join("a file")).unwrap(), "in the tree");
    drop(dead);
    assert_eq!(fixture.full()["left_out"], json!([]), "it is back");
}

#[test]
fn a_database_on_a_filesystem_that_does_not_answer_fails_after_the_configured_wait() {
    let fixture = fixture(|_| {}, "answer_wait_s = 1");
    let dead = DeadMount::at(&fixture.tree.join("mount \\ point"));
    let (code, message) = fixture.client().failed("database");
    assert_eq!(code, "source_missing");
    assert!(message.contains("has not answered for 15 s"), "{message}");
    drop(dead);
}

#[test]
fn other_filesystems_are_left_out_on_request_and_named() {
    let mount = |tree: &Path| {
        let point = tree.join("mount \\ point");
        succeed(Command::new("mount").args(["-t", "tmpfs", "coffer-test"]).arg(&point));
        write_file(&point.join("inside"), "inside");
    };
    for (keys, expected) in [
        ("one_file_system = false", json!([])),
        (
            "one_file_system = true",
            json!([{
                "what": "mount \\ point",
                "why": "another filesystem (one_file_system)",
            }]),
        ),
    ] {
        let fixture = fixture(mount, keys);
        let full = fixture.full();
        let restored = fixture.restored(&full);
        succeed(Command::new("umount").arg(fixture.tree.join("mount \\ point")));
        assert_eq!(full["left_out"], expected, "{keys}");
        assert_eq!(restored.join("mount \\ point/inside").exists(), expected == json!([]));
    }
}
