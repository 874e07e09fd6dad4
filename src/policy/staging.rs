//! Where the last backup of an instance is restored to by itself, and when.

use std::fmt;
use std::path::PathBuf;

use super::Timetable;
use crate::domain::Source;

/// A restore into staging on a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct StagingPlan {
    /// What is refreshed.
    pub to: StagingTarget,
    pub timetable: Timetable,
}

/// What is refreshed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagingTarget {
    /// Absolute.
    Path(PathBuf),
    /// A database of a running server.
    Database {
        /// The server, as the `source` of an instance names one.
        server: Source,
        name: String,
    },
}

/// For people. A URL holds no password: the engine refuses one that does.
impl fmt::Display for StagingTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(out),
            Self::Database { server, name } => {
                let address = server.text("url").or_else(|| server.text("socket"));
                match address {
                    Some(address) => write!(out, "database {name} of {address}"),
                    None => write!(out, "database {name} of this machine's server"),
                }
            }
        }
    }
}
