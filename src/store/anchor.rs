//! A look that lasts: keeps the newest snapshot's lock, so that every other look has it for nothing.
//!
//! Each look at a database in WAL mode takes a shared lock on the mark of its snapshot and gives it back,
//! two calls to the kernel that cost as much as finding the row. Connections of one process share their
//! locks: while one holds a mark, the others only count (SQLite's `os_unix.c`, `unixShmLock`). So one
//! connection holds it as long as nothing is written.
//!
//! The writer lets it go before it writes, so that the log may begin anew. What another process writes
//! meanwhile is seen by every look as always: it finds a newer mark, and locks that itself.

use rusqlite::Connection;

use super::sql;

/// A snapshot begins with the first read.
const LOOK: &str = "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)";

/// A connection that only holds a snapshot.
#[derive(Debug)]
pub(super) struct Anchor(Option<Connection>);

impl Anchor {
    /// Holds nothing yet. Without a connection everything works, only slower.
    pub(super) const fn on(db: Option<Connection>) -> Self {
        Self(db)
    }

    /// Holds the newest snapshot.
    pub(super) fn hold(&self) {
        let Some(db) = &self.0 else { return };
        let held = sql::change(db, "BEGIN DEFERRED", [])
            .and_then(|_none| sql::the(db, LOOK, [], |_row| Ok(())));
        if let Err(error) = held {
            log::debug!("catalog: no snapshot is held: {error}");
            self.release();
        }
    }

    /// Lets it go, if it is held.
    pub(super) fn release(&self) {
        let Some(db) = self.0.as_ref().filter(|db| !db.is_autocommit()) else { return };
        if let Err(error) = sql::change(db, "COMMIT", []) {
            log::warn!("catalog: a snapshot could not be let go: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use crossbeam_channel::bounded;
    use tempfile::TempDir;
    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::{ContainerName, ProjectId};
    use crate::store::ballast::Ballast;
    use crate::store::writer::{self, Job, Write};
    use crate::store::{Records, StoreError, open};

    /// Whether somebody's look keeps the log from beginning anew.
    fn log_is_held(path: &Path) -> bool {
        let db = Connection::open(path).unwrap();
        db.busy_timeout(Duration::ZERO).unwrap();
        db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0)).unwrap() != 0
    }

    #[test]
    fn a_held_snapshot_keeps_the_log_and_a_released_one_does_not() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("catalog.db");
        let db = open::for_writing(&path).unwrap();
        let anchor = Anchor::on(Some(open::barely_reading(&path).unwrap()));
        db.execute_batch("CREATE TABLE t(x)").unwrap();
        anchor.hold();
        assert!(log_is_held(&path));
        anchor.release();
        anchor.release();
        assert!(!log_is_held(&path));
    }

    #[test]
    fn the_log_begins_anew_although_a_snapshot_is_held_whenever_nothing_is_written() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("catalog.db");
        let db = open::for_writing(&path).unwrap();
        db.execute_batch("PRAGMA wal_autocheckpoint = 8").unwrap();
        let anchor = Anchor::on(Some(open::barely_reading(&path).unwrap()));
        let ballast = Ballast::beside(&path);
        let (sender, receiver) = bounded::<Box<dyn Job>>(1);
        let thread = std::thread::spawn(move || writer::run(db, &anchor, ballast, &receiver));
        let log = path.with_extension("db-wal");
        let mut longest = 0;
        for at in 0..200 {
            let project: ProjectId = format!("p{at}").parse().unwrap();
            let container: ContainerName = "c".parse().unwrap();
            let work = move |db: Records<'_>| db.put_strategy(&project, None, &container);
            let (sender_, answer) = oneshot::channel::<Result<(), StoreError>>();
            let job =
                Write { work: Some(work), after: |(): &()| (), outcome: None, sender: sender_ };
            sender.send(Box::new(job)).unwrap();
            answer.blocking_recv().unwrap().unwrap();
            longest = longest.max(fs::metadata(&log).unwrap().len());
        }
        drop(sender);
        thread.join().unwrap();
        assert!(longest < 64 * 4096, "the log grew to {longest} bytes");
    }
}
