//! A server of our own on a data directory that nobody else uses: for drills, and to fill a new cluster.
//!
//! It listens at a socket in a folder for its owner only, and reads none of the settings of the server
//! that was backed up: what they name (libraries, archives, certificates) is not here.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::login::Login;
use super::toolbox::Toolbox;
use crate::domain::{Cancel, FailureCode};
use crate::engine::EngineError;
use crate::engine::tool::{Servant, Tool, ToolError};

/// The longest path of a socket, with the zero byte behind it, is 108 bytes.
const LONGEST_FOLDER: usize = 107 - "/.s.PGSQL.5432".len();

/// Reading the WAL of a long backup takes a while.
const UP_WITHIN: Duration = Duration::from_secs(1800);

/// A stop writes everything that is not on the disk yet.
const DOWN_WITHIN: Duration = Duration::from_secs(600);

/// What psql says while a server is not ready yet.
const NOT_YET: [&str; 4] =
    ["the database system is", "Is the server running", "Connection refused", "No such file"];

/// What a server says when not its data but this machine is why it does not start.
const NOT_THE_DATA: [&str; 11] = [
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

/// What is said then.
const THIS_MACHINE: &str = "this machine and not the data is the reason";

/// A server that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Private {
    servant: Servant,
    pub(super) login: Login,
    folder: TempDir,
}

/// What is to be started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    /// The data directory.
    pub(super) data: &'a Path,
    /// Its version.
    pub(super) major: u32,
    /// A superuser in it.
    pub(super) role: &'a str,
    /// Where files of the server's own may go.
    pub(super) scratch: &'a Path,
}

impl Private {
    /// Starts the server and waits until it takes connections.
    pub(super) fn start(
        plan: &Plan<'_>,
        toolbox: &Toolbox,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let program = toolbox.server("postgres", plan.major)?;
        let folder = socket_folder(plan.scratch)?;
        write(&folder.path().join("pg_hba.conf"), "local all all trust\n")?;
        write(&folder.path().join("pg_ident.conf"), "")?;
        let settings = folder.path().join("postgresql.conf");
        write(&settings, &configuration(folder.path(), plan.major))?;
        let mut config = std::ffi::OsString::from("config_file=");
        config.push(&settings);
        let log = folder.path().join("log");
        let tool = Tool::new(&program)
            .args([std::ffi::OsStr::new("-D"), plan.data.as_os_str()])
            .arg("-c")
            .arg(config)
            .folder(folder.path())
            .as_ordinary_user();
        let servant = tool.serve(&log, cancel)?;
        let login = Login::to_socket(folder.path(), plan.role);
        let mut private = Self { servant, login, folder };
        private.wait(toolbox, cancel)?;
        Ok(private)
    }

    fn wait(&mut self, toolbox: &Toolbox, cancel: &Cancel) -> Result<(), EngineError> {
        let (login, mut refused) = (self.login.clone(), None);
        let up = self.servant.wait_until_up(UP_WITHIN, || {
            match login.ask(toolbox, "SELECT 1", cancel) {
                Ok(_) => true,
                Err(error) => {
                    let text = error.to_string();
                    let later = NOT_YET.iter().any(|words| text.contains(words));
                    if !later {
                        refused = Some(error);
                    }
                    !later
                }
            }
        });
        match (up, refused) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(error)) => Err(blamed(&error.to_string())),
            (Err(ToolError::Cancelled), _) => Err(ToolError::Cancelled.into()),
            (Err(error @ ToolError::Start { .. }), _) => Err(error.into()),
            (Err(error), _) => Err(blamed(&error.to_string())),
        }
    }

    /// An error of something that asked this server: the server's own last words, if it has died of it.
    pub(super) fn explain(&self, error: EngineError) -> EngineError {
        if matches!(error, EngineError::Refused(_)) || error.to_string().ends_with(THIS_MACHINE) {
            return error;
        }
        if self.servant.has_ended() {
            return blamed(&format!("the server ended; it said: {}", self.servant.said()));
        }
        blamed(&error.to_string())
    }

    /// The same of something that is no check: only if the server has died of it, it is the server's fault.
    pub(super) fn unless_alive(&self, error: EngineError) -> EngineError {
        if self.servant.has_ended() { self.explain(error) } else { error }
    }

    /// Stops it in order.
    pub(super) fn stop(self) -> Result<(), EngineError> {
        let stopped = self.servant.stop(Signal::INT, DOWN_WITHIN);
        drop(self.folder);
        stopped.map_err(|error| match error {
            ToolError::Cancelled => error.into(),
            other => blamed(&other.to_string()),
        })
    }
}

/// Whose fault it is that a server does not start, or does not answer as it should.
pub(super) fn blamed(message: &str) -> EngineError {
    if NOT_THE_DATA.iter().any(|words| message.contains(words)) {
        return EngineError::known(FailureCode::Tool, format!("{message}; {THIS_MACHINE}"));
    }
    EngineError::archive(format!("the restored server does not hold up: {message}"))
}

/// A folder for the socket. A path that is too long for one is none: then it is among temporary files.
fn socket_folder(scratch: &Path) -> Result<TempDir, EngineError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".coffer-pg-");
    let made = builder.tempdir_in(scratch).and_then(|folder| {
        if folder.path().as_os_str().len() <= LONGEST_FOLDER {
            return Ok(folder);
        }
        folder.close()?;
        builder.tempdir()
    });
    made.map_err(|error| EngineError::target("making a folder in", scratch, error))
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

/// Everything else is PostgreSQL's default.
fn configuration(folder: &Path, major: u32) -> String {
    let place = folder.display().to_string().replace('\'', "''");
    let mut text = format!(
        "listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '\"{place}\"'\n\
         unix_socket_permissions = 0700\n\
         hba_file = '{place}/pg_hba.conf'\n\
         ident_file = '{place}/pg_ident.conf'\n\
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
    fn a_socket_finds_a_place_however_long_the_path_of_the_scratch_folder_is() {
        let short = tempfile::tempdir().unwrap();
        assert!(socket_folder(short.path()).unwrap().path().starts_with(short.path()));
        let long = short.path().join("n".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let folder = socket_folder(&long).unwrap();
        assert!(folder.path().as_os_str().len() <= LONGEST_FOLDER);
        assert!(std::fs::read_dir(&long).unwrap().next().is_none());
    }

    #[test]
    fn a_machine_without_room_is_not_an_archive_with_damage() {
        let code = |text: &str| blamed(text).failure().unwrap().code;
        assert_eq!(code("could not create shared memory segment"), FailureCode::Tool);
        assert_eq!(code("PANIC: could not locate a valid checkpoint"), FailureCode::ArchiveDamaged);
    }
}
