//! A program that is read from while it runs.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;

use super::process::Process;
use super::{Tool, ToolError};
use crate::domain::Cancel;
use crate::engine::EngineError;

/// So much is worth a read of its own, in bytes: a part of what the pipe holds.
const ENOUGH: usize = 256 << 10;

/// How long more is waited for, once. The pipe takes on meanwhile what a fast program writes.
const MOMENT: Duration = Duration::from_micros(250);

/// What a program writes, as it writes it.
///
/// The end of what it writes is not yet a good end: only [`Stream::finish`] says whether it was.
#[derive(Debug)]
pub(in crate::engine) struct Stream {
    process: Process,
    output: OwnedFd,
}

impl Stream {
    pub(super) fn start(tool: Tool, cancel: &Cancel) -> Result<Self, ToolError> {
        let name = tool.name.clone();
        let mut process = Process::start(tool, Stdio::piped(), cancel)?;
        let output = process.child().stdout.take().ok_or_else(|| ToolError::Start {
            path: name.into(),
            source: io::Error::other("it has no standard output"),
        })?;
        let output = OwnedFd::from(output);
        // A larger pipe wakes reader and writer less often. Best effort: the user's share may be used up.
        let _size = rustix::pipe::fcntl_setpipe_size(&output, 1 << 20);
        Ok(Self { process, output })
    }

    /// Appends everything up to the end, or up to `most` bytes, to `into`.
    pub(in crate::engine) fn read_up_to(
        &mut self,
        most: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), ToolError> {
        let before = into.len();
        while into.len() - before < most {
            let filled = into.len();
            let piece = (most - (filled - before)).min(64 << 10);
            into.resize(filled + piece, 0);
            let got = self.piece(into.get_mut(filled..).unwrap_or_default());
            into.truncate(filled + got.as_ref().map_or(0, |length| *length));
            if got? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn piece(&mut self, buffer: &mut [u8]) -> Result<usize, ToolError> {
        loop {
            if !self.process.ready(Some(&self.output))? {
                if self.process.has_ended() {
                    // Something it left behind holds the pipe and says nothing: it would never end.
                    self.process.signal(Signal::KILL);
                }
                continue;
            }
            self.gather(buffer.len());
            match rustix::io::read(&self.output, &mut *buffer) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => {
                    let path = self.process.name().into();
                    return Err(ToolError::Start { path, source: error.into() });
                }
                Ok(length) => return Ok(length),
            }
        }
    }

    /// Lets more come together before it is read: a program that writes as fast as it can would be woken, and
    /// wake this one, for every few kilobytes, which costs both more than the bytes do.
    #[expect(clippy::disallowed_methods, reason = "nobody could call off so short a wait in time")]
    fn gather(&self, wanted: usize) {
        let enough = u64::try_from(wanted.min(ENOUGH)).unwrap_or(0);
        if rustix::io::ioctl_fionread(&self.output).is_ok_and(|there| there < enough) {
            std::thread::sleep(MOMENT);
        }
    }

    /// Waits for the program's end, which must be a good one. What it still writes is not read.
    pub(in crate::engine) fn finish(self) -> Result<(), ToolError> {
        let Self { process, output } = self;
        drop(output);
        process.finish()
    }

    /// The error a reader got from this stream's [`Read`], as what it was; anything else about the stream's
    /// content is better explained by how the program ended, if it ended badly.
    pub(in crate::engine) fn explain(self, error: io::Error) -> EngineError {
        if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<ToolError>) {
            return error.downcast::<ToolError>().map_or_else(
                |other| EngineError::io("reading from", "a program".as_ref(), other),
                EngineError::from,
            );
        }
        let name = self.process.name().to_owned();
        match self.finish() {
            // It wrote on, and nobody read any more: that is our doing.
            Err(failed) if !failed.is_broken_pipe() => failed.into(),
            _ => EngineError::known(
                crate::domain::FailureCode::Tool,
                format!("{name} wrote something else than it should: {error}"),
            ),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.piece(buffer).map_err(io::Error::other)
    }
}
