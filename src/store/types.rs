//! How the domain's types are stored in columns. A value that does not read back is an error and never a
//! guess: the file may have been edited by hand.

use std::error::Error;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;
use crate::domain::{
    Action, AlertId, BackupId, CheckLevel, ContainerName, CopyProof, CopyState, DamageIn,
    DeliveryId, Failure, FailureCode, Here, InstanceId, InstanceStatus, Kind, Location, Outcome,
    ProjectId, QuotaResource, RunId, RunKind, Status, Timestamp, Verdict, Verify, VerifyLevel,
    words,
};

/// A value in the database that this program did not write.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a {what}")]
struct Unreadable {
    what: &'static str,
    text: String,
}

fn unreadable(what: &'static str, text: &str) -> FromSqlError {
    let text = text.chars().take(80).collect();
    FromSqlError::Other(Box::new(Unreadable { what, text }))
}

/// Types with `Display` and `FromStr`.
macro_rules! text_columns {
    ($($name:ty, $what:literal);+ $(;)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.to_string()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let text = value.as_str()?;
                text.parse().map_err(|_reason| unreadable($what, text))
            }
        }
    )+};
}

text_columns! {
    BackupId, "backup id";
    InstanceId, "instance id";
    RunId, "run id";
    AlertId, "alert id";
    DeliveryId, "delivery id";
    ProjectId, "project id";
    ContainerName, "container name";
    Location, "location of an archive";
}

/// Types that are one of a few words.
macro_rules! word_columns {
    ($($name:ty, $what:literal);+ $(;)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let text = value.as_str()?;
                text.parse().map_err(|_unknown| unreadable($what, text))
            }
        }
    )+};
}

word_columns! {
    Status, "backup status";
    Kind, "kind of backup";
    CopyState, "state of a copy";
    Here, "place of an archive";
    CopyProof, "proof of a copy";
    DamageIn, "place of damage";
    InstanceStatus, "instance status";
    RunKind, "kind of run";
    Task, "task";
    Removal, "state of a removal";
    FailureCode, "kind of failure";
    CheckLevel, "check level";
    Verify, "way to prove backups";
    VerifyLevel, "level of proof";
    QuotaResource, "resource with a quota";
    Action, "kind of event";
    Outcome, "outcome of an event";
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_micros()))
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_micros)
    }
}

/// A number of bytes. SQLite's integers end at 2^63; no file is that long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes(pub(super) u64);

impl ToSql for Bytes {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(i64::try_from(self.0).unwrap_or(i64::MAX)))
    }
}

impl FromSql for Bytes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).map_err(|_reason| FromSqlError::OutOfRange(number))
    }
}

/// A value that is stored as JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let read = serde_json::from_str(value.as_str()?);
        read.map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// The JSON of a value. The keys of maps are in order, so equal values have equal texts.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        let error: Box<dyn Error + Send + Sync> = Box::new(error);
        rusqlite::Error::ToSqlConversionFailure(error).into()
    })
}

pub(super) fn failure(code: Option<FailureCode>, message: Option<String>) -> Option<Failure> {
    code.map(|code| Failure { code, message: message.unwrap_or_default() })
}

/// What a run of a drill that ended said, by its result and what failed.
pub(super) fn verdict<Found>(
    result: &str,
    failure: Option<Failure>,
    found: impl FnOnce() -> Found,
) -> Verdict<Found> {
    match failure {
        Some(failure) if result == "damaged" => Verdict::Damaged(failure),
        Some(failure) => Verdict::Inconclusive(failure),
        None => Verdict::Passed(found()),
    }
}

words! {
    /// What a worker does with a new row.
    pub enum Task {
        /// Makes an archive.
        Backup = "backup",
        /// Proves an archive that is already in the storage.
        Registration = "registration",
    }
}

words! {
    pub enum Removal {
        /// It waits for a worker.
        Asked = "asked",
        /// A worker has it.
        Claimed = "claimed",
        /// It failed, and is tried again at the next delete or start.
        Failed = "failed",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use rusqlite::Connection;

    use super::*;

    fn write_and_read<T: ToSql + FromSql>(value: &T) -> T {
        let db = Connection::open_in_memory().unwrap();
        db.query_row("SELECT ?1", [value], |row| row.get(0)).unwrap()
    }

    fn read<T: FromSql>(text: &str) -> rusqlite::Result<T> {
        let db = Connection::open_in_memory().unwrap();
        db.query_row("SELECT ?1", [text], |row| row.get(0))
    }

    #[test]
    fn every_word_reads_back_as_what_it_was_written_for() {
        fn assert_all<T: ToSql + FromSql + PartialEq + Debug>(all: &[T]) {
            for value in all {
                assert_eq!(write_and_read(value), *value);
            }
        }
        assert_all(Status::ALL);
        assert_all(InstanceStatus::ALL);
        assert_all(Removal::ALL);
        assert_all(RunKind::ALL);
        assert_all(CopyState::ALL);
        assert_all(Here::ALL);
        assert_all(CopyProof::ALL);
        assert_all(VerifyLevel::ALL);
        assert_all(Verify::ALL);
        assert_all(FailureCode::ALL);
        assert_all(CheckLevel::ALL);
        assert_eq!(write_and_read(&Bytes(7)).0, 7);
    }

    #[test]
    fn an_unknown_word_is_an_error_and_not_a_guess() {
        assert!(read::<Status>("DONE").is_err());
        assert!(read::<BackupId>("1").is_err());
        assert!(read::<FailureCode>("bad luck").is_err());
        assert!(read::<Removal>("").is_err());
        assert!(read::<RunKind>("walk").is_err());
        assert!(read::<ProjectId>("../etc").is_err());
        assert!(read::<Json<u64>>("{").is_err());
    }
}
