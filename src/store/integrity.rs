//! Checks the complete database file of the catalog when it is opened: SQLite reads every page of it.
//!
//! A small catalog is checked before it is used. A large one would delay the start (0.2 s per 100 MiB), so a
//! thread checks it beside the work; once that finds damage, every read and write is refused.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};

use super::open;
use super::place::{Place, unreachable};
use super::{Result, StoreError};

/// Files up to this length are checked before they are used, which takes some milliseconds.
const MAX_CHECKED_BEFORE_USE: u64 = 8 << 20;

/// After how many steps of SQLite's virtual machine a check looks whether the catalog is being closed.
const STEPS: i32 = 10_000;

#[derive(Debug)]
pub(super) struct IntegrityCheck {
    damage: Arc<OnceLock<String>>,
    closing: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl IntegrityCheck {
    /// Checks the file: now if it is small, else in a thread.
    pub(super) fn start(place: &Place) -> Result<Self> {
        let path = place.path();
        let unreachable = |source| unreachable(path, source);
        let (damage, closing) = (Arc::<OnceLock<String>>::default(), Arc::<AtomicBool>::default());
        let db = open::for_checking(place)?;
        if std::fs::metadata(path).map_err(unreachable)?.len() <= MAX_CHECKED_BEFORE_USE {
            check(&db)?;
            return Ok(Self { damage, closing, thread: Mutex::default() });
        }
        let stop = Arc::clone(&closing);
        db.progress_handler(STEPS, Some(move || stop.load(Ordering::Relaxed)))?;
        let found = Arc::clone(&damage);
        let thread = Builder::new().name("store-check".to_owned());
        let thread = thread.spawn(move || check_beside_work(&db, &found)).map_err(unreachable)?;
        Ok(Self { damage, closing, thread: Mutex::new(Some(thread)) })
    }

    /// Remembers the damage that this error of a read or a write is about, if it is.
    pub(super) fn note(damage: &OnceLock<String>, error: &(dyn Error + 'static)) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(StoreError::Damaged { why }) = error.downcast_ref() {
                note(damage, why.clone());
            }
            cause = error.source();
        }
    }

    /// Fails once damage was found.
    pub(super) fn refuse_damaged(damage: &OnceLock<String>) -> Result<()> {
        damage.get().map_or(Ok(()), |why| Err(StoreError::Damaged { why: why.clone() }))
    }

    /// Holds the damage, once it is found.
    pub(super) const fn damage(&self) -> &Arc<OnceLock<String>> {
        &self.damage
    }

    /// Ends a check that still runs, because its read transaction would prevent the checkpoint of the write-ahead
    /// log.
    pub(super) fn stop(&self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            log::error!("catalog: its check ended with a panic");
        }
    }
}

fn note(damage: &OnceLock<String>, why: String) {
    if damage.get().is_none() {
        log::error!("{}; it is not used any more", StoreError::Damaged { why: why.clone() });
    }
    damage.get_or_init(|| why);
}

fn check(db: &Connection) -> Result<()> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged { why: verdict }) }
}

fn check_beside_work(db: &Connection, damage: &OnceLock<String>) {
    // The lowest priority, for this thread alone. If that fails, the check runs at the normal one.
    rustix::process::setpriority_process(None, 19).ok();
    match check(db) {
        Ok(()) => log::debug!("catalog: the file is sound"),
        Err(StoreError::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {}
        Err(StoreError::Damaged { why }) => {
            note(damage, why);
        }
        Err(error) => log::error!("the catalog could not be checked: {error}"),
    }
}
