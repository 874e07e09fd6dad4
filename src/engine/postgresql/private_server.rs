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
use super::programs::Programs;
use crate::domain::{Cancel, FailureCode};
use crate::engine::EngineError;
use crate::engine::tool::{ServerProcess, Tool, ToolError, says_any};

/// A socket's path, with the zero byte at its end, has at most 108 bytes.
const MAX_FOLDER: usize = 107 - "/.s.PGSQL.5432".len();

/// Replaying the WAL of a long backup takes a while.
const START_TIMEOUT: Duration = Duration::from_secs(1800);

/// A shutdown writes everything that is not on the disk yet.
const STOP_TIMEOUT: Duration = Duration::from_secs(600);

/// What psql says while a server is starting.
const STARTING: [&str; 4] =
    ["the database system is", "Is the server running", "Connection refused", "No such file"];

/// What a server says if this machine, and not the data, keeps it from starting.
const MACHINE: [&str; 11] = [
    "shared memory",
    "semaphore",
    "No space left",
    "Cannot allocate memory",
    "could not bind",
    "could not create any Unix-domain sockets",
    "incompatible with operating system",
    "is not recognized by setlocale",
    "could not access file \"$libdir",
    "could not load library",
    "execution of the PostgreSQL server is not permitted",
];

/// A running server. When dropped, it is killed.
#[derive(Debug)]
pub(super) struct PrivateServer {
    process: ServerProcess,
    pub(super) client: Client,
    /// Holds its socket, settings and log.
    folder: TempDir,
}

/// What to start.
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
    pub(super) fn start(
        launch: &Launch<'_>,
        programs: &Programs,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let program = programs.server("postgres", launch.major)?;
        let folder = socket_folder(launch.scratch)?;
        let settings = folder.path().join("postgresql.conf");
        write(&folder.path().join("pg_hba.conf"), "local all all trust\n")?;
        write(&folder.path().join("pg_ident.conf"), "")?;
        write(&settings, &configuration(folder.path(), launch.major))?;
        let tool = Tool::new(&program)
            .arg("-D")
            .arg(launch.data)
            .arg("-c")
            .option("config_file=", &settings)
            .current_dir(folder.path())
            .hide_root();
        let process = tool.start_server(&folder.path().join("log"), cancel)?;
        let client = Client {
            login: Login::to_private(folder.path(), launch.role),
            programs: programs.clone(),
            cancel: cancel.clone(),
        };
        let mut server = Self { process, client, folder };
        server.wait_until_up()?;
        Ok(server)
    }

    fn wait_until_up(&mut self) -> Result<(), EngineError> {
        let client = &self.client;
        let up = self.process.wait_until_up(START_TIMEOUT, || match client.query("SELECT 1") {
            Err(EngineError::Tool(error)) if says_any(error.output(), &STARTING) => Ok(false),
            answer => answer.map(|_| true),
        });
        up.map_err(|error| self.explain(error))
    }

    /// What an error of a check on this server means: the data is damaged, unless this machine is the reason.
    /// If the server has ended, its log says more than the check.
    pub(super) fn explain(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Tool(ToolError::Start { .. }) => error,
            EngineError::Tool(_) if self.process.has_ended() => self.explain_end(),
            EngineError::Tool(error) => blame(&error.to_string()),
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
        blame(&format!("the server ended; it said: {}", self.process.log_tail()))
    }

    /// Shuts it down.
    pub(super) fn stop(self) -> Result<(), EngineError> {
        let stopped = self.process.stop(Signal::INT, STOP_TIMEOUT);
        drop(self.folder);
        stopped.map_err(|error| match error {
            ToolError::Cancelled => error.into(),
            other => blame(&other.to_string()),
        })
    }
}

/// The error for what a server or a check said: damage, unless it says that this machine is the reason.
pub(super) fn blame(message: &str) -> EngineError {
    if says_any(message, &MACHINE) {
        return EngineError::known(
            FailureCode::Tool,
            format!("{message}; this machine and not the data is the reason"),
        );
    }
    EngineError::archive(format!("the restored data is damaged: {message}"))
}

/// A folder for the socket: in `scratch`, or with the temporary files if that path is too long for a socket.
fn socket_folder(scratch: &Path) -> Result<TempDir, EngineError> {
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

fn write(path: &Path, text: &str) -> Result<(), EngineError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| EngineError::target("writing", path, error))
}

/// Everything else keeps PostgreSQL's default.
fn configuration(folder: &Path, major: u32) -> String {
    let folder = folder.display().to_string().replace('\'', "''");
    let mut text = format!(
        "listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '\"{folder}\"'\n\
         unix_socket_permissions = 0700\n\
         hba_file = '{folder}/pg_hba.conf'\n\
         ident_file = '{folder}/pg_ident.conf'\n\
         external_pid_file = ''\n\
         max_connections = 10\n\
         max_prepared_transactions = 200\n\
         max_locks_per_transaction = 256\n\
         max_worker_processes = 4\n\
         max_wal_senders = 0\n\
         wal_level = minimal\n\
         shared_buffers = 64MB\n\
         dynamic_shared_memory_type = mmap\n\
         fsync = off\n\
         full_page_writes = off\n\
         synchronous_commit = off\n\
         autovacuum = off\n\
         jit = off\n\
         logging_collector = off\n\
         log_destination = 'stderr'\n\
         lc_messages = 'C'\n"
    );
    if major >= 17 {
        text.push_str("event_triggers = off\n");
    }
    text
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

    #[test]
    fn a_machine_that_lacks_something_is_not_damage_of_the_archive() {
        let code = |text: &str| blame(text).failure().unwrap().code;
        assert_eq!(code("could not create shared memory segment"), FailureCode::Tool);
        assert_eq!(code("PANIC: could not locate a valid checkpoint"), FailureCode::ArchiveDamaged);
    }
}
