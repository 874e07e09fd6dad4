//! Where the last backup of an instance is restored to by itself: `staging`.

use std::path::{Component, PathBuf};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::policy::{FullEvery, Schedule, Span, StagingPlan, Timetable};

use super::keep::{Wrong, read};

/// A restore into staging on a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct StagingConfig {
    pub to: PathBuf,
    pub schedule: String,
}

impl StagingConfig {
    pub(super) fn plan(&self, zone: &TimeZone, retries: u32) -> Result<StagingPlan, Wrong> {
        let wrong = |key: &str, why: String| (format!("staging.{key}"), why);
        let goes_up = self.to.components().any(|part| part == Component::ParentDir);
        if !self.to.is_absolute() || goes_up || self.to.file_name().is_none() {
            let shown = self.to.display();
            let wanted = "use an absolute path without `..`, such as /srv/staging/shop";
            let why = if shown.to_string().contains("://") {
                format!(
                    "is a server, into which nothing is restored by itself; {wanted}, or restore into the server with \
                     `coffer restore --into`"
                )
            } else {
                format!("is {shown:?}; {wanted}")
            };
            return Err(wrong("to", why));
        }
        let schedule = read::<Schedule>(&self.schedule).map_err(|why| wrong("schedule", why))?;
        let timetable = Timetable {
            schedule,
            zone: zone.clone(),
            jitter: Span::default(),
            window: None,
            full_every: FullEvery::Day,
            retries,
        };
        Ok(StagingPlan { to: self.to.clone(), timetable })
    }
}
