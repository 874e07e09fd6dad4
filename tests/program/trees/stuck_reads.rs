//! A filesystem that dies while it is read: the backup is given up after its time, and nothing else waits.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{TestServer, succeed, wait_until, write_file};

/// Serves one file of 8 MiB, and never answers a read from 2 MiB on. Everything else is answered. The file begins like
/// a database of `SQLite`.
const SERVER: &str = "
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
device = os.open('/dev/fuse', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=131072' % device
if libc.mount(b'stuck', os.fsencode(sys.argv[1]), b'fuse', 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print('mounted', flush=True)
SIZE = 8 << 20
HEAD = (b'SQLite format 3\\0' + struct.pack('>HBBBBBBIIIIIIIIIIIIII', 4096, 1, 1, 0, 64, 32, 32, 1, SIZE // 4096,
    0, 0, 1, 4, 0, 0, 1, 0, 0, 0, 0, 0) + bytes(12) + struct.pack('>II', 1, 3046000)
    + b'\\r' + struct.pack('>HHHB', 0, 0, 4096, 0))
def attr(node):
    folder = node == 1
    mode, size = (0o40755, 0) if folder else (0o100644, SIZE)
    return struct.pack('<6Q10I', node, size, size // 512, 1, 1, 1, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
def answer(unique, body, error=0):
    os.write(device, struct.pack('<IiQ', 16 + len(body), -error, unique) + body)
while True:
    request = os.read(device, 1 << 21)
    length, code, unique, node = struct.unpack_from('<IIQQ', request)
    body = request[40:]
    if code == 26:
        answer(unique, struct.pack('<IIIIHHIIHHI7I', 7, 31, 0, 0, 16, 12, 131072, 1, 32, 0, 0, *[0] * 7))
    elif code == 1:
        name = body.rstrip(b'\\0')
        if name == b'a.db':
            answer(unique, struct.pack('<QQQQII', 2, 0, 0, 0, 0, 0) + attr(2))
        else:
            answer(unique, b'', 2)
    elif code == 3:
        answer(unique, struct.pack('<QII', 0, 0, 0) + attr(node))
    elif code in (14, 27):
        answer(unique, struct.pack('<QII', 0, 0, 0))
    elif code == 28:
        first = struct.unpack_from('<QQ', body)[1] == 0
        answer(unique, struct.pack('<QQII', 2, 1, 4, 8) + b'a.db\\0\\0\\0\\0' if first else b'')
    elif code == 15:
        offset, size = struct.unpack_from('<QI', body, 8)
        if offset + size <= 2 << 20:
            answer(unique, (HEAD + bytes(4096))[offset:offset + size].ljust(size, b'\\0'))
    elif code in (18, 25, 29, 34):
        answer(unique, b'')
    elif code == 17:
        answer(unique, struct.pack('<5Q4I6I', 9, 9, 9, 9, 9, 4096, 255, 4096, 0, *[0] * 6))
    elif code not in (2, 36, 42):
        answer(unique, b'', 38)
";

struct StuckMount {
    server: Child,
    path: PathBuf,
}

impl StuckMount {
    fn at(path: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", SERVER]).arg(path).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut word = [0; 7];
        std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut word).unwrap();
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

#[test]
fn a_source_that_stops_to_answer_while_it_is_read_is_given_up_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let [stuck, other] = ["stuck", "other"].map(|name| folder.path().join(name));
    for path in [&stuck, &other] {
        std::fs::create_dir(path).unwrap();
    }
    write_file(&other.join("file"), "x");
    let mount = StuckMount::at(&stuck);
    let source = |path: &Path, more: &str| {
        format!("{{ path = {:?}, answer_wait_s = 1{more} }}", path.to_str().unwrap())
    };
    let server = TestServer::builder()
        .setting("executor.workers", "1")
        .instance_of("tree", "directory", &source(&stuck, ""), "quick")
        .instance_of("database", "sqlite", &source(&stuck.join("a.db"), ", lock_wait_s = 1"), "off")
        .instance_directory("other", &other)
        .allow_warning(" failed: ")
        .start();
    for instance in ["tree", "database"] {
        let begun = Instant::now();
        let accepted = server.admin().create_backup("other", &json!({}));
        let (code, message) = server.admin().failed(instance);
        assert_eq!(code, "source_missing", "{message}");
        assert!(message.contains("has not answered for 5 s"), "{message}");
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        server.admin().completed(&accepted);
        let (_, again) = server.admin().failed(instance);
        assert!(again.contains("still does not answer"), "{again}");
        server.assert_tmp_is_empty();
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
