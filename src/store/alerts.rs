//! The rows of alerts, and of the messages that wait to be delivered.

use rusqlite::{Row, named_params, params};

use super::sql::{columns, execute, insert, query_all, query_first, query_one, statements};
use super::types::{Json, json};
use super::{Records, Result};
use crate::domain::{AlertId, DeliveryId, InstanceId, ProjectId, Status, Timestamp};

/// The instance of an alert: its id, project and name.
pub type AlertInstance = (InstanceId, ProjectId, String);

/// Something that is or was wrong, and was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRecord {
    pub id: AlertId,
    pub kind: String,
    /// `None`: of the server as a whole.
    pub instance: Option<AlertInstance>,
    /// When the problem began.
    pub since: Timestamp,
    /// When that was said first.
    pub began: Timestamp,
    /// When it was said last.
    pub said: Timestamp,
    pub ended: Option<Timestamp>,
    pub message: String,
    pub advice: String,
    /// The channels that heard of it.
    pub channels: Vec<String>,
}

/// A message that waits to be delivered to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    pub id: DeliveryId,
    pub channel: String,
    /// As JSON.
    pub message: String,
    pub queued: Timestamp,
    pub next_attempt: Timestamp,
    /// How many attempts were begun.
    pub attempts: u32,
    pub last_error: Option<String>,
}

columns! {
    AlertColumns, alert_columns {
        id: AlertId = "id",
        kind: String = "kind",
        instance: Option<InstanceId> = "instance",
        project: Option<ProjectId> = "project",
        name: Option<String> = "name",
        since: Timestamp = "since",
        began: Timestamp = "began",
        said: Timestamp = "said",
        ended: Option<Timestamp> = "ended",
        message: String = "message",
        advice: String = "advice",
        channels: Json<Vec<String>> = "channels",
    }
}

columns! {
    DeliveryColumns, delivery_columns {
        id: DeliveryId = "id",
        channel: String = "channel",
        message: String = "message",
        queued: Timestamp = "queued",
        next_attempt: Timestamp = "next_attempt",
        attempts: u32 = "attempts",
        last_error: Option<String> = "last_error",
    }
}

impl From<AlertColumns> for AlertRecord {
    fn from(it: AlertColumns) -> Self {
        let of = it.instance.zip(it.project).zip(it.name);
        Self {
            id: it.id,
            kind: it.kind,
            instance: of.map(|((id, project), name)| (id, project, name)),
            since: it.since,
            began: it.began,
            said: it.said,
            ended: it.ended,
            message: it.message,
            advice: it.advice,
            channels: it.channels.0,
        }
    }
}

impl From<DeliveryColumns> for DeliveryRecord {
    fn from(it: DeliveryColumns) -> Self {
        Self {
            id: it.id,
            channel: it.channel,
            message: it.message,
            queued: it.queued,
            next_attempt: it.next_attempt,
            attempts: it.attempts,
            last_error: it.last_error,
        }
    }
}

statements! {
    OPEN = concat!(
        "SELECT ", alert_columns!(),
        " FROM alerts WHERE ended IS NULL ORDER BY kind, coalesce(instance, '')"
    );

    ENDED = concat!(
        "SELECT ", alert_columns!(),
        " FROM alerts WHERE ended > ?1 ORDER BY ended DESC, id DESC LIMIT ?2"
    );

    BEGIN = insert!(
        "alerts" ("id", "kind", "instance", "project", "name", "since", "began", "said", "message", "advice", "channels")
    );

    SAID = "UPDATE alerts SET said = :said, message = :message, advice = :advice, channels = :channels
         WHERE id = :id";

    END = "UPDATE alerts SET ended = ?2 WHERE id = ?1";

    FORGET = "DELETE FROM alerts WHERE ended < ?1";

    QUEUE = insert!("deliveries" ("id", "channel", "message", "queued", "next_attempt"));

    /// All but the newest of a channel.
    TRIM = "DELETE FROM deliveries WHERE number IN (
             SELECT number FROM deliveries WHERE channel = ?1 ORDER BY number DESC LIMIT -1 OFFSET ?2)";

    WAITING = concat!(
        "SELECT ", delivery_columns!(), " FROM deliveries WHERE channel > '' ORDER BY channel, number LIMIT ?1"
    );

    COUNT = "SELECT count(*) FROM deliveries WHERE channel > ''";

    NEXT = concat!(
        "SELECT ", delivery_columns!(), " FROM deliveries WHERE channel = ?1 ORDER BY number LIMIT 1"
    );

    ATTEMPT = "UPDATE deliveries SET attempts = attempts + 1, next_attempt = ?2, last_error = NULL
         WHERE id = ?1";

    FAILED = "UPDATE deliveries SET last_error = ?2 WHERE id = ?1";

    REMOVE = "DELETE FROM deliveries WHERE id = ?1";

    ALL_DUE = "UPDATE deliveries SET next_attempt = ?1 WHERE channel > ''";

    CHANNELS = "SELECT DISTINCT channel FROM deliveries WHERE channel > ''";

    REMOVE_CHANNEL = "DELETE FROM deliveries WHERE channel = ?1";

    /// What a digest counts.
    COUNT_BACKUPS =
        "SELECT count(*) FROM backups WHERE instance = ?1 AND status = ?2 AND created >= ?3";

    DIGEST = "SELECT until FROM digests WHERE channel = ?1";

    PUT_DIGEST = "INSERT INTO digests (channel, until) VALUES (?1, ?2)
         ON CONFLICT (channel) DO UPDATE SET until = excluded.until";
}

fn read_text(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

impl Records<'_> {
    /// The alerts that are not over.
    pub fn open_alerts(self) -> Result<Vec<AlertRecord>> {
        let found = query_all(self.0, OPEN, [], AlertColumns::read)?;
        Ok(found.into_iter().map(AlertRecord::from).collect())
    }

    /// The newest of those that are over since then.
    pub fn ended_alerts(self, after: Timestamp, most: u32) -> Result<Vec<AlertRecord>> {
        let found = query_all(self.0, ENDED, params![after, most], AlertColumns::read)?;
        Ok(found.into_iter().map(AlertRecord::from).collect())
    }

    pub fn begin_alert(self, alert: &AlertRecord) -> Result<()> {
        let (id, project, name) = match &alert.instance {
            Some((id, project, name)) => (Some(id), Some(project), Some(name)),
            None => (None, None, None),
        };
        let params = named_params! {
            ":id": alert.id, ":kind": alert.kind, ":instance": id, ":project": project, ":name": name,
            ":since": alert.since, ":began": alert.began, ":said": alert.said,
            ":message": alert.message, ":advice": alert.advice, ":channels": json(&alert.channels)?
        };
        execute(self.0, BEGIN, params).map(drop)
    }

    /// An alert was said again, in these words.
    pub fn alert_said(self, alert: &AlertRecord) -> Result<()> {
        let params = named_params! {
            ":id": alert.id, ":said": alert.said, ":message": alert.message,
            ":advice": alert.advice, ":channels": json(&alert.channels)?
        };
        execute(self.0, SAID, params).map(drop)
    }

    pub fn end_alert(self, id: AlertId, at: Timestamp) -> Result<()> {
        execute(self.0, END, params![id, at]).map(drop)
    }

    /// Deletes those that were over before then.
    pub fn forget_alerts(self, before: Timestamp) -> Result<()> {
        execute(self.0, FORGET, [before]).map(drop)
    }

    /// Adds a message that is due now, and drops the oldest of the channel beyond `most`; how many those were.
    pub fn queue_delivery(
        self,
        channel: &str,
        message: &str,
        at: Timestamp,
        most: u32,
    ) -> Result<usize> {
        let params = named_params! {
            ":id": DeliveryId::generate(), ":channel": channel, ":message": message,
            ":queued": at, ":next_attempt": at
        };
        execute(self.0, QUEUE, params)?;
        execute(self.0, TRIM, params![channel, most])
    }

    /// The messages that wait, by channel, oldest first.
    pub fn waiting_deliveries(self, most: u32) -> Result<Vec<DeliveryRecord>> {
        let found = query_all(self.0, WAITING, [most], DeliveryColumns::read)?;
        Ok(found.into_iter().map(DeliveryRecord::from).collect())
    }

    pub fn count_deliveries(self) -> Result<u64> {
        let found: i64 = query_one(self.0, COUNT, [], |row| row.get(0))?;
        Ok(u64::try_from(found).unwrap_or(0))
    }

    /// The oldest message of a channel.
    pub fn next_delivery(self, channel: &str) -> Result<Option<DeliveryRecord>> {
        let found = query_first(self.0, NEXT, [channel], DeliveryColumns::read)?;
        Ok(found.map(DeliveryRecord::from))
    }

    /// An attempt begins; the next one, if it fails, is at this time. False: there is no such message any more.
    pub fn attempt_delivery(self, id: DeliveryId, next: Timestamp) -> Result<bool> {
        Ok(execute(self.0, ATTEMPT, params![id, next])? > 0)
    }

    pub fn delivery_failed(self, id: DeliveryId, why: &str) -> Result<()> {
        execute(self.0, FAILED, params![id, why]).map(drop)
    }

    /// A message was delivered, or is given up.
    pub fn remove_delivery(self, id: DeliveryId) -> Result<()> {
        execute(self.0, REMOVE, [id]).map(drop)
    }

    /// Every message is due now.
    pub fn all_deliveries_due(self, now: Timestamp) -> Result<()> {
        execute(self.0, ALL_DUE, [now]).map(drop)
    }

    /// The channels that messages wait for.
    pub fn delivery_channels(self) -> Result<Vec<String>> {
        query_all(self.0, CHANNELS, [], read_text)
    }

    /// Drops the messages of a channel; how many there were.
    pub fn drop_deliveries(self, channel: &str) -> Result<usize> {
        execute(self.0, REMOVE_CHANNEL, [channel])
    }

    /// How many backups of an instance have this status that were asked for since then.
    pub fn count_backups_since(
        self,
        instance: InstanceId,
        status: Status,
        since: Timestamp,
    ) -> Result<u64> {
        let params = params![instance, status, since];
        let found: i64 = query_one(self.0, COUNT_BACKUPS, params, |row| row.get(0))?;
        Ok(u64::try_from(found).unwrap_or(0))
    }

    /// Until when the last digest of a channel tells.
    pub fn digest_until(self, channel: &str) -> Result<Option<Timestamp>> {
        query_first(self.0, DIGEST, [channel], |row| row.get(0))
    }

    pub fn put_digest(self, channel: &str, until: Timestamp) -> Result<()> {
        execute(self.0, PUT_DIGEST, params![channel, until]).map(drop)
    }
}
