//! The check of a snapshot by the server's own tool, which decodes every value and compares the checksum.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::client::PACKAGE;
use super::info::Info;
use super::version::check_version;
use crate::domain::{Cancel, FailureCode};
use crate::engine::tool::{Finder, Tool, ToolError, version_text};
use crate::engine::{EngineError, Result};

pub(super) const CHECK: &str = "redis-check-rdb";
const GOOD: &str = "RDB looks OK";
/// Printed if anything is wrong, whatever the exit status.
const BAD: &str = "RDB ERROR DETECTED";
const SELECTING: &str = "Selecting DB ID ";
const TOO_NEW: &str = "Can't handle RDB format version";
/// How many bytes of output are read; most of it is a line for each database.
const MAX_OUTPUT: usize = 4 << 20;
/// How many of the last lines a message shows.
const MAX_LINES: usize = 6;

#[derive(Debug)]
pub(super) struct Checker(PathBuf);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) keys: Option<u64>,
    /// How many databases a server needs to load it.
    pub(super) databases: u32,
    pub(super) took_ms: u64,
}

impl Checker {
    /// Finds the tool, preferably Valkey's if the snapshot is from a Valkey server.
    pub(super) fn find(finder: &Finder, valkey: bool) -> Result<Self> {
        let mut names = ["redis-check-rdb", "valkey-check-rdb"];
        if valkey {
            names.reverse();
        }
        finder.find_any(&names, PACKAGE).map(Self)
    }

    /// Makes sure that it is new enough for the server.
    pub(super) fn check_version(&self, info: &Info, cancel: &Cancel) -> Result<()> {
        // An old tool lacks this option. Its check then says what it cannot read.
        let version = version_text(&self.0, &["--version"], cancel);
        version.map_or(Ok(()), |version| check_version(&version, info))
    }

    /// Checks an open snapshot from its beginning. `damaged` makes an error of a description of the damage.
    pub(super) fn run(
        &self,
        snapshot: File,
        cancel: &Cancel,
        damaged: impl FnOnce(String) -> EngineError,
    ) -> Result<Checked> {
        let stopwatch = Instant::now();
        let mut stream = Tool::new(&self.0).arg("/dev/stdin").stdin(snapshot).stream(cancel)?;
        let mut output = Vec::new();
        stream.read_up_to(MAX_OUTPUT, &mut output)?;
        let ended = stream.finish();
        let output = String::from_utf8_lossy(&output);
        match ended {
            Ok(()) if output.contains(GOOD) && !output.contains(BAD) => {
                let took_ms = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
                Ok(Checked { keys: keys(&output), databases: databases(&output), took_ms })
            }
            // Cancelled, not started, or killed before it found anything.
            Err(error) if !matches!(error, ToolError::Failed { .. }) || !output.contains(BAD) => {
                Err(error.into())
            }
            _ if output.contains(TOO_NEW) => Err(EngineError::known(
                FailureCode::Tool,
                format!(
                    "{} is older than the server: {}; apt install {PACKAGE} in the server's version, or set \
                     source.tools to the folder of such tools",
                    self.0.display(),
                    last_lines(&output)
                ),
            )),
            _ => Err(damaged(last_lines(&output))),
        }
    }

    pub(super) fn run_on(
        &self,
        path: &Path,
        cancel: &Cancel,
        damaged: impl FnOnce(String) -> EngineError,
    ) -> Result<Checked> {
        let file = File::open(path).map_err(|error| EngineError::target("opening", path, error))?;
        self.run(file, cancel, damaged)
    }
}

/// The number in `[info] 12 keys read`.
fn keys(output: &str) -> Option<u64> {
    let line = output.lines().find(|line| line.contains("keys read"))?;
    line.split_whitespace().find_map(|word| word.parse().ok())
}

/// One more than the highest number in lines like `[offset 99] Selecting DB ID 40`.
fn databases(output: &str) -> u32 {
    let numbers =
        output.lines().filter_map(|line| line.split_once(SELECTING)?.1.trim().parse::<u32>().ok());
    numbers.max().map_or(0, |highest| highest.saturating_add(1))
}

/// Where and why it stopped, without the statistics.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> =
        output.lines().filter(|line| !line.starts_with("[info]") && !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(MAX_LINES)..).unwrap_or_default().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_database_decides_how_many_a_server_needs() {
        let output =
            "[offset 9] Selecting DB ID 0\n[offset 99] Selecting DB ID 40\n[info] 2 keys read\n";
        assert_eq!((databases(output), keys(output)), (41, Some(2)));
        assert_eq!(databases(""), 0);
    }
}
