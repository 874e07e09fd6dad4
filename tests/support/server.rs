//! A server under test: started, stopped, killed, started again, and checked at the end.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use coffer::client::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Builder, Client, Log, PROJECT, UNPRIVILEGED, id_of, names_in, stderr_of, wait_until};

/// The name of an admin's token, for what a test does in any project.
const ADMIN: &str = "test-admin";

/// The variable of the certificate that a server shows by TLS.
const CERTIFICATE: &str = "COFFER__SERVER__TLS__CERTIFICATE";

/// The program's copy in the folder of a server that runs as another user.
const BINARY_COPY: &str = "coffer";

/// Gives `folder` to [`UNPRIVILEGED`], with a copy of the program: only root may reach the build's folder.
/// Another process makes the copy, because no thread can start a program that its own process has open for
/// writing.
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

/// A running server. Dropping it stops the server and fails the test if
/// - a backup was still NEW, BUILDING or SAVING,
/// - it did not end with success on SIGTERM,
/// - a file is left in `tmp/`,
/// - it logged a warning or an error that was not allowed, or panicked.
#[derive(Debug)]
pub(crate) struct TestServer {
    builder: Builder,
    folder: TempDir,
    data_dir: PathBuf,
    config: PathBuf,
    log: Log,
    child: Option<Process>,
    base: String,
    /// The certificate that it shows.
    trusted: Option<PathBuf>,
    /// Whether it runs as [`UNPRIVILEGED`], from a copy of the program that this user can reach.
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
            builder = builder.token(ADMIN, PROJECT, &["admin"]);
        }
        // No test expects a backup that it did not ask for. Released programs may not know the key.
        if builder.program.is_none() {
            builder
                .environment
                .entry("COFFER__CATALOG__BACKUP".to_owned())
                .or_insert("false".to_owned());
        }
        let folder = tempfile::tempdir().unwrap();
        let data_dir = builder.data_dir.clone().unwrap_or_else(|| folder.path().join("data"));
        let config = builder.write_config(folder.path(), &data_dir);
        let other_user = builder.unprivileged && rustix::process::geteuid().is_root();
        if other_user {
            open_to_unprivileged(folder.path());
        }
        let (log, base) = (Log::default(), String::new());
        let child = None;
        let trusted = builder.environment.get(CERTIFICATE).map(PathBuf::from);
        let mut server =
            Self { builder, folder, data_dir, config, log, child, base, trusted, other_user };
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
        let Some(line) = self.log.wait_for("listening on http", from) else {
            let ended = self.child.as_mut().map(|child| child.0.try_wait());
            panic!("the server did not start ({ended:?}):\n{}", self.log.text());
        };
        let (_, address) = line.split_once("listening on ").unwrap();
        let address =
            address.split_whitespace().next().unwrap().trim_end_matches(['/', ',', '.', '"', '}']);
        address.clone_into(&mut self.base);
    }

    /// The program with this server's configuration and environment, for another command.
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

    /// Runs the program with these arguments to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same; fails the test unless it succeeds.
    #[track_caller]
    pub(crate) fn run_ok(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr_of(&output));
        output
    }

    /// Restores the backup with the command to a new place in the server's folder.
    #[track_caller]
    pub(crate) fn restored(&self, backup: &Value) -> PathBuf {
        let id = id_of(backup);
        let target = self.folder().join(format!("{id}.restored"));
        let output = self.run(&["restore", id, "--to", target.to_str().unwrap()]);
        // Another user than root cannot restore what belongs to others as theirs.
        let done = if self.other_user { &[0, 5][..] } else { &[0] };
        let code = output.status.code();
        assert!(code.is_some_and(|it| done.contains(&it)), "{}", stderr_of(&output));
        target
    }

    /// Fails the test if anything is left in `tmp/`.
    #[track_caller]
    pub(crate) fn assert_tmp_is_empty(&self) {
        assert_eq!(names_in(&self.data_dir.join("tmp")), [""; 0]);
    }

    /// Removes the catalog of a server that is stopped.
    pub(crate) fn remove_catalog(&self) {
        for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
            std::fs::remove_file(self.data_dir.join(name)).unwrap_or_default();
        }
    }

    /// Like `http://127.0.0.1:1234`, or with `https` if it speaks TLS.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Its data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// A folder for the test's files, removed with the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// A client with this token, in its project.
    #[track_caller]
    pub(crate) fn client_of(&self, token: &str) -> Client {
        let token = self.builder.tokens.get(token).unwrap_or_else(|| panic!("no token {token}"));
        let client = self.client(&token.project).with_token(&token.secret);
        client.with_archives(self.data_dir().join("archives"))
    }

    /// The secret of this token.
    #[track_caller]
    pub(crate) fn secret(&self, token: &str) -> &str {
        &self.builder.tokens.get(token).unwrap_or_else(|| panic!("no token {token}")).secret
    }

    /// The secret of the admin's token.
    #[track_caller]
    pub(crate) fn admin_secret(&self) -> &str {
        self.secret(ADMIN)
    }

    /// A client without a token, in [`PROJECT`].
    pub(crate) fn anonymous(&self) -> Client {
        self.client(PROJECT)
    }

    /// A client that trusts the server's own certificate, if it has one.
    #[track_caller]
    fn client(&self, project: &str) -> Client {
        let certificate = self.trusted.as_deref();
        Client::over(Connection::at_port(&self.base, certificate).unwrap(), &self.base, project)
    }

    /// Clients trust the certificate in this file from now on.
    pub(crate) fn trust(&mut self, certificate: &Path) {
        self.trusted = Some(certificate.to_owned());
    }

    /// A client with an admin's token, in [`PROJECT`]; without a token if none is needed.
    pub(crate) fn admin(&self) -> Client {
        if self.builder.open {
            return self.anonymous();
        }
        if self.builder.bootstrap {
            let secret = std::fs::read_to_string(self.data_dir.join("admin.token")).unwrap();
            return self.anonymous().with_token(secret.trim());
        }
        self.client_of(ADMIN)
    }

    /// The process's peak resident memory in bytes.
    pub(crate) fn peak_rss_bytes(&self) -> u64 {
        let id = self.pid().expect("the server runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// Fails if the work since then took more memory than is promised, whatever it was. Of the 64 MiB the idle server
    /// takes 16; in tests it takes more, because its code is not optimised, so that is not counted.
    #[track_caller]
    pub(crate) fn assert_little_memory_since(&self, idle_bytes: u64) {
        let peak = self.peak_rss_bytes();
        assert!(peak - idle_bytes < 48 << 20, "{peak} bytes, {idle_bytes} of them idle");
    }

    /// The process's id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|process| process.0.id())
    }

    /// Changes the environment of the next start; `None` removes the variable.
    pub(crate) fn set_env(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.builder.environment.insert(name.to_owned(), value.to_owned()),
            None => self.builder.environment.remove(name),
        };
    }

    /// Stops it with SIGTERM and waits for its end.
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

    /// Starts it again on the same data; stops it first if it runs.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        if self.child.is_some() {
            let status = self.terminate();
            assert!(status.success(), "{status}\n{}", self.log.text());
        }
        self.spawn();
    }

    /// From now on warnings and errors that contain this text do not fail the test.
    pub(crate) fn allow_warning(&mut self, text: &str) {
        self.builder.allowed.push(text.to_owned());
    }

    /// Stops the server and gives what the test left behind.
    fn leftovers(&mut self) -> Vec<String> {
        let mut leftovers = Vec::new();
        if self.child.is_some() {
            for row in self.admin().all("backups?all_projects=true&limit=1000", "backups") {
                if ["NEW", "BUILDING", "SAVING"].iter().any(|status| row["status"] == *status) {
                    leftovers.push(format!("not finished: {row}"));
                }
            }
            let status = self.terminate();
            if !status.success() {
                leftovers.push(format!("it ended with {status}"));
            }
        }
        let left = names_in(&self.data_dir.join("tmp"));
        if !left.is_empty() {
            leftovers.push(format!("files in tmp/: {left:?}"));
        }
        leftovers.extend(self.log.complaints(&self.builder.allowed));
        leftovers
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log.text());
        } else {
            let leftovers = self.leftovers();
            assert!(
                leftovers.is_empty(),
                "{}\nthe log:\n{}",
                leftovers.join("\n"),
                self.log.text()
            );
        }
    }
}
