//! A running program, and its end.

use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use super::tail::{Tail, last_lines};
use super::{Secret, Tool, ToolError};
use crate::domain::Cancel;

/// How long nobody looks whether the job was cancelled.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// A program that runs. Dropped, it and everything it started are killed.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    /// Readable once the child has ended.
    ended: OwnedFd,
    tail: Option<Tail>,
    cancel: Cancel,
    deadline: Option<(Instant, Duration)>,
    secrets: Vec<Secret>,
    /// Its end was waited for: its number may be another process' by now.
    reaped: bool,
}

impl Process {
    /// Starts `tool` with its standard error followed.
    pub(super) fn start(tool: Tool, output: Stdio, cancel: &Cancel) -> Result<Self, ToolError> {
        let mut tool = tool;
        let mut command = tool.command();
        command.stdout(output).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| tool.start_error(error))?;
        let messages = child.stderr.take();
        let mut process = Self::of(tool, child, cancel)?;
        process.tail = messages.and_then(|it| Tail::follow(it).ok());
        Ok(process)
    }

    /// Watches over a child that was just started.
    pub(super) fn of(tool: Tool, child: Child, cancel: &Cancel) -> Result<Self, ToolError> {
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .map_err(|error| tool.start_error(error.into()))?;
        let deadline = tool.within.map(|longest| (Instant::now() + longest, longest));
        Ok(Self {
            name: tool.name,
            child,
            ended,
            tail: None,
            cancel: cancel.clone(),
            deadline,
            secrets: tool.secrets,
            reaped: false,
        })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(super) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits at most [`LOOK`] until `other` (or, without it, the end of the program) is ready. An error
    /// if there is nothing to wait for any more.
    pub(super) fn ready(&mut self, other: Option<&OwnedFd>) -> Result<bool, ToolError> {
        if self.cancel.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        if let Some((deadline, longest)) = self.deadline
            && Instant::now() >= deadline
        {
            self.kill();
            let said = self.said();
            let name = self.name.clone();
            return Err(ToolError::Late { name, seconds: longest.as_secs(), said });
        }
        Ok(is_ready(other.unwrap_or(&self.ended), LOOK))
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        is_ready(&self.ended, Duration::ZERO)
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn finish(mut self) -> Result<(), ToolError> {
        while !self.ready(None)? {}
        let status = self.reap()?;
        if status.success() { Ok(()) } else { Err(self.failed(status)) }
    }

    /// How it ended; it must have.
    pub(super) fn reap(&mut self) -> Result<ExitStatus, ToolError> {
        let path = self.name.clone().into();
        // What it started must not outlive it; it itself cannot be mistaken for another before it is reaped.
        self.signal(Signal::KILL);
        let status = self.child.wait().map_err(|source| ToolError::Start { path, source })?;
        self.reaped = true;
        Ok(status)
    }

    /// The error for a bad end.
    pub(super) fn failed(&mut self, status: ExitStatus) -> ToolError {
        let said = self.said();
        ToolError::Failed { name: self.name.clone(), status, said }
    }

    fn said(&mut self) -> String {
        let said = self.tail.take().map(Tail::end).unwrap_or_default();
        last_lines(&said, &self.secrets)
    }

    /// Sends a signal to it and everything it started.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.reaped {
            // Nobody left to tell is fine.
            kill_process_group(Pid::from_child(&self.child), signal).unwrap_or_default();
        }
    }

    /// Sends a signal to the program alone, for one that passes on to its own what they need to know.
    pub(super) fn tell(&self, signal: Signal) {
        if !self.reaped {
            kill_process(Pid::from_child(&self.child), signal).unwrap_or_default();
        }
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
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

/// Whether something can be read (or has ended) within this time.
fn is_ready(what: &OwnedFd, longest: Duration) -> bool {
    let mut waited = [PollFd::new(what, PollFlags::IN)];
    let longest = Timespec::try_from(longest).ok();
    match poll(&mut waited, longest.as_ref()) {
        Ok(ready) => ready > 0,
        Err(Errno::INTR) => false,
        // The read that follows says what is wrong.
        Err(_) => true,
    }
}
