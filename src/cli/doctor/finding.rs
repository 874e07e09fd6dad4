//! What the doctor found.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warning,
    Problem,
}

impl Level {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) level: Level,
    pub(super) found: String,
    pub(super) advice: Option<String>,
}

/// The results of all checks, in order.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) all: Vec<Finding>,
    /// Whether one of them is that the configuration is wrong.
    pub(super) wrong_configuration: bool,
}

impl Findings {
    pub(super) fn ok(&mut self, check: &str, found: impl Into<String>) {
        self.add(check, Level::Ok, found.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        check: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, Level::Warning, found.into(), Some(advice.into()));
    }

    pub(super) fn problem(
        &mut self,
        check: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, Level::Problem, found.into(), Some(advice.into()));
    }

    fn add(&mut self, check: &str, level: Level, found: String, advice: Option<String>) {
        self.all.push(Finding { check: check.to_owned(), level, found, advice });
    }

    pub(super) fn count(&self, level: Level) -> usize {
        self.all.iter().filter(|finding| finding.level == level).count()
    }
}
