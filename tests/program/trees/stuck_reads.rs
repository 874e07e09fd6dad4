//! A filesystem that dies while it is read: the backup is given up after its time, and nothing else waits.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use crate::support::{TestServer, succeed, wait_until, write_file};

/// Serves a folder in memory with a copy of one file, `a.db`, and answers everything; but when a piece of that file behind
/// its first 2 MiB is read so often as it is told, it never answers again.
const SERVER: &str = "
import collections, ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
device = os.open('/dev/fuse', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=131072' % device
if libc.mount(b'stuck', os.fsencode(sys.argv[1]), b'fuse', 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print('mounted', flush=True)
names = {b'a.db': 2}
content = {2: bytearray(open(sys.argv[2], 'rb').read())}
last, times = int(sys.argv[3]), collections.Counter()
def attr(node):
    folder = node == 1
    mode, size = (0o40755, 0) if folder else (0o100644, len(content[node]))
    return struct.pack('<6Q10I', node, size, size // 512, 1, 1, 1, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
def answer(unique, body=b'', error=0):
    os.write(device, struct.pack('<IiQ', 16 + len(body), -error, unique) + body)
def entry(node):
    return struct.pack('<QQQQII', node, 0, 0, 0, 0, 0) + attr(node)
def opened(node):
    # Past the kernel's cache, so that every read comes here. Files that are mapped need the cache.
    return struct.pack('<QII', 0, 1 if node == 2 else 0, 0)
while True:
    request = os.read(device, 1 << 21)
    length, code, unique, node = struct.unpack_from('<IIQQ', request)
    body = request[40:]
    name = body.rstrip(b'\\0')
    if code == 26:
        answer(unique, struct.pack('<IIIIHHIIHHI7I', 7, 31, 0, 0, 16, 12, 131072, 1, 32, 0, 0, *[0] * 7))
    elif code == 1:
        answer(unique, entry(names[name])) if name in names else answer(unique, b'', 2)
    elif code == 3:
        answer(unique, struct.pack('<QII', 0, 0, 0) + attr(node))
    elif code == 4:
        wanted, _, _, size = struct.unpack_from('<IIQQ', body)
        if wanted & 8:
            content[node][size:] = bytes(max(0, size - len(content[node])))
        answer(unique, struct.pack('<QII', 0, 0, 0) + attr(node))
    elif code == 10:
        answer(unique) if names.pop(name, None) else answer(unique, b'', 2)
    elif code in (14, 27):
        answer(unique, opened(node))
    elif code == 35:
        name = body[16:].rstrip(b'\\0')
        names[name] = node = len(content) + 2
        content[node] = bytearray()
        answer(unique, entry(node) + opened(node))
    elif code == 28:
        first = struct.unpack_from('<QQ', body)[1] == 0
        answer(unique, struct.pack('<QQII', 2, 1, 4, 8) + b'a.db\\0\\0\\0\\0' if first else b'')
    elif code == 15:
        offset, size = struct.unpack_from('<QI', body, 8)
        pieces = range((offset + 4095) >> 12, (offset + size + 4095) >> 12) if node == 2 else []
        times.update(it for it in pieces if it >= 512)
        if all(times[it] < last for it in pieces):
            answer(unique, bytes(content[node][offset:offset + size]))
    elif code == 16:
        offset, size = struct.unpack_from('<QI', body, 8)
        content[node][len(content[node]):] = bytes(max(0, offset - len(content[node])))
        content[node][offset:offset + size] = body[40:40 + size]
        answer(unique, struct.pack('<II', size, 0))
    elif code in (18, 20, 25, 29, 34):
        answer(unique)
    elif code == 17:
        answer(unique, struct.pack('<5Q4I6I', 9, 9, 9, 9, 9, 4096, 255, 4096, 0, *[0] * 6))
    elif code not in (2, 36, 42):
        answer(unique, b'', 38)
";

/// A mounted folder with a copy of one file.
struct StuckMount {
    server: Child,
    path: PathBuf,
}

impl StuckMount {
    /// Its database is in this journal mode and has 8 MiB, of which a piece can be read as often as `last` says, and
    /// then never again.
    fn at(path: &Path, journal_mode: &str, last: u32) -> Self {
        let database = tempfile::NamedTempFile::new().unwrap();
        let connection = Connection::open(database.path()).unwrap();
        let make = format!(
            "PRAGMA journal_mode = {journal_mode}; CREATE TABLE t(data BLOB);
             INSERT INTO t VALUES (zeroblob(4 << 20)), (zeroblob(4 << 20))"
        );
        connection.execute_batch(&make).unwrap();
        drop(connection);
        let mut command = Command::new("python3");
        command.args(["-c", SERVER]).args([path, database.path()]).arg((last + 1).to_string());
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut word = [0; 7];
        std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut word).unwrap();
        wait_until("the file", || path.join("a.db").exists().then_some(()));
        Self { server, path: path.to_owned() }
    }
}

impl Drop for StuckMount {
    fn drop(&mut self) {
        self.server.kill().unwrap_or_default();
        self.server.wait().map(drop).unwrap_or_default();
        succeed(Command::new("umount").arg("--lazy").arg(&self.path));
    }
}

/// Two folders: one for such a mount, the other with a file.
fn folders(folder: &Path) -> [PathBuf; 2] {
    let [stuck, other] = ["stuck", "other"].map(|name| folder.join(name));
    for path in [&stuck, &other] {
        std::fs::create_dir(path).unwrap();
    }
    write_file(&other.join("file"), "x");
    [stuck, other]
}

/// A backup of this instance is given up after its time, is not begun again, and meanwhile another is made.
#[track_caller]
fn assert_given_up(server: &TestServer, instance: &str) {
    let begun = Instant::now();
    let accepted = server.admin().create_backup("other", &json!({}));
    let (code, message) = server.admin().failed(instance);
    assert_eq!(code, "source_missing", "{message}");
    assert!(message.contains("has not answered for 5 s"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    server.admin().completed(&accepted);
    let (_, again) = server.admin().failed(instance);
    assert!(again.contains("still does not answer"), "{again}");
    server.assert_tmp_is_empty();
}

fn source(path: &Path, more: &str) -> String {
    format!("{{ path = {:?}, answer_wait_s = 1{more} }}", path.to_str().unwrap())
}

#[test]
fn a_source_that_stops_to_answer_while_it_is_read_is_given_up_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let [stuck, other] = folders(folder.path());
    let mount = StuckMount::at(&stuck, "delete", 0);
    let server = TestServer::builder()
        .setting("executor.workers", "1")
        .instance_of("tree", "directory", &source(&stuck, ""), "quick")
        .instance_of("database", "sqlite", &source(&stuck.join("a.db"), ", lock_wait_s = 1"), "off")
        .instance_directory("other", &other)
        .allow_warning(" failed: ")
        .start();
    for instance in ["tree", "database"] {
        assert_given_up(&server, instance);
    }
    server.admin().full("other");
    // What was left behind ends with the mount. Then all is as before.
    drop(mount);
    wait_until("a backup of what is there again", || {
        let accepted = server.admin().create_backup("tree", &json!({})).with_status(202).json();
        let id = accepted["backup"]["id"].as_str().unwrap();
        let row = server.admin().wait_for(id, &["COMPLETED", "FAILED"]);
        (row["status"] == "COMPLETED").then_some(())
    });
}

#[test]
fn a_database_that_stops_to_answer_during_its_check_is_given_up_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let [stuck, other] = folders(folder.path());
    let mount = StuckMount::at(&stuck, "wal", 1);
    let database = source(&stuck.join("a.db"), ", lock_wait_s = 1");
    let server = TestServer::builder()
        .setting("executor.workers", "1")
        .instance_of("database", "sqlite", &database, "quick")
        .instance_directory("other", &other)
        .allow_warning(" failed: ")
        .start();
    assert_given_up(&server, "database");
    // Before the server ends, whose thread waits for it.
    drop(mount);
}
