//! Alerts: what is said once when a problem begins, again while it lasts, and once when it is over; and to whom.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::{AlertId, DeliveryId, InstanceId, Timestamp};

use super::{AlertEvent, Message, Problem, ProblemKind, Schedule, Severity, Span, Subject};

/// The waits between attempts to deliver a message: each is three times as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long it is attempted to deliver a message. What is said of a backup that begins or ended is of no use later.
const ATTEMPTED: Duration = Duration::from_secs(3 * 24 * 3600);
const PING_ATTEMPTED: Duration = Duration::from_secs(3600);

/// An alert that has begun and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenAlert {
    pub kind: ProblemKind,
    /// `None`: of the server as a whole.
    pub instance: Option<InstanceId>,
    /// When it was said last.
    pub said: Timestamp,
}

/// Something that is or was wrong, and was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub id: AlertId,
    pub kind: ProblemKind,
    /// `None`: of the server as a whole.
    pub instance: Option<Subject>,
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

impl Alert {
    pub fn instance_id(&self) -> Option<InstanceId> {
        self.instance.as_ref().map(|it| it.id)
    }

    pub fn to_open(&self) -> OpenAlert {
        OpenAlert { kind: self.kind, instance: self.instance_id(), said: self.said }
    }

    pub fn is_critical(&self) -> bool {
        self.kind.severity() == Severity::Critical
    }
}

/// A message that waits to be delivered to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub channel: String,
    pub message: Message,
    pub queued: Timestamp,
    pub next_attempt: Timestamp,
    /// How many attempts were begun.
    pub attempts: u32,
    pub last_error: Option<String>,
}

impl Delivery {
    /// Whether it is time for an attempt. One that is further away than any wait is from before the clock was put back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_attempt <= now || self.next_attempt > now.plus(LONGEST_WAIT)
    }

    /// Until when it is attempted to deliver it.
    pub fn attempted_until(&self) -> Timestamp {
        attempted_until(self.message.event, self.queued)
    }
}

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertChange<'p> {
    Begin(&'p Problem),
    Remind(&'p Problem),
    End { kind: ProblemKind, instance: Option<InstanceId> },
}

/// What there is to say now: of each problem once when it begins and whenever the interval of its reminders has
/// passed, and of each alert whose problem is gone that it is over. A reminder of no time: none.
pub fn alert_changes<'p>(
    open: &[OpenAlert],
    problems: &'p [Problem],
    now: Timestamp,
    reminder: impl Fn(Option<InstanceId>) -> Span,
) -> Vec<AlertChange<'p>> {
    let known: HashMap<_, _> = open.iter().map(|it| ((it.kind, it.instance), it.said)).collect();
    let mut there = HashSet::new();
    let mut changes = Vec::new();
    for problem in problems {
        let key = (problem.kind, problem.instance);
        if !there.insert(key) {
            continue;
        }
        match known.get(&key) {
            None => changes.push(AlertChange::Begin(problem)),
            Some(said) if is_due(*said, now, reminder(problem.instance)) => {
                changes.push(AlertChange::Remind(problem));
            }
            Some(_) => {}
        }
    }
    let over = open.iter().filter(|it| !there.contains(&(it.kind, it.instance)));
    changes.extend(over.map(|it| AlertChange::End { kind: it.kind, instance: it.instance }));
    changes
}

/// Whether a reminder is due. A clock that was put far back does not silence it.
fn is_due(said: Timestamp, now: Timestamp, every: Span) -> bool {
    let every = every.duration();
    every > Duration::ZERO && (now >= said.plus(every) || now.plus(every) < said)
}

/// How long to wait after an attempt to deliver a message; `attempts` counts it.
pub fn wait_after(attempts: u32) -> Duration {
    let factor = 3_u32.saturating_pow(attempts.saturating_sub(1));
    FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
}

/// Until when it is attempted to deliver a message that was queued at this time.
fn attempted_until(event: AlertEvent, queued: Timestamp) -> Timestamp {
    queued.plus(if event.is_ping() { PING_ATTEMPTED } else { ATTEMPTED })
}

/// Who hears of an instance, and how often again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertRoute {
    /// The names of channels.
    pub channels: Vec<String>,
    pub reminder: Span,
}

/// A summary that comes by a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub channel: String,
    pub schedule: Schedule,
}

/// Who hears of what.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRoutes {
    /// Of the server, and of instances without a route of their own.
    pub default: AlertRoute,
    pub instances: HashMap<InstanceId, AlertRoute>,
    /// Channels that hear of each backup when it begins and ends.
    pub pinged: BTreeSet<String>,
    pub digests: Vec<Digest>,
    /// The time zone of the digests.
    pub zone: TimeZone,
}

impl Default for AlertRoutes {
    fn default() -> Self {
        let (default, instances, pinged, digests) = Default::default();
        Self { default, instances, pinged, digests, zone: TimeZone::UTC }
    }
}

impl AlertRoutes {
    pub fn of(&self, instance: Option<InstanceId>) -> &AlertRoute {
        instance.and_then(|id| self.instances.get(&id)).unwrap_or(&self.default)
    }

    /// The channels of an instance that hear of each backup.
    pub fn pinged_of(&self, instance: InstanceId) -> impl Iterator<Item = &String> {
        let channels = &self.of(Some(instance)).channels;
        channels.iter().filter(|channel| self.pinged.contains(*channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: ProblemKind, instance: Option<InstanceId>) -> Problem {
        let since = Timestamp::EARLIEST;
        Problem { kind, instance, since, message: "it is".to_owned(), advice: "do".to_owned() }
    }

    fn open(kind: ProblemKind, instance: Option<InstanceId>) -> OpenAlert {
        OpenAlert { kind, instance, said: Timestamp::EARLIEST }
    }

    fn day(_instance: Option<InstanceId>) -> Span {
        Span::days(1)
    }

    #[test]
    fn a_problem_is_said_once_then_as_a_reminder_and_its_end_once() {
        let shop = Some(InstanceId::generate());
        let failed = [problem(ProblemKind::Failed, shop)];
        let start = Timestamp::EARLIEST;
        assert_eq!(alert_changes(&[], &failed, start, day), [AlertChange::Begin(&failed[0])]);
        let known = [open(ProblemKind::Failed, shop)];
        let later = |seconds| start.plus(Duration::from_secs(seconds));
        assert_eq!(alert_changes(&known, &failed, later(86_399), day), []);
        let remind = [AlertChange::Remind(&failed[0])];
        assert_eq!(alert_changes(&known, &failed, later(86_400), day), remind);
        let never = |_| Span::default();
        assert_eq!(alert_changes(&known, &failed, later(10_000_000), never), []);
        let end = [AlertChange::End { kind: ProblemKind::Failed, instance: shop }];
        assert_eq!(alert_changes(&known, &[], later(1), day), end);
        assert_eq!(alert_changes(&[], &[], later(2), day), []);
    }

    #[test]
    fn the_success_of_one_instance_ends_nothing_of_another() {
        let [shop, blog] = [1, 2].map(|_| Some(InstanceId::generate()));
        let known = [open(ProblemKind::Failed, shop), open(ProblemKind::Failed, blog)];
        let left = [problem(ProblemKind::Failed, blog)];
        let ended = [AlertChange::End { kind: ProblemKind::Failed, instance: shop }];
        assert_eq!(alert_changes(&known, &left, Timestamp::EARLIEST, day), ended);
    }

    #[test]
    fn the_same_problem_twice_is_one_and_a_clock_put_far_back_silences_no_reminder() {
        let twice = [problem(ProblemKind::RoomLow, None), problem(ProblemKind::RoomLow, None)];
        let now = Timestamp::EARLIEST;
        assert_eq!(alert_changes(&[], &twice, now, day).len(), 1);
        let said = now.plus(Duration::from_secs(3 * 86_400));
        let known = [OpenAlert { said, ..open(ProblemKind::RoomLow, None) }];
        assert_eq!(alert_changes(&known, &twice, now, day), [AlertChange::Remind(&twice[0])]);
    }

    #[test]
    fn a_message_that_waits_longer_than_any_wait_is_due_since_the_clock_was_put_back() {
        let now = Timestamp::EARLIEST;
        let text = String::new();
        let is_due = |seconds| {
            let delivery = Delivery {
                id: DeliveryId::generate(),
                channel: "ops".to_owned(),
                message: Message::plain(AlertEvent::Test, None, now, "a test", text.clone()),
                queued: now,
                next_attempt: now.plus(Duration::from_secs(seconds)),
                attempts: 1,
                last_error: None,
            };
            delivery.is_due(now)
        };
        assert_eq!([0, 1, 3600, 3601].map(is_due), [true, false, false, true]);
    }

    #[test]
    fn the_waits_between_attempts_grow_to_an_hour_and_end_with_the_use_of_the_message() {
        let waits: Vec<u64> = (1..9).map(|it| wait_after(it).as_secs()).collect();
        assert_eq!(waits, [10, 30, 90, 270, 810, 2430, 3600, 3600]);
        let now = Timestamp::EARLIEST;
        assert!(
            attempted_until(AlertEvent::BackupStarted, now) < now.plus(Duration::from_secs(7200))
        );
        assert!(attempted_until(AlertEvent::Began, now) > now.plus(Duration::from_secs(86_400)));
    }
}
