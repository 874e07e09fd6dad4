//! How the domain's types lie in columns, and back. What does not read back is an error, never a guess:
//! the file may have been edited by hand.

use std::error::Error;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as WordError, StrDeserializer};

use crate::domain::{
    BackupId, CheckLevel, ContainerName, FailureCode, InstanceId, InstanceStatus, Kind, Location,
    ProjectId, ProjectIdRef, Status, Timestamp, Verify, VerifyLevel,
};

/// A value that no program of ours wrote there.
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

/// The text of a column, where SQLite has it.
pub(super) fn text<'r>(row: &'r Row<'_>, at: usize) -> rusqlite::Result<&'r str> {
    row.get_ref(at)?.as_str().map_err(|error| unfit(at, error))
}

/// The same of a column that may have none.
pub(super) fn text_or_null<'r>(row: &'r Row<'_>, at: usize) -> rusqlite::Result<Option<&'r str>> {
    row.get_ref(at)?.as_str_or_null().map_err(|error| unfit(at, error))
}

/// A project, where SQLite has it.
pub(super) fn project_id<'r>(row: &'r Row<'_>, at: usize) -> rusqlite::Result<ProjectIdRef<'r>> {
    let text = text(row, at)?;
    text.try_into().map_err(|_reason| unfit(at, unreadable("project id", text)))
}

/// The error of a column whose text does not read back.
pub(super) fn unfit(at: usize, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}

/// Types that parse themselves and show themselves.
macro_rules! text_column {
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

text_column! {
    BackupId, "backup id";
    InstanceId, "instance id";
    ProjectId, "project id";
    ContainerName, "container name";
    Status, "backup status";
    Location, "location of an archive";
}

/// Types that are one of a few words.
macro_rules! word_column {
    ($($name:ty, $what:literal, $parse:expr);+ $(;)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let text = value.as_str()?;
                $parse(text).ok_or_else(|| unreadable($what, text))
            }
        }
    )+};
}

word_column! {
    Kind, "kind of backup", |text| [Kind::Full, Kind::Incremental].into_iter().find(|it| it.as_str() == text);
    VerifyLevel, "level of proof", VerifyLevel::parse;
    DamageIn, "place of damage", |text| [DamageIn::Archive, DamageIn::Data].into_iter().find(|it| it.as_str() == text);
    Verify, "way to prove", |text| [Verify::Archive, Verify::Restore].into_iter().find(|it| it.as_str() == text);
    InstanceStatus, "instance status", parse_instance_status;
    Task, "task", |text| [Task::Backup, Task::Registration].into_iter().find(|it| it.as_str() == text);
    Removal, "state of a removal", |text| Removal::ALL.into_iter().find(|it| it.as_str() == text);
}

fn parse_instance_status(text: &str) -> Option<InstanceStatus> {
    [
        InstanceStatus::Build,
        InstanceStatus::Active,
        InstanceStatus::Backup,
        InstanceStatus::Error,
        InstanceStatus::Detached,
    ]
    .into_iter()
    .find(|it| it.as_str() == text)
}

/// Types whose words only serde knows.
macro_rules! serde_column {
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

serde_column! {
    FailureCode, "kind of failure";
    CheckLevel, "check level";
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

/// What a worker does with a new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Makes an archive.
    Backup,
    /// Proves one that lies there already.
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

/// Where damage was found: who found it decides who takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageIn {
    /// In the bytes of the archive.
    Archive,
    /// In the database that they restore to.
    Data,
}

impl DamageIn {
    /// The word in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Data => "data",
        }
    }
}

/// Where a removal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// To be done.
    Asked,
    /// A worker does it.
    Claimed,
    /// It did not work out; tried again at the next delete or start.
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

    fn there_and_back<T: ToSql + FromSql>(value: &T) -> T {
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
            assert_eq!(there_and_back(&status), status);
        }
        for removal in Removal::ALL {
            assert_eq!(there_and_back(&removal), removal);
        }
        for level in [VerifyLevel::Bytes, VerifyLevel::Checked, VerifyLevel::Restored] {
            assert_eq!(there_and_back(&level), level);
        }
        for verify in [Verify::Archive, Verify::Restore] {
            assert_eq!(there_and_back(&verify), verify);
        }
        for code in [FailureCode::DiskFull, FailureCode::ChainBroken, FailureCode::Internal] {
            assert_eq!(there_and_back(&code), code);
        }
        for check in [CheckLevel::Off, CheckLevel::Quick, CheckLevel::Full] {
            assert_eq!(there_and_back(&check), check);
        }
        assert_eq!(there_and_back(&Bytes(7)).0, 7);
    }

    #[test]
    fn a_word_nobody_wrote_is_an_error_and_not_a_guess() {
        assert!(read::<Status>("DONE").is_err());
        assert!(read::<BackupId>("1").is_err());
        assert!(read::<FailureCode>("bad luck").is_err());
        assert!(read::<Removal>("").is_err());
        assert!(read::<ProjectId>("../etc").is_err());
    }
}
