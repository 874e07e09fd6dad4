//! What schedules have done, and the clock as it was seen last.

use rusqlite::{named_params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sql::{columns, execute, insert, query_all, query_first, statements};
use super::types::{Json, json};
use super::{Records, Result};
use crate::domain::{BackupId, InstanceId, Timestamp};

/// What the schedule of an instance has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// When it was first seen: nothing was due before.
    pub since: Timestamp,
    /// Every run until then is done with, or was made up for.
    pub handled: Timestamp,
    /// The last backup that was made for it, and how many attempts its run has had, from 1 on.
    pub last: Option<(BackupId, u32)>,
    /// Why no backup could be begun for the last run, if so.
    pub refused: Option<String>,
}

/// The clock as it was seen last, and when it was last seen to jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenClock {
    pub seen: Timestamp,
    pub jumped: Option<Timestamp>,
}

columns! {
    ScheduleColumns, schedule_columns {
        since: Timestamp = "since",
        handled: Timestamp = "handled",
        backup: Option<BackupId> = "backup",
        attempt: u32 = "attempt",
        refused: Option<String> = "refused",
    }
}

statements! {
    BY_INSTANCE = concat!("SELECT ", schedule_columns!(), " FROM schedules WHERE instance = ?1");

    PUT = insert!(
        "schedules" ("instance", "since", "handled", "backup", "attempt", "refused")
        "ON CONFLICT (instance) DO UPDATE SET since = excluded.since, handled = excluded.handled, backup = excluded.backup,
             attempt = excluded.attempt, refused = excluded.refused"
    );

    POLICIES = "SELECT instance, keys FROM policies WHERE instance > ''";

    HAS_POLICY = "SELECT 1 FROM policies WHERE instance = ?1";

    PUT_POLICY = "INSERT INTO policies (instance, keys) VALUES (?1, ?2)
         ON CONFLICT (instance) DO UPDATE SET keys = excluded.keys";

    DELETE_POLICY = "DELETE FROM policies WHERE instance = ?1";

    CLOCK = "SELECT seen, jumped FROM clock WHERE id = 1";

    PUT_CLOCK = "INSERT INTO clock (id, seen, jumped) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, jumped = excluded.jumped";
}

impl From<ScheduleColumns> for ScheduleRecord {
    fn from(it: ScheduleColumns) -> Self {
        Self {
            since: it.since,
            handled: it.handled,
            last: it.backup.map(|backup| (backup, it.attempt)),
            refused: it.refused,
        }
    }
}

impl Records<'_> {
    pub fn schedule(self, instance: InstanceId) -> Result<Option<ScheduleRecord>> {
        let found = query_first(self.0, BY_INSTANCE, [instance], ScheduleColumns::read)?;
        Ok(found.map(ScheduleRecord::from))
    }

    pub fn put_schedule(self, instance: InstanceId, record: &ScheduleRecord) -> Result<()> {
        let (backup, attempt) = record.last.map_or((None, 0), |(id, attempt)| (Some(id), attempt));
        let params = named_params! {
            ":instance": instance, ":since": record.since, ":handled": record.handled,
            ":backup": backup, ":attempt": attempt, ":refused": record.refused
        };
        execute(self.0, PUT, params).map(drop)
    }

    /// What was set through the API, of every instance.
    pub fn policies<K: DeserializeOwned>(self) -> Result<Vec<(InstanceId, K)>> {
        query_all(self.0, POLICIES, [], |row| {
            let Json(keys): Json<K> = row.get("keys")?;
            Ok((row.get("instance")?, keys))
        })
    }

    pub fn has_policy(self, instance: InstanceId) -> Result<bool> {
        Ok(query_first(self.0, HAS_POLICY, [instance], |_row| Ok(()))?.is_some())
    }

    pub fn put_policy(self, instance: InstanceId, keys: &impl Serialize) -> Result<()> {
        execute(self.0, PUT_POLICY, params![instance, json(keys)?]).map(drop)
    }

    pub fn delete_policy(self, instance: InstanceId) -> Result<bool> {
        Ok(execute(self.0, DELETE_POLICY, [instance])? > 0)
    }

    pub fn seen_clock(self) -> Result<Option<SeenClock>> {
        query_first(self.0, CLOCK, [], |row| {
            Ok(SeenClock { seen: row.get("seen")?, jumped: row.get("jumped")? })
        })
    }

    pub fn put_seen_clock(self, clock: SeenClock) -> Result<()> {
        execute(self.0, PUT_CLOCK, params![clock.seen, clock.jumped]).map(drop)
    }
}
