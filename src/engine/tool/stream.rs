//! A program that is read while it runs.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;

use super::process::Process;
use super::{Tool, ToolError};
use crate::domain::{Cancel, num};
use crate::engine::EngineError;

/// A read is worth its wake-up once this many bytes wait in the pipe.
const WORTH_READING: usize = 256 << 10;

/// How long a read waits, once, for the pipe to fill up.
const GATHER_TIME: Duration = Duration::from_micros(250);

/// The standard output of a running program.
///
/// The end of the output is not yet a success: only [`Stream::finish`] tells how the program ended.
#[derive(Debug)]
pub(crate) struct Stream {
    process: Process,
    stdout: OwnedFd,
}

impl Stream {
    pub(super) fn start(tool: Tool, cancel: &Cancel) -> Result<Self, ToolError> {
        let mut process = Process::start(tool, Stdio::piped(), cancel)?;
        let stdout = process.child.stdout.take().expect("its standard output is a pipe");
        let stdout = OwnedFd::from(stdout);
        // A larger pipe wakes both sides less often. It may be refused: the user's share may be used up.
        let _size = rustix::pipe::fcntl_setpipe_size(&stdout, 1 << 20);
        Ok(Self { process, stdout })
    }

    /// Appends the output to `into`, up to its end or to `limit` bytes.
    pub(crate) fn read_up_to(&mut self, limit: usize, into: &mut Vec<u8>) -> Result<(), ToolError> {
        let before = into.len();
        while into.len() - before < limit {
            let filled = into.len();
            let piece = (limit - (filled - before)).min(64 << 10);
            into.resize(filled + piece, 0);
            let read = self.read_some(into.get_mut(filled..).unwrap_or_default());
            into.truncate(filled + read.as_ref().map_or(0, |length| *length));
            if read? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ToolError> {
        loop {
            if !self.process.wait_a_moment(Some(&self.stdout))? {
                if self.process.has_ended() {
                    // A process that it left behind holds the pipe open.
                    self.process.signal_group(Signal::KILL);
                }
                continue;
            }
            self.gather(buffer.len());
            match rustix::io::read(&self.stdout, &mut *buffer) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => {
                    let path = self.process.name.clone().into();
                    return Err(ToolError::Start { path, source: error.into() });
                }
                Ok(length) => return Ok(length),
            }
        }
    }

    /// Lets the pipe fill up: otherwise a fast program and this reader wake each other for every few
    /// kilobytes, which costs more than moving the bytes.
    #[expect(clippy::disallowed_methods, reason = "too short a wait to be worth cancelling")]
    fn gather(&self, wanted: usize) {
        let enough = num::to_u64(wanted.min(WORTH_READING));
        if rustix::io::ioctl_fionread(&self.stdout).is_ok_and(|waiting| waiting < enough) {
            std::thread::sleep(GATHER_TIME);
        }
    }

    /// Waits for the program's successful end. Output that was not read yet is dropped.
    pub(crate) fn finish(self) -> Result<(), ToolError> {
        let Self { process, stdout } = self;
        drop(stdout);
        process.finish()
    }

    /// Why reading this stream failed with `error`: an error of the stream itself is returned as it was;
    /// output that could not be used is better explained by the program's own failure, if it failed.
    pub(crate) fn explain(self, error: io::Error) -> EngineError {
        let error = match error.downcast::<ToolError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        let name = self.process.name.clone();
        match self.finish() {
            Err(failed) if !failed.is_broken_pipe() => failed.into(),
            // It only failed because nobody read on.
            _ => ToolError::answer(&name, &error).into(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_some(buffer).map_err(io::Error::other)
    }
}
