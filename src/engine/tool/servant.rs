//! A server of our own, for as long as a drill or a restore needs it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process::Process;
use super::tail::last_lines;
use super::{Tool, ToolError};
use crate::domain::Cancel;

/// How much of the end of a log is looked at for a message.
const LOG_END: u64 = 16 << 10;

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub(in crate::engine) struct Servant {
    process: Process,
    log: PathBuf,
}

impl Servant {
    pub(super) fn start(tool: Tool, log: &Path, cancel: &Cancel) -> Result<Self, ToolError> {
        let mut tool = tool;
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(log);
        let messages = opened.map_err(|error| tool.start_error(error))?;
        let again = messages.try_clone().map_err(|error| tool.start_error(error))?;
        let mut command = tool.command();
        command.stdout(Stdio::from(messages)).stderr(Stdio::from(again));
        let child = command.spawn().map_err(|error| tool.start_error(error))?;
        Ok(Self { process: Process::of(tool, child, cancel)?, log: log.to_owned() })
    }

    /// Waits until `is_up` says so, asking again after a moment. An error if the server ends first, or does not
    /// come up in time.
    pub(in crate::engine) fn wait_until_up(
        &mut self,
        longest: Duration,
        mut is_up: impl FnMut() -> bool,
    ) -> Result<(), ToolError> {
        let deadline = Instant::now() + longest;
        while !is_up() {
            if self.process.ready(None)? {
                let status = self.process.reap()?;
                let (name, said) = (self.process.name().to_owned(), self.said());
                return Err(ToolError::Failed { name, status, said });
            }
            if Instant::now() >= deadline {
                let (name, said) = (self.process.name().to_owned(), self.said());
                return Err(ToolError::Late { name, seconds: longest.as_secs(), said });
            }
        }
        Ok(())
    }

    /// Asks it to stop with `signal` and waits for its end, which must be a good one.
    pub(in crate::engine) fn stop(
        mut self,
        signal: Signal,
        longest: Duration,
    ) -> Result<(), ToolError> {
        let deadline = Instant::now() + longest;
        self.process.tell(signal);
        while !self.process.ready(None)? {
            if Instant::now() >= deadline {
                let (name, said) = (self.process.name().to_owned(), self.said());
                return Err(ToolError::Late { name, seconds: longest.as_secs(), said });
            }
        }
        let status = self.process.reap()?;
        if status.success() {
            return Ok(());
        }
        let (name, said) = (self.process.name().to_owned(), self.said());
        Err(ToolError::Failed { name, status, said })
    }

    /// Whether it has ended by itself: a check that lost its server is told why by [`Servant::said`].
    pub(in crate::engine) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// The last lines of its log.
    pub(in crate::engine) fn said(&self) -> String {
        let mut end = Vec::new();
        let read = File::open(&self.log).and_then(|mut log| {
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
            log.take(LOG_END).read_to_end(&mut end)
        });
        match read {
            Ok(_) => last_lines(&end, self.process.secrets()),
            Err(error) => format!("its log {} cannot be read: {error}", self.log.display()),
        }
    }
}
