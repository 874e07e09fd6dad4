//! The size of a tree, from metadata alone.

use std::os::fd::BorrowedFd;

use rustix::fs::FileType;

use super::options::Options;
use super::walk::{Member, Visitor, walk};
use crate::domain::EntryPath;
use crate::engine::EngineError;
use crate::engine::file_stat::FileStat;

/// About how many bytes of content the tree has, and how many members. Holes do not count, and a file with several
/// names counts once.
pub(super) fn totals(
    options: &Options,
    scratch: Option<(u64, u64)>,
) -> Result<(u64, u64), EngineError> {
    let mut totals = Totals { scratch, bytes: 0, members: 0 };
    walk(options, &mut totals)?;
    Ok((totals.bytes, totals.members))
}

struct Totals {
    scratch: Option<(u64, u64)>,
    bytes: u64,
    members: u64,
}

impl Visitor for Totals {
    fn folder(
        &mut self,
        _path: &EntryPath,
        _found: &FileStat,
        _folder: BorrowedFd<'_>,
    ) -> Result<(), EngineError> {
        self.members += 1;
        Ok(())
    }

    fn member(&mut self, member: &Member<'_>) -> Result<(), EngineError> {
        self.members += 1;
        if member.found.kind == FileType::RegularFile {
            let allocated = member.found.size.min(member.found.allocated);
            let share = allocated / u64::from(member.found.links.max(1));
            self.bytes = self.bytes.saturating_add(share);
        }
        Ok(())
    }

    fn passed_over(&mut self, _path: &EntryPath, _reason: &str) {}

    fn is_foreign(&self, found: &FileStat) -> bool {
        self.scratch == Some(found.identity())
    }
}
