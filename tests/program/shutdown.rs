//! Stopping the server while it works: running jobs finish or are interrupted, waiting jobs are kept, and
//! the next start finds everything in order. And starting: one server for each directory, notifications to
//! systemd, the first token, a log without secrets.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Builder, Client, PATIENCE, TestServer, names_in, wait_until, write_file};

const MIB: usize = 1 << 20;

/// Text that zstd compresses slowly at higher levels. Each MiB of it is compressed by itself, so all may be the same.
fn slow_to_compress(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(MIB + 8);
    while bytes.len() < MIB {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(format!("{} ", (state >> 16) % 5000).as_bytes());
    }
    bytes.into_iter().cycle().take(length).collect()
}

/// A server whose backup of `slow` (this many MiB) takes a while, and of `quick` does not.
struct Fixture {
    server: TestServer,
    sources: tempfile::TempDir,
}

impl Fixture {
    fn new(slow_mib: usize, grace_seconds: &str) -> Self {
        // About 13 MiB a second, so that a job soon notices that it is cancelled, also on a busy machine.
        Self::compressing(slow_mib, grace_seconds, "9")
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

    /// Requests a backup; returns its id.
    fn request(&self, instance: &str) -> String {
        let accepted = self.server.admin().create_backup(instance, &json!({})).with_status(202);
        accepted.json()["backup"]["id"].as_str().unwrap().to_owned()
    }

    /// Requests the slow backup and waits until it reads its source.
    fn start_slow_backup(&self) -> String {
        let id = self.request("slow");
        wait_until("the backup to make progress", || {
            let row = self.server.admin().backup(&id);
            assert!(["NEW", "BUILDING"].contains(&row["status"].as_str().unwrap()), "{row:#}");
            (row["progress"].as_f64().unwrap() > 0.0).then_some(())
        });
        id
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.server.pid().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Checks that the server exits with success and leaves nothing unfinished.
    fn assert_exits(&mut self) {
        let status = self.server.wait_for_exit();
        assert!(status.success(), "{status}");
        assert_eq!(names_in(&self.server.data_dir().join("tmp")), Vec::<String>::new());
    }

    fn after_restart(&mut self, id: &str) -> Value {
        self.server.restart();
        self.server.admin().backup(id)
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
    let mut fixture = Fixture::new(30, "60");
    let id = fixture.start_slow_backup();
    fixture.signal(signal);
    fixture.assert_exits();
    assert_eq!(fixture.after_restart(&id)["status"], "COMPLETED");
    let target = fixture.server.folder().join("restored");
    let arguments = ["restore", &id, "--to", target.to_str().unwrap()];
    assert!(fixture.server.command(&arguments).status().unwrap().success());
    let source = fixture.sources.path().join("slow/file");
    assert!(std::fs::read(target.join("file")).unwrap() == std::fs::read(source).unwrap());
}

#[rstest]
fn without_grace_a_running_backup_is_interrupted_and_the_next_start_is_clean(
    #[values(Signal::TERM, Signal::INT)] signal: Signal,
) {
    let mut fixture = Fixture::new(200, "0");
    let id = fixture.start_slow_backup();
    fixture.signal(signal);
    fixture.assert_exits();
    assert_interrupted(&fixture.after_restart(&id));
    assert!(!fixture.server.log().text().contains("the previous process was interrupted"));
    assert_eq!(fixture.server.admin().full("quick")["status"], "COMPLETED");
}

/// What cannot be written down now is settled by the next start, so that nobody waits for it.
#[test]
fn a_stop_does_not_wait_for_a_catalog_that_is_gone() {
    let mut fixture = Fixture::new(8, "86400");
    fixture.server.allow_warning("was removed or replaced");
    fixture.start_slow_backup();
    fixture.server.remove_catalog();
    let log = fixture.server.log();
    wait_until("the outcome to be refused", || {
        log.text().contains("the outcome of a job cannot be recorded").then_some(())
    });
    fixture.signal(Signal::TERM);
    fixture.server.wait_for_exit();
}

#[test]
fn without_grace_a_running_restore_begins_again_at_the_next_start() {
    let mut fixture = Fixture::compressing(300, "0", "1");
    let backup = fixture.server.admin().full("slow");
    let body = json!({"instance": {
        "name": "again", "flavorRef": 1, "restorePoint": {"backupRef": backup["id"]},
    }});
    let made = fixture.server.admin().post("instances", &body).with_status(200).json();
    let id = made["instance"]["id"].as_str().unwrap().to_owned();
    let folder = fixture.server.data_dir().join("restored").join("project-a").join(&id);
    wait_until("the restore to begin", || folder.exists().then_some(()));
    fixture.signal(Signal::TERM);
    fixture.assert_exits();
    fixture.server.restart();
    fixture.server.admin().wait_for_instance(&id, &["ACTIVE"]);
    let restored = std::fs::read(folder.join("again/file")).unwrap();
    let source = std::fs::read(fixture.sources.path().join("slow/file")).unwrap();
    assert!(restored == source);
    assert_eq!(names_in(&folder), ["again"]);
}

#[test]
fn a_second_signal_ends_the_grace() {
    let mut fixture = Fixture::new(200, "600");
    let id = fixture.start_slow_backup();
    fixture.signal(Signal::TERM);
    fixture.server.log().wait_for("stopping", 0).unwrap();
    fixture.signal(Signal::TERM);
    fixture.assert_exits();
    assert_interrupted(&fixture.after_restart(&id));
}

#[test]
fn waiting_backups_are_kept_and_run_after_the_restart() {
    let mut fixture = Fixture::new(200, "0");
    let running = fixture.start_slow_backup();
    let waiting = fixture.request("quick");
    assert_eq!(fixture.server.admin().backup(&waiting)["status"], "NEW");
    fixture.signal(Signal::TERM);
    fixture.assert_exits();
    assert_interrupted(&fixture.after_restart(&running));
    let row = fixture.server.admin().wait_for(&waiting, &["COMPLETED", "FAILED"]);
    assert_eq!(row["status"], "COMPLETED", "{row:#}");
}

#[rstest]
#[case::server(&["serve"])]
#[case::rebuild(&["catalog", "rebuild"])]
fn a_second_process_that_writes_is_refused_and_the_lock_is_named(#[case] command: &[&str]) {
    let server = TestServer::builder().start();
    let output = server.command(command).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let lock = server.data_dir().join("lock");
    assert!(text.contains(lock.to_str().unwrap()) && text.contains("stop that one"), "{text}");
    server.admin().get("backups").with_status(200);
}

#[test]
fn systemd_is_notified_when_the_server_is_ready_reloads_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let received = || {
        let mut buffer = [0; 1000];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut server = TestServer::builder().env("NOTIFY_SOCKET", path.to_str().unwrap()).start();
    assert_eq!(received(), "READY=1");
    server.anonymous().get("/healthcheck").with_status(200);
    let pid = i32::try_from(server.pid().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    // So that `systemctl reload` ends when the new configuration applies.
    let reloading = received();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(received(), "READY=1");
    server.terminate();
    assert_eq!(received(), "STOPPING=1");
}

#[test]
fn systemd_hears_that_the_server_answers_for_as_long_as_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let received = |within: Duration| {
        socket.set_read_timeout(Some(within)).unwrap();
        let mut buffer = [0; 1000];
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())
    };
    let builder = TestServer::builder().env("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut server = builder.env("WATCHDOG_USEC", "300000").start();
    assert_eq!(received(PATIENCE).as_deref(), Some("READY=1"));
    for _ in 0..3 {
        assert_eq!(received(PATIENCE).as_deref(), Some("WATCHDOG=1"));
    }
    server.terminate();
    let last = std::iter::from_fn(|| received(Duration::from_millis(500))).last();
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_a_private_admin_token_and_the_next_one_keeps_it() {
    let mut server = TestServer::builder().no_tokens().start();
    let path = server.data_dir().join("admin.token");
    assert_eq!(mode_of(&path), 0o600);
    let secret = std::fs::read_to_string(&path).unwrap();
    assert!(server.log().text().contains(path.to_str().unwrap()), "the log does not say where");
    assert!(!server.log().text().contains(secret.trim()));
    server.admin().get("backups?all_projects=true").with_status(200);
    server.anonymous().get("backups").fault(401);

    server.restart();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), secret);
    server.admin().get("backups").with_status(200);

    // As on a new machine with the catalog of one that burned: nobody has the secret of the token that the catalog knows.
    std::fs::remove_file(&path).unwrap();
    server.restart();
    assert_ne!(std::fs::read_to_string(&path).unwrap(), secret);
    server.admin().get("backups").with_status(200);
    let old = Client::new(server.base(), "default").with_token(secret.trim());
    old.get("backups").fault(401);
}

#[test]
fn the_data_directory_is_closed_to_other_users() {
    let server = TestServer::builder().no_tokens().start();
    for name in names_in(server.data_dir()) {
        let mode = mode_of(&server.data_dir().join(&name));
        assert_eq!(mode & 0o007, 0, "{name} has mode {mode:o}");
    }
}

#[rstest]
fn no_secret_is_logged(#[values("info", "trace")] level: &str) {
    let server = TestServer::builder()
        .token("alice", crate::support::PROJECT, &["member"])
        .setting("server.log_level", level)
        .start();
    let secret = server.secret("alice").to_owned();
    server.client_of("alice").get("backups").with_status(200);
    server.client_of("alice").get(&format!("backups?marker={secret}")).with_status(400);
    let stranger = server.anonymous();
    let bearer = format!("Bearer {secret}");
    stranger.clone().with_header("Authorization", &bearer).get("backups").with_status(200);
    let basic = basic_of("alice", &secret);
    stranger.clone().with_header("Authorization", &basic).get("backups").with_status(200);
    let wrong = "0123456789abcdef0123456789abcdef";
    stranger.with_token(wrong).get("backups").fault(401);
    let text = server.log().text();
    let coded = basic.strip_prefix("Basic ").unwrap();
    for hidden in [secret.as_str(), coded, wrong] {
        assert!(!text.contains(hidden), "the log has a secret");
    }
}

#[test]
fn a_log_that_is_not_read_delays_no_answer_and_reports_dropped_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("coffer.toml"), folder.path().join("data"));
    let text = format!(
        "data_dir = {data:?}\n[server]\nlisten = \"127.0.0.1:0\"\nlog_level = \"debug\"\n[auth]\nmode = \"none\""
    );
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
    let (client, path) = (Client::new(base, crate::support::PROJECT), "x".repeat(4000));
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

#[test]
fn an_idle_server_exits_at_once_whatever_the_grace() {
    let mut server = Builder::default().setting("server.shutdown_grace_s", "600").start();
    assert!(server.terminate().success());
}
