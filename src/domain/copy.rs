//! Copies: archives in further places, each with a state of its own.

use std::collections::BTreeSet;
use std::fmt;

use super::words::words;
use super::{BackupId, Failure, Location, Timestamp};

words! {
    /// Where a copy stands.
    pub enum CopyState {
        /// It waits for its turn, or for the copy of what the backup is built on.
        Waiting = "waiting",
        /// It is being sent, or read back.
        Copying = "copying",
        /// It is in its place, and what lies there is what was sent.
        Proven = "proven",
        /// The last attempt failed; it is tried again.
        Failed = "failed",
        /// The place kept it no longer, by its own retention.
        Expired = "expired",
    }
}

words! {
    /// How it was found that a copy is what was sent.
    pub enum CopyProof {
        /// Every byte was read back, and the hash of all is the backup's.
        ReadBack = "read_back",
        /// The store answered with the SHA-256 of what it holds, and it is the one that Coffer computed. The store was
        /// seen to refuse bytes that do not have the SHA-256 that comes with them.
        StoreChecksum = "store_checksum",
    }
}

/// A part of an upload that has arrived. Parts are numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPart {
    pub number: u32,
    /// What the place calls it.
    pub tag: String,
    pub sha256: [u8; 32],
}

/// The copy of an archive in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupCopy {
    pub backup: BackupId,
    /// The name of the place.
    pub place: String,
    pub state: CopyState,
    pub location: Location,
    /// Bytes that have arrived.
    pub sent: u64,
    /// Attempts so far, since the last one that was done.
    pub attempts: u32,
    /// When it is tried again.
    pub next: Option<Timestamp>,
    /// Since when attempts have failed.
    pub failing: Option<Timestamp>,
    /// When it was proven, and how.
    pub proven: Option<(Timestamp, CopyProof)>,
    /// What stopped the last attempt.
    pub failure: Option<Failure>,
    /// Until then nobody can remove or replace it.
    pub locked_until: Option<Timestamp>,
    /// It is to be removed there, because its backup is gone or the place keeps it no longer.
    pub leaving: bool,
}

/// How many copies a place holds, and is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceCopies {
    pub place: String,
    pub waiting: u64,
    pub copying: u64,
    pub failed: u64,
    pub proven: u64,
    /// What the proven ones take.
    pub bytes: u64,
    pub last_proven: Option<Timestamp>,
    /// Whether the configuration names the place.
    pub configured: bool,
    /// Since when the place cannot be used, and why.
    pub trouble: Option<PlaceTrouble>,
}

/// That a place could not be used when that was tried last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceTrouble {
    pub place: String,
    pub since: Timestamp,
    pub why: String,
    /// Whether the configuration names it; if not, that is why.
    pub configured: bool,
}

/// How many backups lie in exactly these places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Whether they lie in the data directory, too.
    pub here: bool,
    pub places: BTreeSet<String>,
    pub backups: u64,
}

/// A place that still holds copies, and that the configuration does not name any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedPlace {
    pub place: String,
    /// Since when that is known.
    pub since: Timestamp,
    /// How many backups have a copy there.
    pub copies: u64,
    /// How many of them have no other archive that can be reached.
    pub only_there: u64,
}

impl fmt::Display for RemovedPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, copies, only_there, .. } = self;
        write!(
            out,
            "place {place} is no longer configured; {copies} backups have copies there, {only_there} have no other archive"
        )
    }
}

/// The copies of an instance's backups in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceCopies {
    pub place: String,
    pub proven: u64,
    /// Those that are not there yet, and when the first of them was asked for.
    pub missing: u64,
    pub missing_since: Option<Timestamp>,
    /// When the newest backup was asked for that is there.
    pub newest: Option<Timestamp>,
    pub failing: Option<FailingCopy>,
}

/// The copy whose attempts have failed for longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingCopy {
    pub backup: BackupId,
    pub since: Timestamp,
    pub attempts: u32,
    pub why: String,
}
