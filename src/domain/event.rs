//! Events: what was done, by whom and from where. Each carries a hash over itself and the one before it.

use std::fmt;
use std::net::IpAddr;

use super::{ProjectId, Timestamp, words};

/// What every hash begins with, so that it is none of anything else.
const HASHED: &[u8] = b"coffer event 1";

/// The hash of an event; zeros before the first one.
pub type EventHash = [u8; 32];

words! {
    /// What was done.
    pub enum Action {
        /// A backup was asked for.
        BackupCreate = "backup_create",
        /// An archive was registered as a backup.
        BackupRegister = "backup_register",
        /// A backup was deleted, with what is built on it.
        BackupDelete = "backup_delete",
        /// A deleted backup was brought back.
        BackupUndelete = "backup_undelete",
        /// A backup is kept whatever the retention says.
        BackupPin = "backup_pin",
        /// It is kept no longer than that.
        BackupUnpin = "backup_unpin",
        /// A drill was asked for.
        BackupDrill = "backup_drill",
        /// Somebody asked to have every byte of a backup read again.
        BackupVerify = "backup_verify",
        /// A full backup of the same moment was asked for.
        BackupConsolidate = "backup_consolidate",
        /// An archive was downloaded, or written elsewhere by `coffer export`.
        BackupDownload = "backup_download",
        /// A backup was restored, or a restore was asked for.
        BackupRestore = "backup_restore",
        /// A copy was made in a further place, and proven there.
        CopyProven = "copy_proven",
        /// A copy failed, and is tried again; said once until it succeeds.
        CopyFailed = "copy_failed",
        /// A copy was removed from its place.
        CopyRemoved = "copy_removed",
        /// The archive of a backup was removed from the data directory, because its copies are proven.
        ArchiveRemoved = "archive_removed",
        /// A restored instance was deleted.
        InstanceDelete = "instance_delete",
        /// A quota was set.
        QuotaSet = "quota_set",
        /// The subfolder for backups was set.
        StrategySet = "strategy_set",
        /// It was set no longer.
        StrategyDelete = "strategy_delete",
        /// Schedule or retention of an instance were set.
        ScheduleSet = "schedule_set",
        /// They are as the configuration says again.
        ScheduleDelete = "schedule_delete",
        /// A token was made.
        TokenCreate = "token_create",
        /// A user was added.
        UserAdd = "user_add",
        /// A user was removed, with the credentials.
        UserRemove = "user_remove",
        /// A user has another password.
        UserPassword = "user_password",
        /// An application credential was added.
        CredentialAdd = "credential_add",
        /// It was removed.
        CredentialRemove = "credential_remove",
        /// Somebody signed in; refused: with a token or a password that is not known.
        SignIn = "sign_in",
        /// A request asked for what its token may not do.
        Access = "access",
    }
}

words! {
    /// What came of it.
    pub enum Outcome {
        /// It was done, or accepted.
        Done = "done",
        /// It was refused.
        Refused = "refused",
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Over the network, from this address.
    Address(IpAddr),
    /// Over the Unix socket.
    Socket,
    /// A command that works without the server.
    CommandLine,
    /// The server itself.
    Server,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.to_canonical().fmt(out),
            Self::Socket => out.write_str("socket"),
            Self::CommandLine => out.write_str("command line"),
            Self::Server => out.write_str("server"),
        }
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    /// The name of a token, or what acts by itself: `schedule`, `retention`, `command line`.
    pub who: String,
    pub origin: Origin,
}

impl Actor {
    /// A part of the server that acts by itself.
    pub fn server(who: &str) -> Self {
        Self { who: who.to_owned(), origin: Origin::Server }
    }

    /// A command that works without the server.
    pub fn command_line() -> Self {
        Self { who: "command line".to_owned(), origin: Origin::CommandLine }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    /// `None`: of no project.
    pub project: Option<ProjectId>,
    pub who: String,
    /// As [`Origin`] is shown.
    pub origin: String,
    pub action: Action,
    /// The id of what it was done to.
    pub object: Option<String>,
    pub outcome: Outcome,
    /// More about it, as a part of a sentence. Holds no secret.
    pub detail: String,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// They are numbered from 1 on, without gaps.
    pub number: u64,
    pub event: Event,
    pub hash: EventHash,
}

impl Event {
    /// Something that was done.
    pub fn done(at: Timestamp, actor: &Actor, action: Action) -> Self {
        Self {
            at,
            project: None,
            who: actor.who.clone(),
            origin: actor.origin.to_string(),
            action,
            object: None,
            outcome: Outcome::Done,
            detail: String::new(),
        }
    }

    #[must_use]
    pub fn in_project(self, project: &ProjectId) -> Self {
        Self { project: Some(project.clone()), ..self }
    }

    #[must_use]
    pub fn of(self, object: impl fmt::Display) -> Self {
        Self { object: Some(object.to_string()), ..self }
    }

    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    #[must_use]
    pub fn refused(self) -> Self {
        Self { outcome: Outcome::Refused, ..self }
    }

    /// The hash of this event as the one with this number, after one with the hash `before`.
    pub fn hash(&self, number: u64, before: &EventHash) -> EventHash {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &[u8]| {
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
            hasher.update(&length.to_le_bytes());
            hasher.update(text);
        };
        part(HASHED);
        part(before);
        part(&number.to_le_bytes());
        part(&self.at.as_micros().to_le_bytes());
        for text in [self.project.as_ref().map(ProjectId::as_str), self.object.as_deref()] {
            part(if text.is_some() { b"some" } else { b"none" });
            part(text.unwrap_or_default().as_bytes());
        }
        part(self.who.as_bytes());
        part(self.origin.as_bytes());
        part(self.action.as_str().as_bytes());
        part(self.outcome.as_str().as_bytes());
        part(self.detail.as_bytes());
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_event_depends_on_all_of_it_and_on_the_one_before() {
        let actor = Actor { who: "alice".to_owned(), origin: Origin::Socket };
        let event = Event::done(Timestamp::EARLIEST, &actor, Action::BackupPin).of("1");
        let project: ProjectId = "p".parse().unwrap();
        let others = [
            Event { at: Timestamp::from_micros(7), ..event.clone() },
            event.clone().in_project(&project),
            Event { who: "alic".to_owned(), origin: "esocket".to_owned(), ..event.clone() },
            Event { origin: "server".to_owned(), ..event.clone() },
            Event { action: Action::BackupUnpin, ..event.clone() },
            Event { object: None, ..event.clone() },
            event.clone().of(""),
            event.clone().refused(),
            event.clone().with_detail("more"),
        ];
        let zeros = [0; 32];
        let mut hashes: Vec<EventHash> = others.iter().map(|it| it.hash(1, &zeros)).collect();
        hashes.extend([event.hash(1, &zeros), event.hash(2, &zeros), event.hash(1, &[1; 32])]);
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
        assert_eq!(event.hash(1, &zeros), event.clone().hash(1, &zeros));
    }

    #[test]
    fn an_address_is_shown_as_what_a_person_knows_it_by() {
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(Origin::Address(mapped).to_string(), "192.0.2.7");
    }
}
