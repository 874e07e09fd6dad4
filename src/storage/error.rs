//! What can go wrong where archives lie.

use std::io;

use crate::domain::BadLocation;

/// An error of the archive store. The text says what happened and to which file.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Not a place below the store's root.
    #[error(transparent)]
    BadLocation(#[from] BadLocation),
    /// It is certainly not there.
    #[error("{what} is not there")]
    NotFound {
        /// The file.
        what: String,
    },
    /// There is one already; nothing was replaced.
    #[error("{what} exists already and is not replaced")]
    Exists {
        /// The file.
        what: String,
    },
    /// No room.
    #[error("{what}: {needed} bytes are needed and {free} are free; make room and try again")]
    Full {
        /// The file.
        what: String,
        /// How many bytes were asked for.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// Another process works on this store.
    #[error("{what} is locked by another Coffer process; stop that one first")]
    Locked {
        /// The lock file.
        what: String,
    },
    /// Anything else.
    #[error("{action} {what}: {source}")]
    Io {
        /// What was tried: `writing`, `syncing`…
        action: &'static str,
        /// On which file.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl StorageError {
    /// The file is certainly not there. Every other error says nothing about that.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// There was no room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}
