//! Messages that wait to be delivered: taken out one by one for each channel, and what monitors hear of each backup.

use crate::domain::{Backup, BackupId, DeliveryId, Status, Timestamp};
use crate::policy::{AlertEvent, Delivery, Digest, Message, Subject, wait_after};
use crate::store::{DeliveryRecord, Records};

use super::rules::Rules;
use super::{Catalog, Reply, Result};

/// Messages that are listed.
const MOST_LISTED: u32 = 1000;

/// `None`: another version of the program wrote a message that this one cannot read.
fn read(record: DeliveryRecord) -> Option<Delivery> {
    Some(Delivery {
        message: serde_json::from_str(&record.message).ok()?,
        id: record.id,
        channel: record.channel,
        queued: record.queued,
        next_attempt: record.next_attempt,
        attempts: record.attempts,
        last_error: record.last_error,
    })
}

impl Catalog {
    /// The messages that wait, by channel, oldest first.
    pub fn undelivered(&self) -> Result<Vec<Delivery>> {
        let found = self.store.read(|db| Ok(db.waiting_deliveries(MOST_LISTED)?));
        found.map(|it| it.into_iter().filter_map(read).collect())
    }

    pub fn count_undelivered(&self) -> Result<u64> {
        self.store.read(|db| Ok(db.count_deliveries()?))
    }

    /// The message that a channel gets next.
    pub fn next_delivery(&self, channel: &str) -> Result<Option<Delivery>> {
        let Some(record) = self.store.read(|db| db.next_delivery(channel))? else {
            return Ok(None);
        };
        let id = record.id;
        let found = read(record);
        if found.is_none() {
            // Nothing can be said of it, and others wait behind it.
            self.remove_delivery(id).wait()?;
        }
        Ok(found)
    }

    /// An attempt to deliver a message begins: this is recorded before it is sent, so that one at which the process
    /// dies is not repeated at once and for ever. False: it is there no more.
    pub fn attempt_delivery(&self, delivery: &Delivery) -> Reply<bool> {
        let (id, wait) = (delivery.id, wait_after(delivery.attempts.saturating_add(1)));
        self.write(move |db, rules| Ok(db.attempt_delivery(id, rules.now().plus(wait))?))
    }

    /// The receiver has it, or it is given up.
    pub fn remove_delivery(&self, id: DeliveryId) -> Reply<()> {
        self.write(move |db, _rules| Ok(db.remove_delivery(id)?))
    }

    /// It was not delivered, and is attempted again.
    pub fn delivery_failed(&self, id: DeliveryId, why: String) -> Reply<()> {
        self.write(move |db, _rules| Ok(db.delivery_failed(id, &why)?))
    }

    /// Nothing that waited for another attempt waits any longer: the process was just started, or its configuration
    /// changed. Messages to channels that are no more are dropped; returns how many, by channel.
    pub fn retry_deliveries(&self, channels: Vec<String>) -> Reply<Vec<(String, usize)>> {
        self.write_and_wake(move |db, rules| {
            let mut dropped = Vec::new();
            for gone in db.delivery_channels()?.into_iter().filter(|it| !channels.contains(it)) {
                let count = db.drop_deliveries(&gone)?;
                dropped.push((gone, count));
            }
            db.all_deliveries_due(rules.now())?;
            Ok(dropped)
        })
    }

    /// Queues the digests that are due. Blocks for a commit.
    pub fn queue_digests(&self) -> Result<()> {
        let routes = self.alert_routes();
        for digest in &routes.digests {
            let (until, now) =
                (self.store.read(|db| db.digest_until(&digest.channel))?, self.rules.now());
            // The first one tells of the time from now on, and so does the next one after the clock was put back.
            let since = until.filter(|it| *it <= now);
            let due = since.and_then(|it| digest.schedule.next_after(&routes.zone, it));
            let message = match (since, due) {
                (Some(since), Some(due)) if due <= now => {
                    Some(self.store.read(|db| self.rules.digest(db, digest, since, now))?)
                }
                (Some(_), _) => continue,
                (None, _) => None,
            };
            let channel = digest.channel.clone();
            self.write(move |db, rules| {
                if let Some(message) = message {
                    rules.queue(db, std::slice::from_ref(&channel), &message)?;
                }
                Ok(db.put_digest(&channel, now)?)
            })
            .wait()?;
        }
        Ok(())
    }
}

impl Rules {
    /// What became of the backups of the instances that this channel hears of.
    fn digest(
        &self,
        db: Records<'_>,
        digest: &Digest,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Message> {
        let routes = self.alert_routes();
        let (mut made, mut failed, mut lines) = (0, 0, Vec::new());
        let told = routes.instances.iter().filter(|(_, it)| it.channels.contains(&digest.channel));
        for (id, _) in told {
            let Some(record) = db.instance(*id)? else { continue };
            let good = db.count_backups_since(*id, Status::Completed, since)?;
            let bad = db.count_backups_since(*id, Status::Failed, since)?;
            let newest =
                db.newest_completed(&record.instance.project, *id, self.latest_plausible())?;
            let newest = newest.map_or_else(
                || "there is none that can be restored".to_owned(),
                |it| format!("the newest is of {}Z", it.backup.created.to_wire()),
            );
            lines.push(format!("{}: {good} made, {bad} failed; {newest}", record.instance.name));
            (made, failed) = (made + good, failed + bad);
        }
        lines.sort();
        let open = db.open_alerts()?;
        let open = open.iter().filter(|it| it.channels.contains(&digest.channel)).count();
        lines.insert(0, format!("Since {}Z. Alerts that are not over: {open}.", since.to_wire()));
        let title = format!("{made} backups made, {failed} failed");
        Ok(Message::plain(AlertEvent::Digest, None, now, &title, lines.join("\n")))
    }

    /// Monitors that hear of each backup hear that this one begins.
    pub(super) fn ping_started(&self, db: Records<'_>, backup: &Backup) -> Result<()> {
        self.ping(db, backup, AlertEvent::BackupStarted, "a backup begins")
    }

    /// The same of one that ended, if it did.
    pub(super) fn ping_ended(&self, db: Records<'_>, id: BackupId) -> Result<()> {
        let Some(record) = db.backup(id)? else { return Ok(()) };
        let (event, title) = match record.backup.status {
            Status::Completed => (AlertEvent::BackupSucceeded, "a backup was made and proven"),
            Status::Failed => (AlertEvent::BackupFailed, "a backup failed"),
            _ => return Ok(()),
        };
        self.ping(db, &record.backup, event, title)
    }

    fn ping(&self, db: Records<'_>, backup: &Backup, event: AlertEvent, title: &str) -> Result<()> {
        let Some(id) = backup.instance else { return Ok(()) };
        let channels: Vec<String> = self.alert_routes().pinged_of(id).cloned().collect();
        if channels.is_empty() {
            return Ok(());
        }
        let Some(record) = db.instance(id)? else { return Ok(()) };
        let text = match &backup.failure {
            Some(failure) => failure.message.clone(),
            None => format!("Backup {}.", backup.id),
        };
        let subject = Some(Subject::of(&record.instance));
        let message = Message::plain(event, subject, self.now(), title, text);
        Ok(self.queue(db, &channels, &message)?)
    }
}
