//! A staged copy given on as if it were the server's own folder.

use crate::domain::Entry;
use crate::engine::{Intake, Refused, Wants};

/// Gives every entry the owner of the server's files: the copy's is whoever runs Coffer.
pub(super) struct Owned<'a> {
    pub(super) intake: &'a mut dyn Intake,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Intake for Owned<'_> {
    fn expect(&mut self, bytes: u64) -> Result<(), Refused> {
        self.intake.expect(bytes)
    }

    /// A copy is new each time: its stamp would never be met again.
    fn entry(&mut self, entry: &Entry, _trust_stamp: bool) -> Result<Wants, Refused> {
        let entry = Entry { uid: self.uid, gid: self.gid, stamp: None, ..entry.clone() };
        self.intake.entry(&entry, false)
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.intake.buffer()
    }

    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Refused> {
        self.intake.segment(bytes)
    }

    fn retract(&mut self) -> Result<(), Refused> {
        self.intake.retract()
    }
}
