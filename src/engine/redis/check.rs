//! The check of a snapshot: every value decoded and the checksum compared, by the server's own tool.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::client::{PACKAGE, PATIENCE};
use super::info::Info;
use super::version::fits;
use crate::domain::{Cancel, FailureCode};
use crate::engine::EngineError;
use crate::engine::tool::{Finder, Tool, ToolError};

/// The check's name in reports.
pub(super) const CHECK: &str = "redis-check-rdb";
/// What the tool says of a good snapshot.
const GOOD: &str = "RDB looks OK";
/// What it says where anything is wrong, whatever its exit status.
const BAD: &str = "RDB ERROR DETECTED";
/// What it says of a format newer than itself.
const TOO_NEW: &str = "Can't handle RDB format version";
/// It says no more than this, in bytes; a line for each database is the most of it.
const LONGEST: usize = 4 << 20;
/// How many of its last lines a message shows.
const SHOWN: usize = 6;

/// The tool that checks.
#[derive(Debug)]
pub(super) struct Checker(PathBuf);

/// A snapshot that passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) keys: Option<u64>,
    pub(super) took_ms: u64,
}

impl Checker {
    /// Looks for it. `valkey`: the snapshot is that server's.
    pub(super) fn find(finder: &Finder, valkey: bool) -> Result<Self, EngineError> {
        let mut names = ["redis-check-rdb", "valkey-check-rdb"];
        if valkey {
            names.reverse();
        }
        finder.find_any(&names, PACKAGE).map(Self)
    }

    /// Makes sure that it is new enough for the server.
    pub(super) fn fits(&self, info: &Info, cancel: &Cancel) -> Result<(), EngineError> {
        let said = Tool::new(&self.0).arg("--version").within(PATIENCE).output(cancel);
        // One from before it had this option tells by its check what it cannot read.
        said.map_or(Ok(()), |said| fits(&String::from_utf8_lossy(&said), info))
    }

    /// Checks an open snapshot, from its begin; it needs no name. `damaged` puts damage into an error.
    pub(super) fn run(
        &self,
        snapshot: File,
        cancel: &Cancel,
        damaged: impl FnOnce(String) -> EngineError,
    ) -> Result<Checked, EngineError> {
        let begun = Instant::now();
        let tool = Tool::new(&self.0).arg("/dev/stdin").input(snapshot);
        let mut stream = tool.stream(cancel)?;
        let mut said = Vec::new();
        stream.read_up_to(LONGEST, &mut said)?;
        let ended = stream.finish();
        let said = String::from_utf8_lossy(&said);
        match ended {
            Ok(()) if said.contains(GOOD) && !said.contains(BAD) => {
                let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                Ok(Checked { keys: keys(&said), took_ms })
            }
            Err(
                error @ (ToolError::Cancelled | ToolError::Start { .. } | ToolError::Late { .. }),
            ) => Err(error.into()),
            // It was ended by somebody and has found nothing.
            Err(error) if !said.contains(BAD) => Err(error.into()),
            Ok(()) | Err(_) if said.contains(TOO_NEW) => Err(EngineError::known(
                FailureCode::Tool,
                format!(
                    "{} is older than the server: {}; apt install {PACKAGE} in the server's version, or \
                     name the folder of such tools as source.tools",
                    self.0.display(),
                    last_lines(&said)
                ),
            )),
            Ok(()) | Err(_) => Err(damaged(last_lines(&said))),
        }
    }

    /// Checks the file at `path`.
    pub(super) fn run_on(
        &self,
        path: &Path,
        cancel: &Cancel,
        damaged: impl FnOnce(String) -> EngineError,
    ) -> Result<Checked, EngineError> {
        let file = File::open(path).map_err(|error| EngineError::target("opening", path, error))?;
        self.run(file, cancel, damaged)
    }
}

/// The number in `[info] 12 keys read`.
fn keys(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("keys read"))?;
    line.split_whitespace().find_map(|word| word.parse().ok())
}

/// Where and why it stopped, without the counts behind that.
fn last_lines(said: &str) -> String {
    let lines: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("[info]") && !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join(" ")
}
