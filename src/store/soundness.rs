//! Whether the whole file is sound: SQLite looks at every page of it once per start.
//!
//! A small catalog is looked at before it is used. A large one would keep the start waiting (0.2 s per
//! 100 MiB), so it is looked at beside the work, by a thread that yields to everything else; damage then
//! ends the catalog's use as it would have prevented its start.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, InterruptHandle};

use super::{StoreError, open};

/// Bytes that are looked at before the catalog is used: some milliseconds' worth.
pub(super) const AT_ONCE: u64 = 8 << 20;

/// How often a check that is to end is told so: the first time may come before it began.
const AGAIN: Duration = Duration::from_millis(10);

/// The check of one open catalog.
pub(super) struct Soundness {
    damage: Arc<OnceLock<String>>,
    check: Mutex<Option<Check>>,
}

/// A check under way.
struct Check {
    thread: JoinHandle<()>,
    interrupt: InterruptHandle,
    ended: Receiver<()>,
}

impl Soundness {
    /// Checks the file at `path`: now, if it is no longer than `at_once`, or else beside the work.
    pub(super) fn check(path: &Path, at_once: u64) -> Result<Self, StoreError> {
        let unreachable = |source| StoreError::Unreachable { path: path.to_owned(), source };
        let damage = Arc::new(OnceLock::new());
        let length = std::fs::metadata(path).map_err(unreachable)?.len();
        let db = open::barely_reading(path)?;
        if length <= at_once {
            return match flaw(&db)? {
                Some(why) => Err(StoreError::Damaged { why }),
                None => Ok(Self { damage, check: Mutex::default() }),
            };
        }
        let interrupt = db.get_interrupt_handle();
        let (end, ended) = bounded(0);
        let found = Arc::clone(&damage);
        let thread = Builder::new()
            .name("store-check".to_owned())
            .spawn(move || {
                look_at_everything(&db, &found);
                drop(end);
            })
            .map_err(unreachable)?;
        let check = Mutex::new(Some(Check { thread, interrupt, ended }));
        Ok(Self { damage, check })
    }

    /// An error from the moment that damage was found.
    pub(super) fn hold(&self) -> Result<(), StoreError> {
        match self.damage.get() {
            None => Ok(()),
            Some(why) => Err(StoreError::Damaged { why: why.clone() }),
        }
    }

    /// Waits for the check to end by itself.
    #[cfg(test)]
    pub(super) fn wait(&self) {
        if let Some(check) = &*self.check.lock() {
            check.ended.recv().unwrap_err();
        }
    }

    /// Breaks a check off that is still under way, so that its snapshot holds nothing up.
    pub(super) fn end(&self) {
        let check = self.check.lock().take();
        let Some(Check { thread, interrupt, ended }) = check else { return };
        loop {
            interrupt.interrupt();
            if ended.recv_timeout(AGAIN).is_err_and(|error| error.is_disconnected()) {
                break;
            }
        }
        if thread.join().is_err() {
            log::error!("catalog: its check ended with a panic");
        }
    }
}

/// The first thing that is wrong with the file.
fn flaw(db: &Connection) -> Result<Option<String>, StoreError> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}

fn look_at_everything(db: &Connection, damage: &OnceLock<String>) {
    // Of this thread alone. What does not work out costs time and nothing else.
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        log::debug!("catalog: its check runs at the usual priority: {error}");
    }
    let why = match flaw(db) {
        Ok(None) => return log::debug!("catalog: the whole file is sound"),
        Ok(Some(why)) | Err(StoreError::Damaged { why }) => why,
        Err(StoreError::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
        {
            return;
        }
        Err(error) => return log::error!("the catalog could not be checked: {error}"),
    };
    log::error!("{}", StoreError::Damaged { why: why.clone() });
    log::error!("the catalog is not used any more: every request of it is refused");
    damage.get_or_init(|| why);
}
