//! Schedules: when the backups of an instance are made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, Instance, InstanceId, ProjectId, Timestamp};
use crate::policy::{ProofTimes, Timetable};

use super::UtcTime;

/// A schedule, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    /// The instance that is backed up.
    pub instance_id: InstanceId,
    /// Its name.
    pub instance_name: String,
    /// Its project.
    pub project_id: ProjectId,
    /// When: `hourly`, `daily 02:30`, or a cron expression.
    pub schedule: String,
    /// The time zone of these times; null if the machine does not name its own.
    #[schema(required)]
    pub timezone: Option<String>,
    /// The hours in which backups may begin; null for all.
    #[schema(required)]
    pub window: Option<String>,
    /// When a full backup is made: `daily`, `weekly`, `monthly`, or a number of backups.
    pub full_every: String,
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
    /// The path that is refreshed from the newest backup; null if none is.
    #[schema(required)]
    pub staging_to: Option<String>,
    /// When that is done next.
    #[schema(required)]
    pub next_staging: Option<UtcTime>,
    /// When the first of its archives is read again, to prove its bytes; null if none is.
    #[schema(required)]
    pub next_scrub: Option<UtcTime>,
}

impl ScheduleView {
    /// A schedule as clients see it.
    pub fn new(
        instance: &Instance,
        timetable: &Timetable,
        next: Option<Timestamp>,
        last: Option<BackupId>,
        overdue: Option<Timestamp>,
    ) -> Self {
        Self {
            instance_id: instance.id,
            instance_name: instance.name.clone(),
            project_id: instance.project.clone(),
            schedule: timetable.schedule.to_string(),
            timezone: timetable.zone.iana_name().map(str::to_owned),
            window: timetable.window.map(|it| it.to_string()),
            full_every: timetable.full_every.to_string(),
            next_run: next.map(UtcTime::from),
            last_backup_id: last,
            overdue_since: overdue.map(UtcTime::from),
            drill: None,
            last_drill: None,
            next_drill: None,
            staging_to: None,
            next_staging: None,
            next_scrub: None,
        }
    }

    /// The same with when its backups are proven and restored into staging.
    #[must_use]
    pub fn with_proof(self, proof: ProofTimes) -> Self {
        Self {
            drill: proof.drill,
            last_drill: proof.last_drill.map(UtcTime::from),
            next_drill: proof.next_drill.map(UtcTime::from),
            staging_to: proof.staging_to.map(|it| it.to_string_lossy().into_owned()),
            next_staging: proof.next_staging.map(UtcTime::from),
            next_scrub: proof.next_scrub.map(UtcTime::from),
            ..self
        }
    }
}
