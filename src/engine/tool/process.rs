//! A running program.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use super::tail::{StderrTail, last_lines};
use super::{Secret, Tool, ToolError};
use crate::domain::Cancel;

/// How often a wait checks for cancellation and timeout.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A running program. When dropped, it and everything it started are killed.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) child: Child,
    /// Readable once the child has ended.
    pidfd: OwnedFd,
    stderr: Option<StderrTail>,
    cancel: Cancel,
    deadline: Option<(Instant, Duration)>,
    pub(super) secrets: Vec<Secret>,
    /// Its process id may belong to another process by now.
    reaped: bool,
}

impl Process {
    /// Starts `tool` and collects its standard error.
    pub(super) fn start(mut tool: Tool, stdout: Stdio, cancel: &Cancel) -> Result<Self, ToolError> {
        let mut command = tool.command();
        let stderr = tool.messages.take().map_or_else(Stdio::piped, Stdio::from);
        command.stdout(stdout).stderr(stderr);
        let mut child = command.spawn().map_err(|error| tool.start_error(error))?;
        let stderr = child.stderr.take();
        let mut process = Self::watch(tool, child, cancel)?;
        process.stderr = stderr.and_then(|it| StderrTail::collect(it).ok());
        Ok(process)
    }

    /// Takes over a child that was just started.
    pub(super) fn watch(tool: Tool, child: Child, cancel: &Cancel) -> Result<Self, ToolError> {
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .map_err(|error| tool.start_error(error.into()))?;
        let deadline = tool.timeout.map(|longest| (Instant::now() + longest, longest));
        Ok(Self {
            name: tool.name,
            child,
            pidfd,
            stderr: None,
            cancel: cancel.clone(),
            deadline,
            secrets: tool.secrets,
            reaped: false,
        })
    }

    /// Waits a moment until `other` is readable or, without it, the program has ended. Fails if the job was
    /// cancelled or the program's time is up.
    pub(super) fn wait_a_moment(&mut self, other: Option<&OwnedFd>) -> Result<bool, ToolError> {
        if self.cancel.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        if let Some((deadline, longest)) = self.deadline
            && Instant::now() >= deadline
        {
            self.kill();
            let output = self.stderr();
            return Err(self.timed_out(longest, output));
        }
        Ok(is_readable(other.unwrap_or(&self.pidfd), POLL_INTERVAL))
    }

    pub(super) fn has_ended(&self) -> bool {
        is_readable(&self.pidfd, Duration::ZERO)
    }

    /// Waits for its end; an unsuccessful exit is an error.
    pub(super) fn finish(mut self) -> Result<(), ToolError> {
        while !self.wait_a_moment(None)? {}
        let status = self.reap()?;
        let output = self.stderr();
        self.check_exit(status, output)
    }

    /// The exit status of a program that has ended. What it started is killed first, while its process id
    /// cannot belong to another process yet.
    pub(super) fn reap(&mut self) -> Result<ExitStatus, ToolError> {
        self.signal_group(Signal::KILL);
        let path = self.name.clone().into();
        let status = self.child.wait().map_err(|source| ToolError::Start { path, source })?;
        self.reaped = true;
        Ok(status)
    }

    pub(super) fn check_exit(&self, status: ExitStatus, output: String) -> Result<(), ToolError> {
        if status.success() { Ok(()) } else { Err(self.failure(status, output)) }
    }

    /// The error of a program that ended like this and should not have.
    pub(super) fn failure(&self, status: ExitStatus, output: String) -> ToolError {
        let name = self.name.clone();
        match status.code() {
            // What a shell or another wrapper ends with if it could not run the program.
            Some(126 | 127) => {
                ToolError::Start { path: name.into(), source: io::Error::other(output) }
            }
            _ => ToolError::Failed { name, status, output },
        }
    }

    pub(super) fn timed_out(&self, longest: Duration, output: String) -> ToolError {
        ToolError::TimedOut { name: self.name.clone(), seconds: longest.as_secs(), output }
    }

    fn stderr(&mut self) -> String {
        let bytes = self.stderr.take().map(StderrTail::wait).unwrap_or_default();
        last_lines(&bytes, &self.secrets)
    }

    /// Signals the program and everything it started. That they may have ended already is no error.
    pub(super) fn signal_group(&self, signal: Signal) {
        if !self.reaped {
            kill_process_group(Pid::from_child(&self.child), signal).unwrap_or_default();
        }
    }

    /// Signals the program alone, which stops its own children cleanly.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.reaped {
            kill_process(Pid::from_child(&self.child), signal).unwrap_or_default();
        }
    }

    fn kill(&mut self) {
        self.signal_group(Signal::KILL);
        if !self.reaped {
            self.child.wait().map(drop).unwrap_or_default();
            self.reaped = true;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether `fd` becomes readable within this time.
fn is_readable(fd: &OwnedFd, longest: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let longest = Timespec::try_from(longest).ok();
    match poll(&mut fds, longest.as_ref()) {
        Ok(ready) => ready > 0,
        Err(Errno::INTR) => false,
        // The read that follows reports what is wrong.
        Err(_) => true,
    }
}
