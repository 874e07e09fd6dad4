//! Places: where copies of archives lie, besides the data directory.
//!
//! What every place promises: an archive is visible only when all of it has arrived ([`Upload::commit`]); none is ever
//! replaced; an upload that was broken off goes on where it stopped, also in another process; and an error other
//! than "not there" is never taken for "not there". A copy is not proven by its commit: whoever copies reads it back,
//! or asks for the [`checksum`](Place::checksum).

use std::fmt::Debug;
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{BackupId, Location, ReadAt, SentPart, Timestamp};

use super::{Refusal, Result, StorageError, StoredArchive};

/// The most parts that an upload may have, in every place.
pub const MOST_PARTS: u64 = 10_000;

/// Somewhere that holds copies of archives.
pub trait Place: Send + Sync + Debug {
    /// What it is called in the configuration, or on the command line.
    fn name(&self) -> &str;

    /// Opens an archive for reading, by ranges.
    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>>;

    /// The archive at this location; `None`: there certainly is none.
    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>>;

    /// Every archive, in order of location.
    fn list(&self) -> Result<Vec<StoredArchive>>;

    /// Removes an archive, durably. It is no error if there is none.
    fn remove(&self, location: &Location) -> Result<()>;

    /// Sees to it that until then nobody can remove or replace an archive, who has the keys included.
    fn lock(&self, location: &Location, _until: Timestamp) -> Result<()> {
        let (action, refusal) = ("locking", Refusal::NotImplemented);
        Err(StorageError::Refused { action, what: location.to_string(), refusal })
    }

    /// The most parts that an upload may have there.
    fn most_parts(&self) -> u64 {
        MOST_PARTS
    }

    /// Begins an upload. What it returns names it, also in another process.
    fn begin(&self, plan: &UploadPlan) -> Result<String>;

    /// Goes on with an upload after these parts, which are all from the first on.
    /// [`NotFound`](super::StorageError::NotFound): there is no such upload any more.
    fn resume(
        &self,
        plan: &UploadPlan,
        upload: &str,
        sent: Vec<SentPart>,
    ) -> Result<Box<dyn Upload>>;

    /// Gives up an upload with everything that has arrived of it. It is no error if there is none.
    fn abort(&self, plan: &UploadPlan, upload: &str) -> Result<()>;

    /// Gives up uploads that were begun before this and that nobody knows: those whose name was lost on the way, or with
    /// a catalog. Returns how many there were.
    fn sweep(&self, known: &[(BackupId, String)], before: Timestamp) -> Result<usize>;

    /// The checksum that the place itself vouches for; `None`: it has none that can be relied on.
    fn checksum(&self, plan: &UploadPlan, parts: &[SentPart]) -> Result<Option<Vouched>>;

    /// Tries out everything that copying needs. Leaves nothing behind.
    fn try_out(&self) -> Result<Vec<Observation>>;

    /// Fails if it cannot be used at the moment. Takes one request at most, and writes nothing.
    fn reach(&self) -> Result<()>;

    /// Whether it is a folder of this machine, so that a look at it costs nothing.
    fn is_local(&self) -> bool {
        false
    }

    /// The file that holds an archive. What is encrypted has another name.
    fn file_of(&self, location: &Location) -> Location {
        location.clone()
    }

    /// Which disk it has to be from now on: anything else in its stead is not taken for it, and what is not found there is
    /// not missing.
    fn expect(&self, _identity: &str) {}

    /// Which data directory copies to it; `None`: none has yet.
    fn owner(&self) -> Result<Option<Uuid>>;

    /// Takes it for this data directory, durably; fails with [`OfAnother`](super::StorageError::OfAnother) if another one
    /// copies to it.
    fn claim(&self, owner: Uuid) -> Result<()>;

    /// Takes it for this data directory, whichever copied to it before: a person said so.
    fn take_over(&self, owner: Uuid) -> Result<()>;

    /// Which disk this is, where that is known: the same name may mean another one later.
    fn identity(&self) -> Result<Option<String>>;

    /// Makes it ready for its first copy, and says which disk it is from then on.
    fn establish(&self) -> Result<Option<String>>;
}

/// What an upload is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPlan {
    pub backup: BackupId,
    pub location: Location,
    pub bytes: u64,
    /// When the backup was made.
    pub made: Timestamp,
    /// The length of every part but the last.
    pub part_bytes: u64,
    /// Until then nobody can remove or replace it.
    pub locked_until: Option<Timestamp>,
}

impl UploadPlan {
    /// The shortest part, and a multiple of which all others are.
    const STEP: u64 = 8 << 20;

    /// All parts are as long as the first, because some stores insist on that.
    pub fn new(backup: BackupId, location: Location, bytes: u64, made: Timestamp) -> Self {
        let plan =
            Self { backup, location, bytes, made, part_bytes: Self::STEP, locked_until: None };
        plan.with_at_most(MOST_PARTS)
    }

    /// The same, locked from the commit on.
    #[must_use]
    pub fn locked(self, until: Option<Timestamp>) -> Self {
        Self { locked_until: until, ..self }
    }

    /// The same with parts of this length.
    #[must_use]
    pub fn with_parts_of(self, part_bytes: u64) -> Self {
        Self { part_bytes: part_bytes.max(1), ..self }
    }

    /// The same with at most so many parts.
    #[must_use]
    pub fn with_at_most(self, parts: u64) -> Self {
        let least = self.bytes.div_ceil(parts.max(1)).div_ceil(Self::STEP).max(1);
        Self { part_bytes: least.saturating_mul(Self::STEP), ..self }
    }

    /// How many parts there are; an empty archive has one, which is empty.
    pub fn parts(&self) -> u64 {
        self.bytes.div_ceil(self.part_bytes).max(1)
    }

    /// Where a part begins and how long it is. They are numbered from 1.
    pub fn range(&self, number: u32) -> (u64, u64) {
        let start = u64::from(number.saturating_sub(1)).saturating_mul(self.part_bytes);
        (start, self.bytes.saturating_sub(start).min(self.part_bytes))
    }
}

/// An upload in progress. Dropped, it stays as it is, to be resumed or aborted.
pub trait Upload: Send + Debug {
    /// Sends a part, whose bytes have this SHA-256, and returns what the place calls it. Parts are sent in order.
    fn send(&mut self, number: u32, sha256: &[u8; 32], source: &Arc<dyn ReadAt>) -> Result<String>;

    /// Makes the archive visible, durably, unless there is one: then that is an error, and nothing was replaced.
    fn commit(self: Box<Self>) -> Result<()>;
}

/// A checksum that a place vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// It is that of what was sent.
    Same,
    /// What lies there is something else.
    Other,
}

/// Something that was found while a place was tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// It works as it should.
    Good(String),
    /// It works, but a person should know this: what, and what to do.
    Warning(String, String),
    /// What is copied there is not safe: why, and what to do.
    Problem(String, String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_upload_cover_it_and_are_never_too_many() {
        let location: Location = "p/i/x.tar.zst".parse().unwrap();
        let made = Timestamp::EARLIEST;
        for bytes in [0, 1, 8 << 20, (8 << 20) + 1, 80_000 << 20, (80_000 << 20) + 1, 5 << 40] {
            let plan = UploadPlan::new(BackupId::generate(), location.clone(), bytes, made);
            assert!((1..=MOST_PARTS).contains(&plan.parts()), "{bytes}");
            let last = u32::try_from(plan.parts()).unwrap();
            let (start, length) = plan.range(last);
            assert_eq!(start + length, bytes);
            assert!(length > 0 || bytes == 0, "{bytes}");
            assert!((1..=1000).contains(&plan.with_at_most(1000).parts()), "{bytes}");
        }
    }
}
