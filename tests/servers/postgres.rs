//! A real PostgreSQL server for tests: in a temporary folder, on a private socket, ended with its value.
//!
//! PostgreSQL refuses to run as root. In that case the server runs as the user `postgres` that Debian's package
//! creates, or as `nobody`. Everything needs only the standard library and `tempfile`.

#![allow(dead_code, reason = "each user of this file needs a part of it")]

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The name of its superuser.
pub(crate) const SUPERUSER: &str = "postgres";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings of every test's server: it need not survive a crash of the machine.
const SETTINGS: &str = "fsync = off\nmax_connections = 40\nshared_buffers = 32MB\n\
    unix_socket_permissions = 0777\nlogging_collector = off\nlog_min_messages = warning\n\
    max_wal_senders = 10\nlc_messages = 'C'\n";

/// How a server is made.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Whether pages have checksums.
    pub(crate) checksums: bool,
    /// The lines of `pg_hba.conf`.
    pub(crate) hba: String,
    /// More lines of `postgresql.conf`.
    pub(crate) settings: String,
    /// Whether it listens on 127.0.0.1 too.
    pub(crate) tcp: bool,
    /// Whether its settings are beside the data directory and not in it, as on Debian.
    pub(crate) as_debian: bool,
    /// The size of a WAL segment, if not the usual one.
    pub(crate) wal_segment_mib: Option<u32>,
    /// A folder with locales that only this server knows.
    pub(crate) locales: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            checksums: true,
            hba: "local all all trust\nlocal replication all trust\n".to_owned(),
            settings: String::new(),
            tcp: false,
            as_debian: false,
            wal_segment_mib: None,
            locales: None,
        }
    }
}

/// A server.
#[derive(Debug)]
pub(crate) struct Postgres {
    child: Option<Child>,
    data: PathBuf,
    /// The folder with its settings.
    settings: PathBuf,
    port: u16,
    tcp: bool,
    locales: Option<PathBuf>,
    folder: TempDir,
}

impl Postgres {
    /// A new and empty one.
    pub(crate) fn new() -> Self {
        Self::with(&Setup::default())
    }

    /// A new one made like this.
    #[track_caller]
    pub(crate) fn with(setup: &Setup) -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        let mut initdb = as_server("initdb");
        initdb.arg("-D").arg(&data).args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--no-sync", "-A", "trust"]);
        if setup.checksums {
            initdb.arg("--data-checksums");
        }
        if let Some(size) = setup.wal_segment_mib {
            initdb.arg(format!("--wal-segsize={size}"));
        }
        done(&mut initdb);
        let port = if setup.tcp { free_port() } else { 5432 };
        let mut settings = data.clone();
        if setup.as_debian {
            settings = folder.path().join("etc");
            std::fs::create_dir(&settings).unwrap();
            write(&settings.join("pg_ident.conf"), "");
            for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
                std::fs::remove_file(data.join(name)).unwrap();
            }
        }
        write(&settings.join("postgresql.conf"), &format!("{SETTINGS}{}", setup.settings));
        write(&settings.join("pg_hba.conf"), &setup.hba);
        let (tcp, locales) = (setup.tcp, setup.locales.clone());
        let mut server = Self { child: None, data, settings, port, tcp, locales, folder };
        server.start();
        server
    }

    /// On a restored data directory, which becomes the server's own.
    #[track_caller]
    pub(crate) fn on(data: &Path) -> Self {
        Self::on_with(data, "")
    }

    /// The same with further settings.
    #[track_caller]
    pub(crate) fn on_with(data: &Path, settings: &str) -> Self {
        let whole = data.parent().expect("a data directory lies in a folder");
        if let Some((uid, gid)) = server_user() {
            done(Command::new("chown").arg("-R").arg(format!("{uid}:{gid}")).arg(whole));
        }
        let folder = folder();
        write(&data.join("postgresql.conf"), &format!("{SETTINGS}{settings}"));
        write(&data.join("pg_hba.conf"), "local all all trust\nlocal replication all trust\n");
        write(&data.join("pg_ident.conf"), "");
        let mut server = Self {
            child: None,
            data: data.into(),
            settings: data.into(),
            port: 5432,
            tcp: false,
            locales: None,
            folder,
        };
        server.start();
        server
    }

    /// Starts it and waits until it accepts connections.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let log = self.folder.path().join("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = as_server("postgres");
        command.arg("-D").arg(&self.data).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string()]);
        for (key, file) in
            [("config", "postgresql.conf"), ("hba", "pg_hba.conf"), ("ident", "pg_ident.conf")]
        {
            let path = self.settings.join(file);
            command.arg("-c").arg(format!("{key}_file={}", path.display()));
        }
        if let Some(folder) = &self.locales {
            command.env("LOCPATH", folder);
        }
        let listen = if self.tcp { "listen_addresses=127.0.0.1" } else { "listen_addresses=" };
        command.args(["-c", listen]).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while !self.command("pg_isready").output().unwrap().status.success() {
            let ended = self.child.as_mut().and_then(|it| it.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}\n{}", self.log());
            pause();
        }
    }

    /// Crashes it, and waits for its end.
    #[track_caller]
    pub(crate) fn crash(&mut self) {
        let mut stop = as_server("pg_ctl");
        done(stop.arg("-D").arg(&self.data).args(["-m", "immediate", "-w", "stop"]));
        self.child.take().unwrap().wait().unwrap();
    }

    /// Stops it in order, as `systemctl stop` does.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let mut stop = as_server("pg_ctl");
        done(stop.arg("-D").arg(&self.data).args(["-m", "fast", "-w", "stop"]));
        self.child.take().unwrap().wait().unwrap();
    }

    /// Moves it, made as by default, to a new cluster with `pg_upgrade`, and starts that.
    #[track_caller]
    pub(crate) fn upgrade(&mut self) {
        self.stop();
        let (folder, old) = (self.folder.path(), self.data.clone());
        let data = folder.join("upgraded");
        let mut initdb = as_server("initdb");
        initdb.arg("-D").arg(&data).args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8"]);
        done(initdb.args(["--no-sync", "-A", "trust", "--data-checksums"]));
        let mut upgrade = as_server("pg_upgrade");
        upgrade.arg("-b").arg(bin()).arg("-B").arg(bin()).arg("-d").arg(&old).arg("-D").arg(&data);
        done(upgrade.args(["-U", SUPERUSER, "--no-sync", "-s"]).arg(folder).current_dir(folder));
        for name in ["postgresql.conf", "pg_hba.conf"] {
            write(&data.join(name), &std::fs::read_to_string(self.settings.join(name)).unwrap());
        }
        (self.settings, self.data) = (data.clone(), data);
        self.start();
    }

    /// Its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder of its socket; the test's own files may go there too.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A client program with this server's address, as the superuser.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(bin().join(name));
        command.env("PGHOST", self.folder.path()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", SUPERUSER).env("PGDATABASE", "postgres").stdin(Stdio::null());
        command
    }

    /// Runs statements in a database and returns their output; fails the test if one fails.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = self.command("psql");
        psql.env("PGDATABASE", database).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        let mut child = psql
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        text(&child.wait_with_output().unwrap())
    }

    /// A dump of everything, to be compared line by line.
    #[track_caller]
    pub(crate) fn dump_all(&self) -> String {
        let dumped = text(&self.command("pg_dumpall").output().unwrap());
        // Newer versions put a random key at the beginning and end of a dump.
        dumped.lines().filter(|line| !line.contains("restrict ")).fold(
            String::new(),
            |mut text, line| {
                text.push_str(line);
                text.push('\n');
                text
            },
        )
    }

    /// Runs a client program; fails the test unless it succeeds.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        text(&self.command(name).args(arguments).output().unwrap())
    }

    /// Fills `database` for pgbench.
    #[track_caller]
    pub(crate) fn fill(&self, database: &str, scale: u32) {
        self.run("pgbench", &["-i", "-q", "-I", "dtGvp", "-s", &scale.to_string(), database]);
    }

    /// A folder for a tablespace, which belongs to the server.
    #[track_caller]
    pub(crate) fn tablespace_folder(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        give_to_server(&path);
        path
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // At once, but with its children and its shared memory.
        let mut stop = as_server("pg_ctl");
        stop.arg("-D").arg(&self.data).args(["-m", "immediate", "-w", "stop"]);
        let stopped = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !stopped.is_ok_and(|it| it.success()) {
            child.kill().unwrap_or_default();
        }
        child.wait().map(drop).unwrap_or_default();
    }
}

/// The folder with the programs of the newest version.
pub(crate) fn bin() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .expect("the package postgresql is installed: tests/run.sh installs it");
    let newest = versions
        .flatten()
        .filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok())
        .filter(|it| Path::new(&format!("/usr/lib/postgresql/{it}/bin/postgres")).exists())
        .max()
        .expect("a version of PostgreSQL is installed");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// A folder with the tools of PostgreSQL, of which `name` is replaced by this bash script; `real` is the tool
/// itself.
pub(crate) fn tools_replacing(name: &str, script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for entry in std::fs::read_dir(bin()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != name {
            symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let real = format!("real() {{ {} \"$@\"; }}", bin().join(name).display());
    let version = "case \"$1\" in --version) real --version; exit;; esac";
    write_program(
        &folder.path().join(name),
        &format!("#!/bin/bash\n{real}\n{version}\n{script}\n"),
    );
    folder
}

/// Writes an executable script, by another process: while this one has it open for writing, no thread can run it.
pub(crate) fn write_program(path: &Path, text: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\""]);
    assert!(command.arg(path).arg(text).status().unwrap().success());
}

/// The user and group of the server, if the test runs as root.
pub(crate) fn server_user() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let ids = line.map(|line| {
        let mut fields = line.split(':').skip(2).map(|it| it.parse::<u32>().unwrap());
        (fields.next().unwrap(), fields.next().unwrap())
    });
    Some(ids.unwrap_or((65534, 65534)))
}

/// Makes a folder or file the server's own.
pub(crate) fn give_to_server(path: &Path) {
    if let Some((uid, gid)) = server_user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// One of the server's programs, run by the server's user; it does not outlive the test.
fn as_server(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(bin().join(name));
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    give_to_server(folder.path());
    folder
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn write(path: &Path, content: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test's own files need not survive a crash")]
    std::fs::write(path, content).unwrap();
    give_to_server(path);
}

#[track_caller]
fn done(command: &mut Command) {
    text(&command.output().unwrap());
}

#[track_caller]
fn text(output: &Output) -> String {
    let [errors, said] = [&output.stderr, &output.stdout].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{errors}{said}");
    said.into_owned()
}

pub(crate) fn pause() {
    let (_sender, never) = mpsc::channel::<()>();
    assert!(never.recv_timeout(Duration::from_millis(20)).is_err(), "the sender sends nothing");
}
