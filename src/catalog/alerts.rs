//! Alerts: what is wrong is compared with what was said, and what there is to say is queued in the same transaction,
//! one message for each channel.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AlertId, InstanceId, InstanceStatus, ProjectId};
use crate::policy::{
    Alert, AlertChange, AlertEvent, AlertRoutes, Message, Problem, Subject, alert_changes,
};
use crate::store::{AlertRecord, Records, StoreError};

use super::rules::Rules;
use super::{Catalog, Forbidden, Read, Reply, Result, Scope};

/// How long alerts are shown that are over.
const SHOWN: Duration = Duration::from_secs(90 * 24 * 3600);

/// The most of them that are shown.
const MOST_SHOWN: u32 = 200;

/// Messages that may wait for one channel; the oldest beyond are dropped.
const MOST_WAITING: u32 = 500;

/// `None`: another version of the program wrote a kind that this one does not know.
fn read(record: AlertRecord) -> Option<Alert> {
    let subject = |(id, project_id, name)| Subject { id, name, project_id };
    Some(Alert {
        id: record.id,
        kind: record.kind.parse().ok()?,
        instance: record.instance.map(subject),
        since: record.since,
        began: record.began,
        said: record.said,
        ended: record.ended,
        message: record.message,
        advice: record.advice,
        channels: record.channels,
    })
}

fn record(alert: Alert) -> AlertRecord {
    AlertRecord {
        id: alert.id,
        kind: alert.kind.as_str().to_owned(),
        instance: alert.instance.map(|it| (it.id, it.project_id, it.name)),
        since: alert.since,
        began: alert.began,
        said: alert.said,
        ended: alert.ended,
        message: alert.message,
        advice: alert.advice,
        channels: alert.channels,
    }
}

impl Catalog {
    /// Sets who hears of what.
    pub fn set_alert_routes(&self, routes: AlertRoutes) {
        *self.rules.alert_routes.write() = Arc::new(routes);
        self.bell.ring();
    }

    pub fn alert_routes(&self) -> Arc<AlertRoutes> {
        self.rules.alert_routes()
    }

    /// Records which problems began, last and are over, and queues what there is to say of them. Returns whether there
    /// was anything. `may_end`: what is not among the problems is over. Blocks for a commit.
    pub fn update_alerts(&self, problems: Vec<Problem>, may_end: bool) -> Result<bool> {
        let open = self.open_alerts()?;
        let changed = !self.rules.changes(&open, &problems, may_end).is_empty();
        if changed {
            self.write(move |db, rules| rules.update_alerts(db, &problems, may_end)).wait()?;
        }
        Ok(changed)
    }

    /// Records alerts that were said while nothing could be recorded.
    pub fn record_said(&self, problems: Vec<Problem>) -> Reply<()> {
        self.write(move |db, rules| {
            let open = open_alerts(db)?;
            let is_open = |it: &Problem| {
                open.iter().any(|alert| (alert.kind, alert.instance_id()) == (it.kind, it.instance))
            };
            problems
                .iter()
                .filter(|it| !is_open(it))
                .try_for_each(|it| rules.insert_alert(db, it, None))
        })
    }

    /// The alerts that are not over.
    pub fn open_alerts(&self) -> Result<Vec<Alert>> {
        self.store.read(open_alerts)
    }

    /// The alerts of the scope's project that are not over, and then the newest that are; for an administrator also
    /// those of every project and of the server.
    pub fn alerts(&self, scope: &Scope<Read>, every_project: bool) -> Result<Vec<Alert>> {
        if every_project && !scope.caller().is_admin() {
            return Err(Forbidden::AllProjects.into());
        }
        let is_seen =
            |project: Option<&ProjectId>| every_project || project == Some(scope.project());
        let mut all = self.every_alert()?;
        all.retain(|it| is_seen(it.instance.as_ref().map(|it| &it.project_id)));
        Ok(all)
    }

    /// The same without a check of access.
    pub fn every_alert(&self) -> Result<Vec<Alert>> {
        let after = self.rules.now().minus(SHOWN);
        self.store.read(|db| {
            let mut all = open_alerts(db)?;
            all.extend(db.ended_alerts(after, MOST_SHOWN)?.into_iter().filter_map(read));
            Ok(all)
        })
    }
}

pub(super) fn open_alerts(db: Records<'_>) -> Result<Vec<Alert>> {
    Ok(db.open_alerts()?.into_iter().filter_map(read).collect())
}

impl Rules {
    pub(super) fn alert_routes(&self) -> Arc<AlertRoutes> {
        Arc::clone(&self.alert_routes.read())
    }

    fn changes<'p>(
        &self,
        open: &[Alert],
        problems: &'p [Problem],
        may_end: bool,
    ) -> Vec<AlertChange<'p>> {
        let routes = self.alert_routes();
        let open: Vec<_> = open.iter().map(Alert::to_open).collect();
        let reminder = |instance| routes.of(instance).reminder;
        let mut changes = alert_changes(&open, problems, self.now(), reminder);
        changes.retain(|it| may_end || !matches!(it, AlertChange::End { .. }));
        changes
    }

    fn update_alerts(&self, db: Records<'_>, problems: &[Problem], may_end: bool) -> Result<()> {
        let open = open_alerts(db)?;
        for change in self.changes(&open, problems, may_end) {
            let find = |kind, of| open.iter().find(|it| it.kind == kind && it.instance_id() == of);
            match change {
                AlertChange::Begin(problem) => self.begin_alert(db, problem)?,
                AlertChange::Remind(problem) => {
                    if let Some(alert) = find(problem.kind, problem.instance) {
                        self.remind_of(db, alert.clone(), problem)?;
                    }
                }
                AlertChange::End { kind, instance } => {
                    if let Some(alert) = find(kind, instance) {
                        self.end_alert(db, alert)?;
                    }
                }
            }
        }
        Ok(db.forget_alerts(self.now().minus(SHOWN))?)
    }

    fn begin_alert(&self, db: Records<'_>, problem: &Problem) -> Result<()> {
        let subject = subject(db, problem.instance)?;
        if subject.is_none() && problem.instance.is_some() {
            // It was removed just now.
            return Ok(());
        }
        let message = Message::about(AlertEvent::Began, problem, subject.clone(), self.now());
        log::info!("alert: {}: {}", message.title, problem.message);
        self.queue(db, &self.alert_routes().of(problem.instance).channels, &message)?;
        self.insert_alert(db, problem, subject)
    }

    /// Records an alert that its channels hear of or have heard of.
    fn insert_alert(
        &self,
        db: Records<'_>,
        problem: &Problem,
        instance: Option<Subject>,
    ) -> Result<()> {
        let now = self.now();
        let alert = Alert {
            id: AlertId::generate(),
            kind: problem.kind,
            instance,
            since: problem.since,
            began: now,
            said: now,
            ended: None,
            message: problem.message.clone(),
            advice: problem.advice.clone(),
            channels: self.alert_routes().of(problem.instance).channels.clone(),
        };
        Ok(db.begin_alert(&record(alert))?)
    }

    fn remind_of(&self, db: Records<'_>, mut alert: Alert, problem: &Problem) -> Result<()> {
        let now = self.now();
        let routes = self.alert_routes();
        let channels = &routes.of(problem.instance).channels;
        let message = Message::about(AlertEvent::Reminder, problem, alert.instance.clone(), now);
        self.queue(db, channels, &message)?;
        let new = channels.iter().filter(|it| !alert.channels.contains(it)).cloned();
        alert.channels.extend(new.collect::<Vec<_>>());
        (alert.message, alert.advice) = (problem.message.clone(), problem.advice.clone());
        Ok(db.alert_said(&record(Alert { said: now, ..alert }))?)
    }

    /// Whoever heard that it began hears that it is over.
    fn end_alert(&self, db: Records<'_>, alert: &Alert) -> Result<()> {
        let now = self.now();
        let watched = match alert.instance_id() {
            None => true,
            Some(id) => {
                db.instance(id)?.is_some_and(|it| it.instance.status != InstanceStatus::Detached)
            }
        };
        let (kind, since) = (alert.kind, alert.since);
        let message = Message::over(kind, alert.instance.clone(), since, now, watched);
        log::info!("alert: {}", message.title);
        self.queue(db, &alert.channels, &message)?;
        Ok(db.end_alert(alert.id, now)?)
    }

    /// Queues a message for each of these channels.
    pub(super) fn queue(
        &self,
        db: Records<'_>,
        channels: &[String],
        message: &Message,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let text = serde_json::to_string(message).expect("every key of a message is a text");
        for channel in channels {
            let dropped = db.queue_delivery(channel, &text, now, MOST_WAITING)?;
            if dropped > 0 {
                log::error!(
                    "alerts: {dropped} messages for channel {channel:?} are dropped, because {MOST_WAITING} newer ones \
                     wait; coffer alert list says why they are not delivered"
                );
            }
        }
        Ok(())
    }
}

/// The instance as messages name it.
pub(super) fn subject(db: Records<'_>, id: Option<InstanceId>) -> Result<Option<Subject>> {
    let Some(id) = id else { return Ok(None) };
    Ok(db.instance(id)?.map(|it| Subject::of(&it.instance)))
}
