//! Ways to run a [`Tool`].

use std::path::Path;
use std::process::Stdio;

use super::process::Process;
use super::{ServerProcess, Stream, Tool, ToolError};
use crate::domain::Cancel;
use crate::engine::Result;

/// [`Tool::output`] reads at most this many bytes; then it stops listening, which ends most programs with an error.
const MAX_OUTPUT: usize = 64 << 20;

impl Tool {
    /// Runs it to its end. Discards its standard output; stderr is kept for the error.
    pub(crate) fn run(self, cancel: &Cancel) -> Result<(), ToolError> {
        Process::start(self, Stdio::null(), cancel)?.finish()
    }

    /// Runs it to its end: `true` if it succeeds, `false` if it fails or takes too long. An error if it cannot be
    /// started or was cancelled.
    pub(crate) fn succeeds(self, cancel: &Cancel) -> Result<bool> {
        match self.run(cancel) {
            Err(error @ (ToolError::Start { .. } | ToolError::Cancelled)) => Err(error.into()),
            ended => Ok(ended.is_ok()),
        }
    }

    /// Runs it to its end and returns what it wrote.
    pub(crate) fn output(self, cancel: &Cancel) -> Result<Vec<u8>, ToolError> {
        let mut stream = self.stream(cancel)?;
        let mut output = Vec::new();
        stream.read_up_to(MAX_OUTPUT, &mut output)?;
        stream.finish()?;
        Ok(output)
    }

    /// Starts it, to be read while it runs.
    pub(crate) fn stream(self, cancel: &Cancel) -> Result<Stream, ToolError> {
        Stream::start(self, cancel)
    }

    /// Starts it as a server that writes its messages to the file `log`.
    pub(crate) fn start_server(
        self,
        log: &Path,
        cancel: &Cancel,
    ) -> Result<ServerProcess, ToolError> {
        ServerProcess::start(self, log, cancel)
    }
}
