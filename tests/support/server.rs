//! The server's life: started, ended, killed, started again, and looked over at the end.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Builder, Client, Log, PROJECT, UNPRIVILEGED, names_in, wait_until};

/// The harness's own token: an admin's, for looking at every project.
const HARNESS: &str = "test-harness";

/// The binary in the folder of a server that runs as another user.
const BINARY_COPY: &str = "coffer";

/// Gives `folder` to [`UNPRIVILEGED`], with a copy of the binary: the build may lie where only root may go.
/// Another process makes the copy, since a program that this one has open for writing cannot be started
/// by any thread of it.
fn open_to_unprivileged(folder: &Path) {
    let binary = folder.join(BINARY_COPY);
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_coffer")).arg(&binary).status();
    assert!(copied.unwrap().success());
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(folder, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
}

/// A process that does not outlive this value.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// A running server. When it goes out of scope the server is told to stop, and the test fails if
/// - a backup was still NEW, BUILDING or SAVING,
/// - it did not end well on SIGTERM,
/// - a file is left in `tmp/`,
/// - it logged a warning or an error that was not allowed, or panicked.
///
/// A test that leaves a mess on purpose says so with [`TestServer::expect_mess`].
#[derive(Debug)]
pub(crate) struct TestServer {
    builder: Builder,
    folder: TempDir,
    data_dir: PathBuf,
    config: PathBuf,
    log: Log,
    child: Option<Process>,
    base: String,
    mess: bool,
    /// It runs as [`UNPRIVILEGED`], from a copy of the binary that this user can reach.
    other_user: bool,
}

impl TestServer {
    /// With [`Builder::start`], a server.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    #[track_caller]
    pub(super) fn start(mut builder: Builder) -> Self {
        if !builder.open && !builder.bootstrap {
            builder = builder.token(HARNESS, PROJECT, &["admin"]);
        }
        let folder = tempfile::tempdir().unwrap();
        let data_dir = builder.data_dir.clone().unwrap_or_else(|| folder.path().join("data"));
        let config = builder.write_config(folder.path(), &data_dir);
        let other_user = builder.unprivileged && rustix::process::geteuid().is_root();
        if other_user {
            open_to_unprivileged(folder.path());
        }
        let (log, base) = (Log::default(), String::new());
        let (child, mess) = (None, false);
        let mut server =
            Self { builder, folder, data_dir, config, log, child, base, mess, other_user };
        server.spawn();
        server
    }

    /// Starts the process and waits until it listens.
    #[track_caller]
    fn spawn(&mut self) {
        let from = self.log.len();
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        self.log.follow(child.stderr.take().unwrap());
        self.child = Some(Process(child));
        let Some(line) = self.log.wait_for("listening on http://", from) else {
            let ended = self.child.as_mut().map(|child| child.0.try_wait());
            panic!("the server did not start ({ended:?}):\n{}", self.log.text());
        };
        let (_, address) = line.split_once("listening on http://").unwrap();
        let address = address.split_whitespace().next().unwrap().trim_end_matches(['/', ',', '.']);
        self.base = format!("http://{address}");
    }

    /// The same binary with the same configuration and environment, for another command.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = if self.other_user {
            let mut command = Command::new(self.folder.path().join(BINARY_COPY));
            command.uid(UNPRIVILEGED).gid(UNPRIVILEGED).current_dir("/");
            command
        } else {
            let built = Path::new(env!("CARGO_BIN_EXE_coffer"));
            Command::new(self.builder.program.as_deref().unwrap_or(built))
        };
        for (name, _value) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("COFFER") || text == "RUST_LOG" {
                command.env_remove(&name);
            }
        }
        command.args(arguments).arg("--config").arg(&self.config).stdin(Stdio::null());
        command.envs(&self.builder.environment);
        command
    }

    /// Restores the backup with the command, to a new place in the server's folder; fails the test if
    /// that does not succeed.
    #[track_caller]
    pub(crate) fn restored(&self, backup: &Value) -> PathBuf {
        let id = backup["id"].as_str().unwrap();
        let target = self.folder().join(format!("{id}.restored"));
        let to = target.to_str().unwrap();
        let output = self.command(&["restore", id, "--to", to]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target
    }

    /// Like `http://127.0.0.1:1234`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What it keeps.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// A folder of the test's own, gone with the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it said.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Asks as the holder of this token, in its project.
    #[track_caller]
    pub(crate) fn by(&self, token: &str) -> Client {
        let token = self.builder.tokens.get(token).unwrap_or_else(|| panic!("no token {token}"));
        Client::new(&self.base, &token.project).with_token(&token.secret)
    }

    /// The secret of this token.
    #[track_caller]
    pub(crate) fn secret(&self, token: &str) -> &str {
        &self.builder.tokens.get(token).unwrap_or_else(|| panic!("no token {token}")).secret
    }

    /// Asks without a token, in [`PROJECT`].
    pub(crate) fn by_nobody(&self) -> Client {
        Client::new(&self.base, PROJECT)
    }

    /// Asks as an admin, in [`PROJECT`]; without authentication, as anybody.
    pub(crate) fn by_admin(&self) -> Client {
        if self.builder.open {
            return self.by_nobody();
        }
        if self.builder.bootstrap {
            let secret = std::fs::read_to_string(self.data_dir.join("admin.token")).unwrap();
            return self.by_nobody().with_token(secret.trim());
        }
        self.by(HARNESS)
    }

    /// The most memory the process has had resident, in bytes.
    pub(crate) fn peak_rss_bytes(&self) -> u64 {
        let id = self.pid().expect("the server runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// The process's id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|process| process.0.id())
    }

    /// Changes the environment of the next start; `None` takes the variable away.
    pub(crate) fn set_env(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.builder.environment.insert(name.to_owned(), value.to_owned()),
            None => self.builder.environment.remove(name),
        };
    }

    /// Tells it to stop, and waits until it has.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let child = self.child.as_ref().expect("the server runs");
        kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
        self.wait_for_exit()
    }

    /// Ends it as a power cut would.
    #[track_caller]
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.child.as_mut().expect("the server runs").0.kill().unwrap();
        self.wait_for_exit()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("the server runs");
        let status = wait_until("the server to end", || child.0.try_wait().unwrap());
        self.child = None;
        self.log.wait_for_end();
        status
    }

    /// Starts it again on the same data, ending it first if it runs.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        if self.child.is_some() {
            let status = self.terminate();
            assert!(status.success(), "{status}\n{}", self.log.text());
        }
        self.spawn();
    }

    /// From here on a warning or error with this text in it is no fault of the test.
    pub(crate) fn allow_warning(&mut self, text: &str) {
        self.builder.allowed.push(text.to_owned());
    }

    /// This test leaves a mess on purpose: nothing is looked at in the end.
    pub(crate) fn expect_mess(&mut self) {
        self.mess = true;
    }

    /// What is wrong with what the test leaves behind. The server has ended afterwards.
    fn faults(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.child.is_some() {
            for row in self.by_admin().all("backups?all_projects=true&limit=1000", "backups") {
                if ["NEW", "BUILDING", "SAVING"].iter().any(|status| row["status"] == *status) {
                    faults.push(format!("still running: {row}"));
                }
            }
            let status = self.terminate();
            if !status.success() {
                faults.push(format!("it did not end well: {status}"));
            }
        }
        let left = names_in(&self.data_dir.join("tmp"));
        if !left.is_empty() {
            faults.push(format!("left in tmp/: {left:?}"));
        }
        faults.extend(self.log.complaints(&self.builder.allowed));
        faults
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.mess {
            let faults = self.faults();
            assert!(faults.is_empty(), "{}\nthe log:\n{}", faults.join("\n"), self.log.text());
            return;
        }
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log.text());
        }
    }
}
