//! Errors of storing archives.

use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::domain::BadLocation;
use crate::encryption::EncryptionError;

use super::requests::Refusal;

pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// An error of the storage. The text says what happened to which file.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(transparent)]
    BadLocation(#[from] BadLocation),
    /// It certainly does not exist.
    #[error("{what} does not exist")]
    NotFound { what: String },
    /// Something else is in the place of a file or of its folder.
    #[error("{what}: {why}")]
    NotAFile { what: String, why: &'static str },
    /// Nothing, or another folder, is in the place of the archives.
    #[error("{what}: {why}; is its disk mounted?")]
    NotInPlace { what: String, why: String },
    /// The name is taken; nothing was replaced.
    #[error("{what} exists already and is not replaced")]
    Exists { what: String },
    #[error("{what}: {needed} bytes are needed and {free} are free; make room and try again")]
    Full { what: String, needed: u64, free: u64 },
    /// Another process writes to this data directory.
    #[error("{what} is locked by another Coffer process; stop that one first")]
    Locked { what: String },
    /// It is a link, somebody else's, or open to others. `mend` is a command that puts it right.
    #[error("{what} {why}; as root or its owner: {mend}")]
    Untrusted { what: String, why: String, mend: String },
    /// Another data directory copies to this place.
    #[error(
        "{what} is where the data directory {other} keeps its copies, and this one is {own}: two in one place would take \
         the copies of the other one for their own and remove them; set {key} in its [[places]] to one of its own; or, if \
         the other one is gone for good and this one continues it: coffer catalog take-over --place {name}"
    )]
    OfAnother { what: String, key: &'static str, name: String, own: Uuid, other: Uuid },
    /// A store refused it. The text says what to do.
    #[error("{action} {what}: {refusal}")]
    Refused { action: &'static str, what: String, refusal: Refusal },
    /// A store cannot be reached, or nothing can be made of its answer.
    #[error("{action} {what}: {why}")]
    Unreachable { action: &'static str, what: String, why: String },
    /// It is encrypted, and cannot be read; or it cannot be encrypted.
    #[error("{what}: {source}")]
    Encryption { what: String, source: EncryptionError },
    #[error("{action} {what}: {source}")]
    Io {
        /// What was tried: `writing`, `syncing`…
        action: &'static str,
        what: String,
        source: io::Error,
    },
}

impl StorageError {
    pub(super) fn not_found(file: &Path) -> Self {
        Self::NotFound { what: file.display().to_string() }
    }

    pub(super) fn exists(file: &Path) -> Self {
        Self::Exists { what: file.display().to_string() }
    }

    /// A place is not the disk that it was at its first copy: its `data.id` is another one than `expected`, or none.
    pub fn other_disk(what: String, expected: &str, found: Option<&str>) -> Self {
        let is = found.map_or("it has no data.id".to_owned(), |it| format!("its data.id is {it}"));
        let why = format!(
            "this is not the disk that the first copy went to, whose data.id is {expected}: {is}"
        );
        Self::NotInPlace { what, why }
    }

    /// Whether the file certainly does not exist. Other errors say nothing about that.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether bytes are known to be others than those that were written.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Encryption { source, .. } if source.is_damage())
    }

    /// Whether this is about a place as a whole: nothing else can be done there either for now.
    pub fn is_about_place(&self) -> bool {
        match self {
            Self::NotInPlace { .. }
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::OfAnother { .. } => true,
            Self::Refused { refusal, .. } => refusal.is_about_store(),
            other => other.is_full(),
        }
    }

    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Refused { refusal: Refusal::Full, .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}
