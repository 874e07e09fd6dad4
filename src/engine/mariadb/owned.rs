//! Passes a staged copy on as if it were the server's own folder.

use std::path::{Path, PathBuf};

use crate::domain::{Entry, EntryKind};
use crate::engine::{Intake, NeedsContent, Stop};

/// Gives every entry the owner of the server's files; the copy belongs to Coffer's user. Removes each file from the
/// staging folder once it was read, while the archive's threads are still busy with it.
pub(super) struct Owned<'a> {
    intake: &'a mut dyn Intake,
    owner: (u32, u32),
    staging: &'a Path,
    /// The file being read.
    current: Option<PathBuf>,
}

impl<'a> Owned<'a> {
    /// `owner`: user and group.
    pub(super) fn new(intake: &'a mut dyn Intake, owner: (u32, u32), staging: &'a Path) -> Self {
        Self { intake, owner, staging, current: None }
    }
}

impl Intake for Owned<'_> {
    fn announce(&mut self, bytes: u64) -> Result<(), Stop> {
        self.intake.announce(bytes)
    }

    /// A copy is new each time, so its stamps would never match.
    fn entry(&mut self, entry: &Entry, _trust_stamp: bool) -> Result<NeedsContent, Stop> {
        if let Some(done) = self.current.take() {
            // A file that stays is removed with the folder.
            let _removed = std::fs::remove_file(done);
        }
        if matches!(entry.kind, EntryKind::File { .. }) {
            self.current = Some(self.staging.join(entry.path.as_path()));
        }
        let (uid, gid) = self.owner;
        self.intake.entry(&Entry { uid, gid, stamp: None, ..entry.clone() }, false)
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.intake.buffer()
    }

    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        self.intake.segment(bytes)
    }

    fn retract(&mut self) -> Result<(), Stop> {
        self.current = None;
        self.intake.retract()
    }
}
