//! The keys of a SQLite `source`.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::Source;
use crate::engine::Result;
use crate::engine::mounts::answer_wait;
use crate::engine::source_path::{invalid, only_keys, path_of};

const DEFAULT_LOCK_WAIT: Duration = Duration::from_secs(30);

/// Longer waits would only hide a lock that is never released.
const MAX_LOCK_WAIT_S: u64 = 3600;

#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The absolute path of the database file.
    pub(super) path: PathBuf,
    pub(super) lock_wait: Duration,
    /// How long to wait for a filesystem that does not answer.
    pub(super) answer_wait: Duration,
}

impl Options {
    /// Fails with the name of the first key that is unknown or invalid.
    pub(super) fn parse(source: &Source) -> Result<Self> {
        only_keys("sqlite", source, &["path", "url", "lock_wait_s", "answer_wait_s"])?;
        let lock_wait = match source.0.get("lock_wait_s") {
            None => DEFAULT_LOCK_WAIT,
            Some(value) => value
                .as_u64()
                .filter(|seconds| *seconds <= MAX_LOCK_WAIT_S)
                .map(Duration::from_secs)
                .ok_or_else(|| {
                    invalid(format!(
                        "source.lock_wait_s must be a whole number of seconds from 0 to \
                         {MAX_LOCK_WAIT_S}, not {value}"
                    ))
                })?,
        };
        let path = path_of("sqlite", source)?;
        Ok(Self { path, lock_wait, answer_wait: answer_wait(source)? })
    }
}
