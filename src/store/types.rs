//! How the domain's types are stored in columns. A value that does not read back is an error and never a
//! guess: the file may have been edited by hand.

use std::error::Error;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize as _, Serialize};

use super::StoreError;
use crate::domain::{
    BackupId, CheckLevel, ContainerName, DamageIn, Failure, FailureCode, InstanceId,
    InstanceStatus, Kind, Location, ProjectId, RunId, RunKind, Status, Timestamp, Verify,
    VerifyLevel,
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
    ProjectId, "project id";
    ContainerName, "container name";
    Status, "backup status";
    Location, "location of an archive";
}

/// Types with `as_str` that are one of a few words.
macro_rules! word_columns {
    ($($name:ty, $what:literal, $all:expr);+ $(;)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let text = value.as_str()?;
                $all.into_iter().find(|it| it.as_str() == text).ok_or_else(|| unreadable($what, text))
            }
        }
    )+};
}

word_columns! {
    Kind, "kind of backup", [Kind::Full, Kind::Incremental];
    DamageIn, "place of damage", [DamageIn::Archive, DamageIn::Data];
    InstanceStatus, "instance status", InstanceStatus::STORED;
    RunKind, "kind of run", RunKind::ALL;
    Task, "task", [Task::Backup, Task::Registration];
    Removal, "state of a removal", Removal::ALL;
}

/// Types whose words only serde knows.
macro_rules! serde_columns {
    ($($name:ty, $what:literal);+ $(;)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let word = serde_json::to_value(self)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                Ok(ToSqlOutput::from(word.as_str().unwrap_or_default().to_owned()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let text = value.as_str()?;
                let word: StrDeserializer<'_, WordError> = text.into_deserializer();
                Self::deserialize(word).map_err(|_reason| unreadable($what, text))
            }
        }
    )+};
}

serde_columns! {
    FailureCode, "kind of failure";
    CheckLevel, "check level";
    Verify, "way to prove backups";
    VerifyLevel, "level of proof";
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
pub(super) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| {
        let error: Box<dyn Error + Send + Sync> = Box::new(error);
        rusqlite::Error::ToSqlConversionFailure(error).into()
    })
}

/// A failure from its two columns.
pub(super) fn failure(code: Option<FailureCode>, message: Option<String>) -> Option<Failure> {
    code.map(|code| Failure { code, message: message.unwrap_or_default() })
}

/// What a worker does with a new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Makes an archive.
    Backup,
    /// Proves an archive that is already in the store.
    Registration,
}

impl Task {
    /// The word in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Registration => "registration",
        }
    }
}

/// The state of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It waits for a worker.
    Asked,
    /// A worker has it.
    Claimed,
    /// It failed, and is tried again at the next delete or start.
    Failed,
}

impl Removal {
    const ALL: [Self; 3] = [Self::Asked, Self::Claimed, Self::Failed];

    /// The word in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Claimed => "claimed",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
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
        for status in Status::ALL {
            assert_eq!(write_and_read(&status), status);
        }
        for status in InstanceStatus::STORED {
            assert_eq!(write_and_read(&status), status);
        }
        for removal in Removal::ALL {
            assert_eq!(write_and_read(&removal), removal);
        }
        for kind in RunKind::ALL {
            assert_eq!(write_and_read(&kind), kind);
        }
        for level in [VerifyLevel::Bytes, VerifyLevel::Checked, VerifyLevel::Restored] {
            assert_eq!(write_and_read(&level), level);
        }
        for verify in [Verify::Archive, Verify::Restore] {
            assert_eq!(write_and_read(&verify), verify);
        }
        for code in [FailureCode::DiskFull, FailureCode::ChainBroken, FailureCode::Internal] {
            assert_eq!(write_and_read(&code), code);
        }
        for check in [CheckLevel::Off, CheckLevel::Quick, CheckLevel::Full] {
            assert_eq!(write_and_read(&check), check);
        }
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
