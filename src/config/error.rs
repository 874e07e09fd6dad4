//! Errors of a configuration.

use std::fmt;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ConfigError {
    #[error(
        "cannot read the configuration {}: {reason}; {}",
        path.display(), advice_on(reason)
    )]
    Unreadable { path: PathBuf, reason: std::io::Error },
    /// The text is not TOML, has an unknown key, or has a value of the wrong type. `origin` is the file, or
    /// `the environment`.
    #[error(
        "the configuration in {origin} is wrong: {reason}; config/default.toml lists every key"
    )]
    Malformed { origin: String, reason: String },
    #[error("the environment variable {name} {reason}")]
    Variable { name: String, reason: String },
    /// Values that make no sense; all of them.
    #[error("the configuration cannot be used:{}", Lines(.0))]
    Values(Vec<Problem>),
}

/// A value that makes no sense: its key, such as `instances[2] (shop): name`, and what is wrong with it and what
/// to do, as the rest of a sentence that starts with the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {why}")]
#[expect(missing_docs, reason = "the type's documentation names them")]
pub struct Problem {
    pub key: String,
    pub why: String,
}

/// What to do about a file that cannot be read.
fn advice_on(reason: &std::io::Error) -> &'static str {
    if reason.kind() == std::io::ErrorKind::PermissionDenied {
        "it may hold secrets, so other users may not: run this with sudo"
    } else {
        "check its path"
    }
}

/// One line for each problem.
struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
    }
}
