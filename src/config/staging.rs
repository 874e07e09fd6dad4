//! Where the last backup of an instance is restored to by itself: `staging`.

use std::path::{Component, Path, PathBuf};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::domain::Source;
use crate::policy::{FullEvery, Schedule, Span, StagingPlan, StagingTarget, Timetable};

use super::keep::{Wrong, read};

/// A restore into staging on a schedule: to a path, or into a database of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct StagingConfig {
    #[serde(default)]
    pub to: Option<PathBuf>,
    #[serde(default)]
    pub server: Option<Source>,
    #[serde(default)]
    pub database: Option<String>,
    pub schedule: String,
}

fn wrong(key: &str, why: impl Into<String>) -> Wrong {
    (format!("staging.{key}"), why.into())
}

impl StagingConfig {
    pub(super) fn plan(&self, zone: &TimeZone, retries: u32) -> Result<StagingPlan, Wrong> {
        let to = self.target()?;
        let schedule = read::<Schedule>(&self.schedule).map_err(|why| wrong("schedule", why))?;
        let timetable = Timetable {
            schedule,
            zone: zone.clone(),
            jitter: Span::default(),
            window: None,
            full_every: FullEvery::Day,
            retries,
        };
        Ok(StagingPlan { to, timetable })
    }

    /// The server, and the name of its database that is refreshed, if it is one.
    pub fn in_server(&self) -> Option<(&Source, &str)> {
        self.server.as_ref().zip(self.database.as_deref())
    }

    /// What is refreshed. What the engine requires of a server, the engine checks.
    fn target(&self) -> Result<StagingTarget, Wrong> {
        match (&self.to, &self.server, &self.database) {
            (Some(to), None, None) => path(to).map(StagingTarget::Path),
            (Some(_), ..) => Err(wrong(
                "to",
                "stands beside server or database: a path, or a database of a server, not both",
            )),
            (None, Some(server), Some(name)) => {
                Ok(StagingTarget::Database { server: server.clone(), name: name.clone() })
            }
            (None, Some(_), None) => {
                Err(wrong("database", "is missing: name the database that is replaced each time"))
            }
            (None, None, Some(_)) => {
                Err(wrong("server", "is missing: say where the database is, such as { url = … }"))
            }
            (None, None, None) => {
                Err(wrong("to", "is missing: name a path, or a server and a database"))
            }
        }
    }
}

fn path(to: &Path) -> Result<PathBuf, Wrong> {
    let goes_up = to.components().any(|part| part == Component::ParentDir);
    if to.is_absolute() && !goes_up && to.file_name().is_some() {
        return Ok(to.to_owned());
    }
    let shown = to.display();
    let wanted = "use an absolute path without `..`, such as /srv/staging/shop";
    // The URL itself is not shown: it may contain a password.
    Err(wrong(
        "to",
        if shown.to_string().contains("://") {
            format!("is a server, which `server = {{ url = … }}` and `database` name; or {wanted}")
        } else {
            format!("is {shown:?}; {wanted}")
        },
    ))
}
