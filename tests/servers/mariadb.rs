//! A real MariaDB server for tests: in a temporary folder, on a private socket, killed with its value.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to come up or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct MariaDb {
    /// Where its socket, its log and, unless it was given another, its data directory are.
    folder: tempfile::TempDir,
    datadir: PathBuf,
    arguments: Vec<String>,
    port: Option<u16>,
    child: Option<Child>,
}

impl MariaDb {
    /// A new and empty one, where `root` needs no password.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more arguments.
    #[track_caller]
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let datadir = folder.path().join("data");
        succeeds(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template()).arg(&datadir));
        Self::up(folder, datadir, arguments)
    }

    /// One on an existing data directory.
    #[track_caller]
    pub(crate) fn on(datadir: &Path) -> Self {
        Self::up(tempfile::tempdir().unwrap(), datadir.to_owned(), &[])
    }

    /// The same, with more arguments.
    #[track_caller]
    pub(crate) fn on_with(datadir: &Path, arguments: &[&str]) -> Self {
        Self::up(tempfile::tempdir().unwrap(), datadir.to_owned(), arguments)
    }

    /// One on a copy of a data directory.
    #[track_caller]
    pub(crate) fn copy_of(datadir: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("data");
        succeeds(Command::new("cp").args(["-a", "--reflink=auto"]).arg(datadir).arg(&own));
        Self::up(folder, own, &[])
    }

    /// The process id of a running one.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    #[track_caller]
    fn up(folder: tempfile::TempDir, datadir: PathBuf, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        let mut server = Self { folder, datadir, arguments, port: None, child: None };
        server.spawn();
        server
    }

    /// Restarts it so that it also listens on a port.
    #[track_caller]
    pub(crate) fn listen(&mut self) -> u16 {
        self.stop();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.port = Some(port);
        self.spawn();
        port
    }

    #[track_caller]
    fn spawn(&mut self) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = Command::new("mariadbd");
        // An option file counts only as the first argument.
        let of_file = |it: &&String| it.starts_with("--defaults-file=");
        command
            .arg(self.arguments.iter().find(of_file).map_or("--no-defaults", String::as_str))
            .arg(format!("--datadir={}", self.datadir.display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--pid-file={}", self.folder.path().join("pid").display()))
            // Another test's server would remove temporary tables from a shared folder when it starts.
            .arg(format!("--tmpdir={}", self.folder.path().display()))
            .args(["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"])
            .args(["--innodb-log-file-size=16M", "--key-buffer-size=8M"]);
        match self.port {
            Some(port) => {
                command.arg(format!("--port={port}")).arg("--bind-address=127.0.0.1");
            }
            None => drop(command.arg("--skip-networking")),
        }
        if is_root() {
            command.arg("--user=root");
        }
        command.args(self.arguments.iter().filter(|it| !of_file(it))).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child =
            Some(command.spawn().expect("mariadb-server is installed: tests/run.sh installs it"));
        let deadline = Instant::now() + PATIENCE;
        while !self.ask(&["-e", "SELECT 1"]).output().unwrap().status.success() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < deadline, "{}", self.log());
            std::thread::park_timeout(Duration::from_millis(30));
        }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// Its data directory.
    pub(crate) fn datadir(&self) -> &Path {
        &self.datadir
    }

    /// Its folder, also for the test's own files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The client, as root, with these arguments.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("mariadb");
        command
            .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"])
            .args(["--default-character-set=utf8mb4", "--protocol=socket"])
            .arg(format!("--socket={}", self.socket().display()))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs statements as root and returns their output.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        succeeds(&mut self.ask(&["--execute", sql])).trim_end().to_owned()
    }

    /// A dump of these databases, ordered and without a date.
    #[track_caller]
    pub(crate) fn dump(&self, databases: &[&str]) -> String {
        let mut command = Command::new("mariadb-dump");
        command
            .args(["--no-defaults", "--user=root", "--skip-dump-date", "--order-by-primary"])
            .args(["--routines", "--events", "--triggers", "--skip-extended-insert", "--databases"])
            .arg(format!("--socket={}", self.socket().display()))
            .args(databases);
        succeeds(&mut command)
    }

    /// Stops it in order.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = child.id().to_string();
        succeeds(Command::new("kill").args(["-TERM", &id]));
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(30));
        }
    }

    /// Starts it again.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.spawn();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A data directory with nothing in it, made once for all tests: that takes seconds.
fn template() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let known = root.join("target/tmp");
    std::fs::create_dir_all(&known).unwrap();
    let version = succeeds(Command::new("mariadbd").args(["--no-defaults", "--version"]));
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let version: String = version.trim().chars().map(plain).collect();
    let template = known.join(format!("{version}_of_{}", if is_root() { "root" } else { "user" }));
    if template.exists() {
        return template;
    }
    let making = tempfile::tempdir_in(&known).unwrap();
    let datadir = making.path().join("data");
    let mut install = Command::new("mariadb-install-db");
    install
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(["--innodb-log-file-size=16M"])
        .arg(format!("--datadir={}", datadir.display()))
        .arg(format!("--tmpdir={}", making.path().display()));
    if is_root() {
        install.arg("--user=root");
    }
    succeeds(&mut install);
    // If another test was faster, its template is used and this one is removed.
    let mut moving = Command::new("mv");
    moving.arg("-nT").arg(&datadir).arg(&template).output().unwrap();
    assert!(template.exists(), "{moving:?}");
    template
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Runs a command and returns its output; fails the test unless it succeeds.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|reason| panic!("{command:?}: {reason}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
