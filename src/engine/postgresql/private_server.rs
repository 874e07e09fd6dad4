//! A private server on a data directory that nothing else uses: for drills, and to load dumps into a new
//! cluster.
//!
//! It listens on a socket that only its owner can reach, and ignores the settings of the server that was backed
//! up: they name libraries, archives and certificates that do not exist here.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::client::Client;
use super::login::Login;
use super::private_settings::{Needs, configuration};
use super::programs::Programs;
use super::verdict::of_server;
use crate::domain::Cancel;
use crate::engine::tool::{ServerProcess, Tool, ToolError, says_any};
use crate::engine::{EngineError, Result};

const SETTINGS: &str = "postgresql.conf";

/// A socket's path, with the zero byte at its end, has at most 108 bytes.
const MAX_FOLDER: usize = 107 - "/.s.PGSQL.5432".len();

/// Replaying the WAL of a long backup takes a while.
const START_TIMEOUT: Duration = Duration::from_secs(1800);

/// A shutdown writes everything that is not on the disk yet.
const STOP_TIMEOUT: Duration = Duration::from_secs(600);

/// What psql says while a server is starting.
const STARTING: [&str; 4] =
    ["the database system is", "Is the server running", "Connection refused", "No such file"];

const IS_SUPERUSER: &str =
    "SELECT to_json(rolsuper) FROM pg_catalog.pg_roles WHERE rolname = session_user";

/// What psql says if the data's own settings keep even its superuser out of a database.
const REFUSED: [&str; 3] =
    ["is not currently accepting connections", "is not permitted to log in", "does not exist"];

/// Run in single-user mode, in which no setting keeps anybody out. A statement on each line.
const ADMIT: &[u8] =
    b"UPDATE pg_catalog.pg_authid SET rolcanlogin = true, rolsuper = true WHERE oid = 10\n\
    UPDATE pg_catalog.pg_database SET datallowconn = true WHERE datname <> 'template0'\n";

/// A running server. When dropped, it is killed.
#[derive(Debug)]
pub(super) struct PrivateServer {
    process: ServerProcess,
    pub(super) client: Client,
    /// Holds its socket, settings and log.
    folder: TempDir,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Launch<'a> {
    pub(super) data: &'a Path,
    pub(super) major: u32,
    /// A superuser in it.
    pub(super) role: &'a str,
    /// For the server's own files.
    pub(super) scratch: &'a Path,
}

impl PrivateServer {
    /// Starts the server and waits until it accepts connections.
    pub(super) fn start(launch: &Launch<'_>, programs: &Programs, cancel: &Cancel) -> Result<Self> {
        let mut server = Self::run(launch, programs, cancel)?;
        let Some(database) = server.wait_until_up()? else { return Ok(server) };
        let folder = server.folder.path().to_owned();
        server.process.stop(Signal::INT, STOP_TIMEOUT)?;
        let tool = program(launch, programs, &folder, &["--single"])?.arg(database);
        tool.stdin_bytes(ADMIT)?.run(cancel)?;
        let mut server = Self::run(launch, programs, cancel)?;
        server.client = server.client.in_database(database);
        match server.wait_until_up()? {
            None => Ok(server),
            Some(_) => Err(of_server("the data's own settings let nobody log in")),
        }
    }

    fn run(launch: &Launch<'_>, programs: &Programs, cancel: &Cancel) -> Result<Self> {
        let folder = socket_folder(launch.scratch)?;
        let settings = folder.path().join(SETTINGS);
        let needs = Needs::of(launch.data, programs, launch.major, cancel);
        write(&folder.path().join("pg_hba.conf"), "local all all trust\n")?;
        write(&folder.path().join("pg_ident.conf"), "")?;
        write(&settings, &configuration(folder.path(), launch.major, needs))?;
        let tool = program(launch, programs, folder.path(), &[])?;
        let process = tool.start_server(&folder.path().join("log"), cancel)?;
        let client = Client {
            login: Login::to_private(folder.path(), launch.role, launch.major),
            programs: programs.clone(),
            cancel: cancel.clone(),
        };
        Ok(Self { process, client, folder })
    }

    /// Returns a database that exists, if the data's own settings let nobody log in.
    fn wait_until_up(&mut self) -> Result<Option<&'static str>> {
        let client = &self.client;
        let mut refused = None;
        let up = self.process.wait_until_up(START_TIMEOUT, || {
            match client.query::<bool>(IS_SUPERUSER) {
                Ok(true) => return Ok(true),
                Ok(false) => refused = Some("template1"),
                Err(EngineError::Tool(error)) if says_any(error.output(), &STARTING) => {
                    return Ok(false);
                }
                Err(EngineError::Tool(error)) if says_any(error.output(), &REFUSED) => {
                    let gone = error.output().contains("database \"template1\" does not exist");
                    refused = Some(if gone { "postgres" } else { "template1" });
                }
                Err(error) => return Err(error),
            }
            Ok(true)
        });
        up.map(|()| refused).map_err(|error| self.explain(error))
    }

    /// What an error of a check on this server means. If the server has ended, its log says more than the check.
    pub(super) fn explain(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Tool(ToolError::Start { .. }) => error,
            EngineError::Tool(_) if self.process.has_ended() => self.explain_end(),
            // The SQLSTATE of a refused connection is in the log only.
            EngineError::Tool(error) if error.output().contains("FATAL:") => {
                of_server(&format!("{error}; the server said: {}", self.process.log_tail()))
            }
            EngineError::Tool(error) => of_server(&error.to_string()),
            other => other,
        }
    }

    /// The same for an error of something that is not a check: the server is to blame only if it has ended.
    pub(super) fn explain_if_ended(&self, error: EngineError) -> EngineError {
        if self.process.has_ended() && !matches!(error, EngineError::Cancelled) {
            return self.explain_end();
        }
        error
    }

    fn explain_end(&self) -> EngineError {
        of_server(&format!("the server ended; it said: {}", self.process.log_tail()))
    }

    pub(super) fn stop(self) -> Result<()> {
        let stopped = self.process.stop(Signal::INT, STOP_TIMEOUT);
        drop(self.folder);
        stopped.map_err(|error| match error {
            ToolError::Cancelled => error.into(),
            other => of_server(&other.to_string()),
        })
    }
}

/// The server program on this data, with the settings in `folder`.
fn program(
    launch: &Launch<'_>,
    programs: &Programs,
    folder: &Path,
    first: &[&str],
) -> Result<Tool> {
    let tool = Tool::new(&programs.server("postgres", launch.major)?)
        .args(first.iter().copied())
        .arg("-D")
        .arg(launch.data)
        .arg("-c")
        .option("config_file=", folder.join(SETTINGS));
    Ok(tool.current_dir(folder).hide_root())
}

/// A folder for the socket: in `scratch`, or with the temporary files if that path is too long for a socket.
fn socket_folder(scratch: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".coffer-pg-");
    let made = builder.tempdir_in(scratch).and_then(|folder| {
        if folder.path().as_os_str().len() <= MAX_FOLDER {
            return Ok(folder);
        }
        folder.close()?;
        builder.tempdir()
    });
    made.map_err(|error| EngineError::target("creating a folder in", scratch, error))
}

fn write(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| EngineError::target("writing", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_folder_is_short_enough_for_any_scratch_folder() {
        let short = tempfile::tempdir().unwrap();
        assert!(socket_folder(short.path()).unwrap().path().starts_with(short.path()));
        let long = short.path().join("n".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let folder = socket_folder(&long).unwrap();
        assert!(folder.path().as_os_str().len() <= MAX_FOLDER);
        assert!(std::fs::read_dir(&long).unwrap().next().is_none());
    }
}
