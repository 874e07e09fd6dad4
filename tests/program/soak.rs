//! Everything at once for a while, in the limits of the packaged unit: what was taken is given back. The bench has the
//! same for ten minutes, with every engine.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::servers::redis::RedisServer;
use crate::support::{
    Client, ControlGroup, PROJECT, Readers, TestServer, UnitLimits, files_below, id_of, wait_until,
    write_file,
};

/// Connections that read, and those of them that one thread has.
const READERS: usize = 200;
const THREADS: usize = 2;
/// How often each asks; then it is idle, and leaves the processor to the work.
const ROUNDS: usize = 4;

/// What may be more than before. A connection that was not closed, or a file or thread of a job that stayed, would be
/// there once for each of hundreds; what comes and goes by itself are threads and connections to the catalog that are
/// kept for the next request.
const MORE_MEMORY_KIB: u64 = 24 << 10;
const MORE_THREADS: u64 = 12;
const MORE_FILES: usize = 64;

const INSTANCES: [&str; 3] = ["database", "tree", "cache"];

/// What the server uses.
#[derive(Debug)]
struct Use {
    anonymous_kib: u64,
    threads: u64,
    open_files: usize,
    /// In the folders for what comes and goes.
    files: usize,
}

fn use_of(server: &TestServer) -> Use {
    let process = format!("/proc/{}", server.pid().unwrap());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let folders = ["archives", "restored", "tmp", "trash", "instances"];
    Use {
        anonymous_kib: number("RssAnon:"),
        threads: number("Threads:"),
        open_files: std::fs::read_dir(format!("{process}/fd")).unwrap().count(),
        files: folders.iter().map(|it| files_below(&server.data_dir().join(it)).len()).sum(),
    }
}

impl Use {
    fn is_back_at(&self, before: &Self) -> bool {
        self.anonymous_kib <= before.anonymous_kib + MORE_MEMORY_KIB
            && self.threads <= before.threads + MORE_THREADS
            && self.open_files <= before.open_files + MORE_FILES
            && self.files == 0
    }
}

/// What the readers ask.
fn requests(secret: &str) -> Vec<String> {
    let ask = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {secret}\r\n\r\n")
    };
    let below = |path: &str| ask(&format!("/v1.0/{PROJECT}/{path}"));
    vec![ask("/healthcheck"), below("backups?limit=20"), below("instances")]
}

/// Everything that is done with the backups of an instance; nothing of it is left.
fn work(client: &Client, instance: &str) {
    let backup = client.full(instance);
    let child = client.incremental(instance);
    let restored = client.restore_into_instance(&child);
    assert_eq!(restored["status"], "ACTIVE", "{restored:#}");
    client.ask_for_drill(id_of(&child));
    assert_eq!(client.drilled(id_of(&child))["drill"]["status"], "passed");
    client.delete(&format!("instances/{}", id_of(&restored))).with_status(202);
    client.delete(&format!("backups/{}", id_of(&backup))).with_status(202);
    client.wait_until_gone(id_of(&child));
}

/// Two clients of no use: one sends a head without end, one does not take its download.
fn slow_clients(server: &TestServer, backup: &Value) -> [TcpStream; 2] {
    let address = server.base().trim_start_matches("http://");
    let path = format!("/v1.0/{PROJECT}/backups/{}/archive", id_of(backup));
    let secret = server.admin_secret();
    let download =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {secret}\r\n\r\n");
    ["GET / HTTP/1.1\r\nX-Slow: ", &download].map(|text| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    })
}

/// The load: readers, slow clients, and all work of every instance beside each other.
fn load(server: &TestServer) {
    let (ended, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = server.base().trim_start_matches("http://");
    let kept = server.admin().full("tree");
    let slow = slow_clients(server, &kept);
    let requests = requests(server.admin_secret());
    let connections = READERS / THREADS;
    let readers = Readers { address, connections, requests: &requests, rounds: ROUNDS };
    std::thread::scope(|scope| {
        for _thread in 0..THREADS {
            scope.spawn(|| readers.run(&ended, &answers));
        }
        let workers = INSTANCES.map(|it| scope.spawn(move || work(&server.admin(), it)));
        let worked = workers.map(|it| it.join().is_ok());
        ended.store(true, Ordering::Release);
        assert_eq!(worked, [true; 3]);
    });
    drop(slow);
    assert!(answers.into_inner() > 0, "nobody was answered");
    server.admin().delete(&format!("backups/{}", id_of(&kept))).with_status(202);
    server.admin().wait_until_gone(id_of(&kept));
}

fn server_over(folder: &Path, redis: &RedisServer, group: &ControlGroup) -> TestServer {
    let limits = UnitLimits::of_the_package();
    let mut noise = vec![0; 2 << 20];
    getrandom::fill(&mut noise).unwrap();
    std::fs::create_dir(folder.join("tree")).unwrap();
    write_file(&folder.join("tree/noise"), noise);
    let database = folder.join("shop.db");
    let sql = "CREATE TABLE row(data BLOB); INSERT INTO row SELECT randomblob(1048576);";
    rusqlite::Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    let program = group.program(folder, &limits);
    TestServer::builder()
        .program(&program)
        .instance_sqlite("database", &database)
        .instance_directory("tree", &folder.join("tree"))
        .instance_of("cache", "redis", &format!("{{ socket = {:?} }}", redis.socket()), "quick")
        .setting("catalog.backup", "false")
        .setting("storage.trash_window_s", "0")
        // All fit, so that none has to make room for another.
        .setting("server.max_connections", "1000")
        .setting("server.max_connections_per_address", "1000")
        .setting("server.keep_alive_s", "600")
        .setting("limits.token_requests_per_second", "0")
        .setting("limits.token_requests", "1000")
        .setting("executor.workers", "2")
        .setting("executor.compression_threads", "2")
        .setting("server.http_workers", "2")
        .start()
}

#[test]
fn after_work_crowds_and_a_kill_in_the_units_limits_the_server_uses_what_it_used_before() {
    let limits = UnitLimits::of_the_package();
    let (group, folder) = (ControlGroup::with(&limits), tempfile::tempdir().unwrap());
    let redis = RedisServer::start();
    redis.connect().run(&["SET", "key", "value"]);
    let mut server = server_over(folder.path(), &redis, &group);
    load(&server);
    let before = use_of(&server);
    // Killed in the midst of work.
    for instance in INSTANCES {
        server.admin().create_backup(instance, &json!({})).with_status(202);
    }
    server.kill();
    server.restart();
    let client = server.admin();
    for backup in client.all("backups", "backups") {
        client.wait_for(id_of(&backup), &["COMPLETED", "FAILED"]);
        client.delete(&format!("backups/{}", id_of(&backup))).with_status(202);
    }
    load(&server);
    wait_until("what was taken to be given back", || {
        let now = use_of(&server);
        eprintln!("before {before:?}, now {now:?}");
        now.is_back_at(&before).then_some(())
    });
    assert!(before.threads < limits.tasks / 2, "{before:?}");
    assert_eq!(group.refusals(), 0, "memory or a task was refused");
}
