//! Schedules: when the backups of an instance are made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, Instance, InstanceId, ProjectId, Timestamp};
use crate::policy::Timetable;

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
        }
    }
}
