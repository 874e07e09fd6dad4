//! Notices when another program writes to the catalog. The log has a mark for each commit, whoever made it, and Coffer counts its
//! own in a row: what the log has more of is somebody else's. A copy that is written over the catalog is noticed elsewhere.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Records;
use super::commits::mark;
use super::log_commits::LogCommits;
use super::place::Place;

/// What was written to the catalog, as it was seen last.
#[derive(Debug)]
pub(super) struct OtherWrites {
    log: PathBuf,
    seen: Mutex<Option<Written>>,
    /// Whether another program ever wrote.
    found: AtomicBool,
}

/// The commits in the log, and those that Coffer counted.
#[derive(Debug, Clone, Copy)]
struct Written {
    log: LogCommits,
    counted: i64,
}

impl Written {
    /// Whether the log has more commits than were counted since before.
    fn has_others_since(&self, before: &Self) -> bool {
        self.log.since(&before.log) > self.counted.saturating_sub(before.counted)
    }
}

impl OtherWrites {
    pub(super) fn to(place: &Place) -> Self {
        Self { log: place.log(), seen: Mutex::default(), found: AtomicBool::new(false) }
    }

    /// Looks again, in a transaction that nobody can write beside: a commit would be in the log before it is counted.
    pub(super) fn look(&self, db: Records<'_>) {
        let mut seen = self.seen.lock();
        let log = seen.map(|it| it.log).unwrap_or_default().read_on(&self.log);
        // What cannot be read, or has no count, says nothing.
        let (Ok(log), Ok(Some(mark))) = (log, mark(db.0)) else { return };
        let now = Written { log, counted: mark.commits() };
        if seen.is_some_and(|before| now.has_others_since(&before)) {
            self.found.store(true, Ordering::Release);
        }
        *seen = Some(now);
    }

    pub(super) fn were_found(&self) -> bool {
        self.found.load(Ordering::Acquire)
    }
}
