//! How a program can fail.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::Signal;

/// A program did not do what it was asked. `output` is the end of what it said, without secrets.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The job was cancelled while the program ran.
    #[error("cancelled")]
    Cancelled,
    /// It could not be started or read from.
    #[error("{} cannot be run: {source}", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It was killed because it took too long.
    #[error("{name} did not end within {seconds} s; {output}")]
    TimedOut {
        /// The program.
        name: String,
        /// How long it was given.
        seconds: u64,
        /// Its last lines.
        output: String,
    },
    /// It failed or was killed.
    #[error("{name} ended with {status}; it said: {output}")]
    Failed {
        /// The program.
        name: String,
        /// Its exit status or the signal.
        status: ExitStatus,
        /// Its last lines.
        output: String,
    },
    /// It succeeded, but its answer is not what it should be.
    #[error("{name} gave an unexpected answer: {output}")]
    Answer {
        /// The program.
        name: String,
        /// What it answered, or what is wrong with that.
        output: String,
    },
}

impl ToolError {
    /// The answer `output` of the program `name` is not what it should be.
    pub(in crate::engine) fn answer(name: &str, output: &(impl ToString + ?Sized)) -> Self {
        let output = output.to_string().trim().to_owned();
        let output = if output.is_empty() { "nothing".to_owned() } else { output };
        Self::Answer { name: name.to_owned(), output }
    }

    /// The end of what the program said; empty if it never ran.
    pub(in crate::engine) fn output(&self) -> &str {
        match self {
            Self::TimedOut { output, .. }
            | Self::Failed { output, .. }
            | Self::Answer { output, .. } => output,
            Self::Cancelled | Self::Start { .. } => "",
        }
    }

    /// Whether the program was ended by writing to a pipe that was closed.
    pub(super) fn is_broken_pipe(&self) -> bool {
        let Self::Failed { status, .. } = self else { return false };
        status.signal() == Some(Signal::PIPE.as_raw())
    }

    /// The same error with the part of its output that matters.
    pub(in crate::engine) fn map_output(mut self, map: impl FnOnce(&str) -> String) -> Self {
        match &mut self {
            Self::TimedOut { output, .. }
            | Self::Failed { output, .. }
            | Self::Answer { output, .. } => *output = map(output),
            Self::Cancelled | Self::Start { .. } => {}
        }
        self
    }
}
