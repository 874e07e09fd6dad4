//! How a program can fail.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::Signal;

use crate::domain::FailureCode;
use crate::engine::{EngineError, Refused};

/// A program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum ToolError {
    /// The job was cancelled meanwhile.
    #[error("cancelled")]
    Cancelled,
    /// It could not be started or listened to.
    #[error("{} cannot be run: {source}", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It took longer than it was given.
    #[error("{name} did not end within {seconds} s; {said}")]
    Late {
        /// The program.
        name: String,
        /// How long it was given.
        seconds: u64,
        /// Its last lines, without secrets.
        said: String,
    },
    /// It ended badly.
    #[error("{name} ended with {status}; it said: {said}")]
    Failed {
        /// The program.
        name: String,
        /// Exit status or signal.
        status: ExitStatus,
        /// Its last lines, without secrets.
        said: String,
    },
}

impl ToolError {
    /// What the program said last; empty if it never ran.
    pub(in crate::engine) fn said(&self) -> &str {
        match self {
            Self::Late { said, .. } | Self::Failed { said, .. } => said,
            Self::Cancelled | Self::Start { .. } => "",
        }
    }

    /// Whether the program ended because nobody read what it wrote.
    pub(super) fn is_broken_pipe(&self) -> bool {
        let Self::Failed { status, .. } = self else { return false };
        status.signal() == Some(Signal::PIPE.as_raw())
    }

    /// As an error of this kind, with what to do next.
    pub(in crate::engine) fn explain(self, code: FailureCode, next: &str) -> EngineError {
        match self {
            Self::Cancelled => Refused.into(),
            other if next.is_empty() => EngineError::known(code, other.to_string()),
            other => EngineError::known(code, format!("{other}; {next}")),
        }
    }
}

impl From<ToolError> for EngineError {
    fn from(error: ToolError) -> Self {
        error.explain(FailureCode::Tool, "")
    }
}
