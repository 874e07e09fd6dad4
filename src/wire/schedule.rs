//! Schedules: when the backups of an instance are made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, Instance, InstanceId, ProjectId, Timestamp};
use crate::policy::{KeepKeys, PolicyKeys, ProofTimes, Timetable};

use super::{UtcTime, request};

/// What is done for an instance by a schedule: backups, drills, or restores into staging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    /// The instance that is backed up.
    pub instance_id: InstanceId,
    /// Its name.
    pub instance_name: String,
    /// Its project.
    pub project_id: ProjectId,
    /// When: `hourly`, `daily 02:30`, or a cron expression; null if backups are made only when somebody asks.
    #[schema(required)]
    pub schedule: Option<String>,
    /// The time zone of these times; null without a schedule, or if the machine does not name its own.
    #[schema(required)]
    pub timezone: Option<String>,
    /// The hours in which backups may begin; null for all.
    #[schema(required)]
    pub window: Option<String>,
    /// When a full backup is made: `daily`, `weekly`, `monthly`, or a number of backups; null without a schedule.
    #[schema(required)]
    pub full_every: Option<String>,
    /// When the next backup begins, if nothing holds it up; null while the instance cannot be backed up.
    #[schema(required)]
    pub next_run: Option<UtcTime>,
    /// The last backup that was made by the schedule.
    #[schema(required)]
    pub last_backup_id: Option<BackupId>,
    /// When the first backup was due that is missing since; null if none is overdue by two hours.
    #[schema(required)]
    pub overdue_since: Option<UtcTime>,
    /// How often its newest backup is restored only to prove it: `daily`, `weekly`, `monthly`, or a schedule; null if
    /// never by itself.
    #[schema(required)]
    pub drill: Option<String>,
    /// When the last such drill came to a result.
    #[schema(required)]
    pub last_drill: Option<UtcTime>,
    /// When the next one begins, if nothing holds it up.
    #[schema(required)]
    pub next_drill: Option<UtcTime>,
    /// What is refreshed from the newest backup: a path, or a database of a server; null if nothing is.
    #[schema(required)]
    pub staging_to: Option<String>,
    /// When that is done next.
    #[schema(required)]
    pub next_staging: Option<UtcTime>,
    /// When the first of its archives is read again, to prove its bytes; null if none is.
    #[schema(required)]
    pub next_scrub: Option<UtcTime>,
    /// Whether it was set through the API and not in the configuration.
    pub set_through_api: bool,
}

/// When an instance is backed up and what is kept: the keys of the configuration, which explains them
/// (config/default.toml). What is left out is as `[defaults]` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedSchedule {
    /// The instance; in the body of a PUT it may be left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "request::optional_id"
    )]
    #[schema(nullable = false)]
    pub instance_id: Option<InstanceId>,
    /// When: `hourly`, `daily 02:30`, `weekly sun 03:00`, `monthly 1 04:00`, or a cron expression; empty for never.
    #[schema(max_length = 255)]
    pub schedule: String,
    /// The time zone of these times, such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 255)]
    pub timezone: Option<String>,
    /// The time within which the backup begins, such as `15 min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 255)]
    pub jitter: Option<String>,
    /// The hours in which backups may begin, such as `22:00-06:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 255)]
    pub window: Option<String>,
    /// When a full backup is made: `daily`, `weekly`, `monthly`, or a number of backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 255)]
    pub full_every: Option<String>,
    /// How often a backup is attempted again after a failure that may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100)]
    pub retries: Option<u32>,
    /// What is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub keep: Option<WantedKeep>,
}

/// What is kept: how many of the newest, and the newest of how many hours, days, weeks, months and years.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WantedKeep {
    /// The newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100_000)]
    pub last: Option<u32>,
    /// Hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100_000)]
    pub hourly: Option<u32>,
    /// Days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100_000)]
    pub daily: Option<u32>,
    /// Weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100_000)]
    pub weekly: Option<u32>,
    /// Months.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100_000)]
    pub monthly: Option<u32>,
    /// Years.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100_000)]
    pub yearly: Option<u32>,
    /// Nothing younger goes, such as `3 days`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 255)]
    pub min_age: Option<String>,
    /// The most that the archives may take, such as `500 GiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 255)]
    pub max_size: Option<String>,
}

impl WantedSchedule {
    /// The same keys, as they are kept.
    pub fn keys(&self) -> PolicyKeys {
        let keep = self.keep.as_ref().map(|keep| KeepKeys {
            last: keep.last.unwrap_or_default(),
            hourly: keep.hourly.unwrap_or_default(),
            daily: keep.daily.unwrap_or_default(),
            weekly: keep.weekly.unwrap_or_default(),
            monthly: keep.monthly.unwrap_or_default(),
            yearly: keep.yearly.unwrap_or_default(),
            min_age: keep.min_age.clone().unwrap_or_default(),
            max_size: keep.max_size.clone().unwrap_or_default(),
        });
        PolicyKeys {
            schedule: Some(self.schedule.clone()),
            timezone: self.timezone.clone(),
            jitter: self.jitter.clone(),
            window: self.window.clone(),
            full_every: self.full_every.clone(),
            retries: self.retries,
            keep,
        }
    }
}

impl ScheduleView {
    /// A schedule as clients see it.
    pub fn new(
        instance: &Instance,
        timetable: Option<&Timetable>,
        next: Option<Timestamp>,
        last: Option<BackupId>,
        overdue: Option<Timestamp>,
    ) -> Self {
        Self {
            instance_id: instance.id,
            instance_name: instance.name.clone(),
            project_id: instance.project.clone(),
            schedule: timetable.map(|it| it.schedule.to_string()),
            timezone: timetable.and_then(|it| it.zone.iana_name()).map(str::to_owned),
            window: timetable.and_then(|it| it.window).map(|it| it.to_string()),
            full_every: timetable.map(|it| it.full_every.to_string()),
            next_run: next.map(UtcTime::from),
            last_backup_id: last,
            overdue_since: overdue.map(UtcTime::from),
            drill: None,
            last_drill: None,
            next_drill: None,
            staging_to: None,
            next_staging: None,
            next_scrub: None,
            set_through_api: false,
        }
    }

    /// The same with when its backups are proven and restored into staging.
    #[must_use]
    pub fn with_proof(self, proof: ProofTimes) -> Self {
        Self {
            drill: proof.drill,
            last_drill: proof.last_drill.map(UtcTime::from),
            next_drill: proof.next_drill.map(UtcTime::from),
            staging_to: proof.staging_to.map(|it| it.to_string()),
            next_staging: proof.next_staging.map(UtcTime::from),
            next_scrub: proof.next_scrub.map(UtcTime::from),
            ..self
        }
    }
}
