//! The server is told to stop while it works: what runs ends or is interrupted, what waits waits on, and
//! the next start finds everything in order. And what a start alone has to hold: one server a directory,
//! systemd's notifications, the first token, a log without secrets.

#![cfg(test)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use support::{Builder, Client, PATIENCE, TestServer, names_in, wait_until, write_file};

const MIB: usize = 1 << 20;

/// Words in an order that zstd's strongest level takes its time over.
fn slow_to_compress(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(format!("{} ", (state >> 16) % 5000).as_bytes());
    }
    bytes
}

/// A server whose backup of `slow` (this many MiB) takes a while, and of `quick` does not.
struct House {
    server: TestServer,
    sources: tempfile::TempDir,
}

impl House {
    fn new(slow_mib: usize, grace_seconds: &str) -> Self {
        Self::compressing(slow_mib, grace_seconds, "19")
    }

    fn compressing(slow_mib: usize, grace_seconds: &str, level: &str) -> Self {
        let sources = tempfile::tempdir().unwrap();
        for (name, length) in [("slow", slow_mib * MIB), ("quick", 1000)] {
            let folder = sources.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            write_file(&folder.join("file"), slow_to_compress(length));
        }
        let server = TestServer::builder()
            .instance_directory("slow", &sources.path().join("slow"))
            .instance_directory("quick", &sources.path().join("quick"))
            .setting("executor.compression_level", level)
            .setting("executor.compression_threads", "1")
            .setting("server.shutdown_grace_s", grace_seconds)
            .start();
        Self { server, sources }
    }

    /// Asks for a backup; its id.
    fn ask(&self, instance: &str) -> String {
        let accepted = self.server.by_admin().create_backup(instance, &json!({})).expect(202);
        accepted.json()["backup"]["id"].as_str().unwrap().to_owned()
    }

    /// Asks for the slow one and waits until it reads its source.
    fn ask_and_wait_until_it_runs(&self) -> String {
        let id = self.ask("slow");
        wait_until("the backup to be half-way", || {
            let row = self.server.by_admin().backup(&id);
            assert!(["NEW", "BUILDING"].contains(&row["status"].as_str().unwrap()), "{row:#}");
            (row["progress"].as_f64().unwrap() > 0.0).then_some(())
        });
        id
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.server.pid().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// The server ends, and well; nothing unfinished lies about.
    fn ends(&mut self) {
        let status = self.server.wait_for_exit();
        assert!(status.success(), "{status}");
        assert_eq!(names_in(&self.server.data_dir().join("tmp")), Vec::<String>::new());
    }

    fn after_restart(&mut self, id: &str) -> Value {
        self.server.restart();
        self.server.by_admin().backup(id)
    }
}

fn assert_interrupted(row: &Value) {
    assert_eq!(
        (&row["status"], &row["failure"]["code"]),
        (&json!("FAILED"), &json!("interrupted"))
    );
    assert!(row["locationRef"].is_null(), "{row:#}");
}

#[rstest]
fn a_running_backup_is_completed_within_the_grace(
    #[values(Signal::TERM, Signal::INT)] signal: Signal,
) {
    let mut house = House::new(6, "60");
    let id = house.ask_and_wait_until_it_runs();
    house.signal(signal);
    house.ends();
    assert_eq!(house.after_restart(&id)["status"], "COMPLETED");
    let target = house.server.folder().join("restored");
    let arguments = ["restore", &id, "--to", target.to_str().unwrap()];
    assert!(house.server.command(&arguments).status().unwrap().success());
    let source = house.sources.path().join("slow/file");
    assert!(std::fs::read(target.join("file")).unwrap() == std::fs::read(source).unwrap());
}

#[rstest]
fn without_grace_a_running_backup_is_interrupted_and_the_next_start_is_clean(
    #[values(Signal::TERM, Signal::INT)] signal: Signal,
) {
    let mut house = House::new(200, "0");
    let id = house.ask_and_wait_until_it_runs();
    house.signal(signal);
    house.ends();
    assert_interrupted(&house.after_restart(&id));
    assert!(!house.server.log().text().contains("the last run was interrupted"));
    assert_eq!(house.server.by_admin().full("quick")["status"], "COMPLETED");
}

#[test]
fn without_grace_a_running_restore_begins_again_at_the_next_start() {
    let mut house = House::compressing(300, "0", "1");
    let backup = house.server.by_admin().full("slow");
    let body = json!({"instance": {
        "name": "again", "flavorRef": 1, "restorePoint": {"backupRef": backup["id"]},
    }});
    let made = house.server.by_admin().post("instances", &body).expect(200).json();
    let id = made["instance"]["id"].as_str().unwrap().to_owned();
    let folder = house.server.data_dir().join("restored").join("project-a").join(&id);
    wait_until("the restore to begin", || folder.exists().then_some(()));
    house.signal(Signal::TERM);
    house.ends();
    house.server.restart();
    house.server.by_admin().wait_for_instance(&id, &["ACTIVE"]);
    let restored = std::fs::read(folder.join("again/file")).unwrap();
    let source = std::fs::read(house.sources.path().join("slow/file")).unwrap();
    assert!(restored == source);
    assert_eq!(names_in(&folder), ["again"]);
}

#[test]
fn a_second_signal_ends_the_grace() {
    let mut house = House::new(200, "600");
    let id = house.ask_and_wait_until_it_runs();
    house.signal(Signal::TERM);
    house.server.log().wait_for("stopping", 0).unwrap();
    house.signal(Signal::TERM);
    house.ends();
    assert_interrupted(&house.after_restart(&id));
}

#[test]
fn backups_that_wait_are_kept_and_run_after_the_restart() {
    let mut house = House::new(200, "0");
    let running = house.ask_and_wait_until_it_runs();
    let waiting = house.ask("quick");
    assert_eq!(house.server.by_admin().backup(&waiting)["status"], "NEW");
    house.signal(Signal::TERM);
    house.ends();
    assert_interrupted(&house.after_restart(&running));
    let row = house.server.by_admin().wait_for(&waiting, &["COMPLETED", "FAILED"]);
    assert_eq!(row["status"], "COMPLETED", "{row:#}");
}

#[rstest]
#[case::server(&["serve"])]
#[case::rebuild(&["catalog", "rebuild"])]
fn a_second_process_that_writes_is_refused_and_told_of_the_lock(#[case] command: &[&str]) {
    let server = TestServer::builder().start();
    let output = server.command(command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lock = server.data_dir().join("lock");
    assert!(said.contains(lock.to_str().unwrap()) && said.contains("stop that one"), "{said}");
    server.by_admin().get("backups").expect(200);
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut buffer = [0; 1000];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut server = TestServer::builder().env("NOTIFY_SOCKET", path.to_str().unwrap()).start();
    assert_eq!(heard(), "READY=1");
    server.by_nobody().get("/healthcheck").expect(200);
    server.terminate();
    assert_eq!(heard(), "STOPPING=1");
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_an_admin_token_for_its_owner_alone_and_the_next_one_keeps_it() {
    let mut server = TestServer::builder().no_tokens().start();
    let path = server.data_dir().join("admin.token");
    assert_eq!(mode_of(&path), 0o600);
    let secret = std::fs::read_to_string(&path).unwrap();
    assert!(server.log().text().contains(path.to_str().unwrap()), "the log does not say where");
    assert!(!server.log().text().contains(secret.trim()));
    server.by_admin().get("backups?all_projects=true").expect(200);
    server.by_nobody().get("backups").fault(401);

    server.restart();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), secret);
    server.by_admin().get("backups").expect(200);
}

#[test]
fn everything_in_the_data_directory_is_closed_to_others() {
    let server = TestServer::builder().no_tokens().start();
    for name in names_in(server.data_dir()) {
        let mode = mode_of(&server.data_dir().join(&name));
        assert_eq!(mode & 0o007, 0, "{name} has mode {mode:o}");
    }
}

#[rstest]
fn no_secret_comes_into_the_log(#[values("info", "trace")] level: &str) {
    let server = TestServer::builder()
        .token("alice", support::PROJECT, &["member"])
        .setting("server.log_level", level)
        .start();
    let secret = server.secret("alice").to_owned();
    server.by("alice").get("backups").expect(200);
    server.by("alice").get(&format!("backups?marker={secret}")).expect(400);
    let stranger = server.by_nobody();
    let bearer = format!("Bearer {secret}");
    stranger.clone().with_header("Authorization", &bearer).get("backups").expect(200);
    let basic = basic_of("alice", &secret);
    stranger.clone().with_header("Authorization", &basic).get("backups").expect(200);
    let wrong = "0123456789abcdef0123456789abcdef";
    stranger.with_token(wrong).get("backups").fault(401);
    let text = server.log().text();
    let coded = basic.strip_prefix("Basic ").unwrap();
    for hidden in [secret.as_str(), coded, wrong] {
        assert!(!text.contains(hidden), "the log has a secret");
    }
}

#[test]
fn a_log_that_is_not_read_delays_no_answer_and_says_later_what_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("coffer.toml"), folder.path().join("data"));
    let text =
        format!("data_dir = {data:?}\n[server]\nlisten = \"127.0.0.1:0\"\n[auth]\nmode = \"none\"");
    write_file(&config, text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.args(["serve", "--config"]).arg(&config).env_remove("RUST_LOG");
    let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on ") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server did not start");
    }
    let (_before, base) = line.trim().split_once("listening on ").unwrap();
    // Far more than a pipe and the waiting lines hold: each line of the log has the path in it.
    let (client, path) = (Client::new(base, support::PROJECT), "x".repeat(4000));
    for _ in 0..200 {
        assert_eq!(client.get(&path).status, 404);
    }
    let reader = std::thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).map(|_length| rest)
    });
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    let rest = reader.join().unwrap().unwrap();
    assert!(rest.contains(" log lines were dropped: stderr is read too slowly"), "{}", rest.len());
    assert!(rest.ends_with("stopped\n"));
}

fn basic_of(name: &str, secret: &str) -> String {
    let pair = STANDARD.encode(format!("{name}:{secret}"));
    format!("Basic {pair}")
}

/// A builder's default is what the other tests start: the grace is not theirs to wait for.
#[test]
fn an_idle_server_ends_at_once_whatever_the_grace() {
    let mut server = Builder::default().setting("server.shutdown_grace_s", "600").start();
    assert!(server.terminate().success());
}
