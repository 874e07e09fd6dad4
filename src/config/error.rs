//! Errors of a configuration.

use std::fmt;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration {}: {reason}; check its path and permissions",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// The text is not TOML, has an unknown key, or has a value of the wrong type.
    #[error(
        "the configuration in {origin} is wrong: {reason}; config/default.toml lists every key"
    )]
    Malformed {
        /// The file, or `the environment`.
        origin: String,
        /// What is wrong, with the key.
        reason: String,
    },
    /// An environment variable cannot be used.
    #[error("the environment variable {name} {reason}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// Values that make no sense; all of them.
    #[error("the configuration cannot be used:{}", Lines(.0))]
    Values(Vec<Problem>),
}

/// A value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {why}")]
pub struct Problem {
    /// The key: `server.listen`, `instances[2] (shop): name`…
    pub key: String,
    /// What is wrong with it and what to do, as the rest of a sentence that starts with the key.
    pub why: String,
}

/// One line for each problem.
struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
    }
}
