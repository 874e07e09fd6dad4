//! A server that Coffer runs for a drill or a restore.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::offline::{self, Starter};
use super::process::Process;
use super::tail::last_lines;
use super::{Tool, ToolError};
use crate::domain::Cancel;
use crate::engine::Result;

/// How many bytes of the end of a log are searched for a message.
const LOG_TAIL: u64 = 16 << 10;

/// A running server. When dropped, it is killed.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    process: Process,
    log: PathBuf,
    /// Dropped after the process.
    _starter: Starter,
}

impl ServerProcess {
    pub(super) fn start(mut tool: Tool, log: &Path, cancel: &Cancel) -> Result<Self, ToolError> {
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(log);
        let stdout = opened.map_err(|error| tool.start_error(error))?;
        let stderr = stdout.try_clone().map_err(|error| tool.start_error(error))?;
        // Its clients use its socket.
        tool.offline = true;
        let mut command = tool.command();
        command.stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
        let (child, starter) = offline::start(command).map_err(|error| tool.start_error(error))?;
        let process = Process::watch(tool, child, cancel)?;
        Ok(Self { process, log: log.to_owned(), _starter: starter })
    }

    /// Calls `is_up` until it returns true. Fails if it does, if the server ends, or if it takes longer than `longest`.
    pub(crate) fn wait_until_up(
        &mut self,
        longest: Duration,
        mut is_up: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + longest;
        while !is_up()? {
            if self.process.wait_a_moment(None)? {
                let status = self.process.reap()?;
                return Err(self.process.failure(status, self.log_tail()).into());
            }
            if Instant::now() >= deadline {
                return Err(self.process.timed_out(longest, self.log_tail()).into());
            }
        }
        Ok(())
    }

    /// Stops it with `signal` and waits for a successful end.
    pub(crate) fn stop(mut self, signal: Signal, longest: Duration) -> Result<(), ToolError> {
        let deadline = Instant::now() + longest;
        self.process.signal(signal);
        while !self.process.wait_a_moment(None)? {
            if Instant::now() >= deadline {
                return Err(self.process.timed_out(longest, self.log_tail()));
            }
        }
        let status = self.process.reap()?;
        self.process.check_exit(status, self.log_tail())
    }

    /// Whether it ended by itself; [`ServerProcess::log_tail`] says why.
    pub(crate) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    pub(crate) fn log_tail(&self) -> String {
        match read_end(&self.log, LOG_TAIL) {
            Ok(end) => last_lines(&end, &self.process.secrets),
            Err(error) => format!("its log {} cannot be read: {error}", self.log.display()),
        }
    }
}

pub(crate) fn read_end(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    Ok(end)
}
