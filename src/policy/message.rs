//! What is said to people: when something is wrong and when it is over, and what became of backups.

use serde::{Deserialize, Serialize};

use crate::domain::{Instance, InstanceId, ProjectId, Timestamp, words};

use super::{Problem, ProblemKind, Severity};

words! {
    /// What a message is about.
    pub enum AlertEvent {
        /// A problem began.
        Began = "began",
        /// It still lasts.
        Reminder = "reminder",
        /// It is over.
        Ended = "ended",
        /// A backup began; only for channels that hear of each.
        BackupStarted = "backup_started",
        /// A backup was made and proven.
        BackupSucceeded = "backup_succeeded",
        BackupFailed = "backup_failed",
        /// The summary of a day or a week.
        Digest = "digest",
        /// Somebody wanted to see whether messages arrive.
        Test = "test",
    }
}

impl AlertEvent {
    /// Whether it is only for monitors that hear of each backup.
    pub const fn is_ping(self) -> bool {
        matches!(self, Self::BackupStarted | Self::BackupSucceeded | Self::BackupFailed)
    }
}

/// Which instance a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub id: InstanceId,
    pub name: String,
    pub project_id: ProjectId,
}

impl Subject {
    pub fn of(instance: &Instance) -> Self {
        let (name, project_id) = (instance.name.clone(), instance.project.clone());
        Self { id: instance.id, name, project_id }
    }
}

/// A message. As JSON it is what a webhook and a command get, with the id of its delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub event: AlertEvent,
    /// What is or was wrong.
    pub kind: Option<ProblemKind>,
    pub severity: Option<Severity>,
    /// `None`: about the server as a whole.
    pub instance: Option<Subject>,
    /// When the problem or the backup began, in UTC.
    pub since: Option<String>,
    /// When this message was made.
    pub at: String,
    /// All of it in a few words.
    pub title: String,
    pub text: String,
    /// What to do.
    pub advice: Option<String>,
}

fn shown(at: Timestamp) -> String {
    format!("{}Z", at.to_wire())
}

impl Message {
    /// A message about an instance, or the server, that says only this.
    pub fn plain(
        event: AlertEvent,
        instance: Option<Subject>,
        at: Timestamp,
        title: &str,
        text: String,
    ) -> Self {
        let title = format!("{}: {title}", name_of(instance.as_ref()));
        let (kind, severity, since, advice) = Default::default();
        Self { event, kind, severity, instance, since, at: shown(at), title, text, advice }
    }

    /// That a problem began, or still lasts.
    pub fn about(
        event: AlertEvent,
        problem: &Problem,
        instance: Option<Subject>,
        at: Timestamp,
    ) -> Self {
        let still = if event == AlertEvent::Reminder { "still: " } else { "" };
        let title = format!("{still}{}", problem.kind.headline());
        Self {
            kind: Some(problem.kind),
            severity: Some(problem.kind.severity()),
            since: Some(shown(problem.since)),
            advice: Some(problem.advice.clone()),
            ..Self::plain(event, instance, at, &title, problem.message.clone())
        }
    }

    /// That a problem is over, which had begun at `since`; or that nobody looks after it any more, since its instance
    /// left the configuration.
    pub fn over(
        kind: ProblemKind,
        instance: Option<Subject>,
        since: Timestamp,
        at: Timestamp,
        watched: bool,
    ) -> Self {
        let (word, text) = if watched {
            ("over", format!("This is over: {}.", kind.headline()))
        } else {
            let why = "its instance left the configuration, so nothing is known of it any more";
            ("no longer watched", format!("{}: {why}.", kind.headline()))
        };
        let title = format!("{word}: {}", kind.headline());
        Self {
            kind: Some(kind),
            severity: Some(kind.severity()),
            since: Some(shown(since)),
            ..Self::plain(AlertEvent::Ended, instance, at, &title, text)
        }
    }

    /// Everything in lines: what happened, since when, what to do.
    pub fn body(&self) -> String {
        let mut lines = vec![self.text.clone()];
        lines.extend(self.advice.iter().map(|advice| format!("What to do: {advice}")));
        if let Some(since) = &self.since {
            lines.push(format!("Since {since}."));
        }
        lines.join("\n")
    }
}

fn name_of(instance: Option<&Subject>) -> &str {
    instance.map_or("Coffer", |it| it.name.as_str())
}

impl ProblemKind {
    /// Whether it is that there is no new backup, so that the next one that is made ends it.
    pub const fn ends_with_success(self) -> bool {
        matches!(self, Self::Failed | Self::Missed | Self::CannotStart | Self::NoBackup)
    }

    /// What is wrong, in a few words.
    pub const fn headline(self) -> &'static str {
        match self {
            Self::Failed => "the backup failed",
            Self::Missed => "a backup is missing",
            Self::CannotStart => "backups cannot begin",
            Self::NoBackup => "there is no backup",
            Self::Smaller => "the backup is much smaller than before",
            Self::Slower => "the backup took much longer than before",
            Self::ProofOld => "the last drill is too old",
            Self::Damaged => "a backup is damaged or missing",
            Self::LeftOut => "the backup leaves out something new",
            Self::RowsFell => "a table has far fewer rows",
            Self::StagingFailed => "the restore into staging failed",
            Self::CopyFailed => "a copy fails again and again",
            Self::CopiesLate => "copies are missing in a place",
            Self::PlaceUnreachable => "a place for copies cannot be used",
            Self::PlaceNotConfigured => "a place with copies is not in the configuration",
            Self::DeviceSilent => "a device of a fleet is silent",
            Self::FleetUnread => "a fleet cannot be read",
            Self::KeyUntried => "no secret key was ever tried",
            Self::KeyUnusable => "a secret key cannot be used",
            Self::CertificateEnds => "the server's certificate ends",
            Self::OutOfReach => "backups lie only where they cannot be read",
            Self::RoomLow => "there is room for few more backups",
            Self::DiskFailing => "the disk reports errors",
            Self::ClockJumped => "the clock jumped",
            Self::ServerStopped => "the server has stopped work",
        }
    }
}
