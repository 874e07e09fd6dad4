//! How a program can fail.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::Signal;

/// A program did not do what it was asked. `output` is the end of what it said, without secrets.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("cancelled")]
    Cancelled,
    #[error("{} cannot be run: {source}", path.display())]
    Start { path: PathBuf, source: std::io::Error },
    #[error("{name} did not end within {seconds} s; {output}")]
    TimedOut { name: String, seconds: u64, output: String },
    #[error("{name} ended with {status}; it said: {output}")]
    Failed { name: String, status: ExitStatus, output: String },
    /// It succeeded, but its answer is not what it should be.
    #[error("{name} gave an unexpected answer: {output}")]
    Answer {
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
