//! Alerts: what is or was wrong and was said, and messages that wait to be delivered.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{AlertId, DeliveryId, InstanceId, ProjectId};
use crate::policy::{Alert, AlertEvent, Delivery, ProblemKind, Severity};

use super::UtcTime;

/// Something that is or was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// Its id.
    pub id: AlertId,
    /// What is wrong.
    pub kind: ProblemKind,
    /// How bad that is.
    pub severity: Severity,
    /// The instance; null for the server as a whole.
    #[schema(required)]
    pub instance_id: Option<InstanceId>,
    /// Its name.
    #[schema(required)]
    pub instance_name: Option<String>,
    /// Its project.
    #[schema(required)]
    pub project_id: Option<ProjectId>,
    /// When it began, as far as is known.
    pub since: UtcTime,
    /// When that was said first.
    pub began: UtcTime,
    /// When it was said last.
    pub said: UtcTime,
    /// When it was over; null if it is not.
    #[schema(required)]
    pub ended: Option<UtcTime>,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

impl From<Alert> for AlertView {
    fn from(it: Alert) -> Self {
        let instance_id = it.instance_id();
        let (instance_name, project_id) = it.instance.map(|it| (it.name, it.project_id)).unzip();
        Self {
            id: it.id,
            kind: it.kind,
            severity: it.kind.severity(),
            instance_id,
            instance_name,
            project_id,
            since: it.since.into(),
            began: it.began.into(),
            said: it.said.into(),
            ended: it.ended.map(UtcTime::from),
            message: it.message,
            advice: it.advice,
        }
    }
}

/// A message that waits to be delivered to a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Its id, which the receiver gets too.
    pub id: DeliveryId,
    /// The channel, as the configuration names it.
    pub channel: String,
    /// What it is about.
    pub event: AlertEvent,
    /// What it says, in a few words.
    pub title: String,
    /// Since when it waits.
    pub queued: UtcTime,
    /// When it is attempted next.
    pub next_attempt: UtcTime,
    /// How often it was attempted.
    pub attempts: u32,
    /// Why the last attempt failed; null if there was none, or if it goes on.
    #[schema(required)]
    pub last_error: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(it: Delivery) -> Self {
        Self {
            id: it.id,
            channel: it.channel,
            event: it.message.event,
            title: it.message.title,
            queued: it.queued.into(),
            next_attempt: it.next_attempt.into(),
            attempts: it.attempts,
            last_error: it.last_error,
        }
    }
}

/// The alerts of a project, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertList {
    /// Those that are not over, and then the newest that are.
    pub alerts: Vec<AlertView>,
    /// Messages that wait to be delivered; for administrators who ask about every project.
    pub undelivered: Vec<DeliveryView>,
}

/// Which channels to test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestAlerts {
    /// The channel; every one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// What came back from a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelTest {
    /// The channel.
    pub channel: String,
    /// Whether the receiver accepted the message.
    pub delivered: bool,
    /// What it answered, or why it got nothing.
    pub answer: String,
}
