//! A thread that commits one transaction after the other while backups are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cli::error::{Result, failed};

use super::ledger::Ledger;

/// The pause after each commit: busy, but not so busy that nothing else runs on a small machine.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    committed: AtomicI64,
    longest_micros: AtomicU64,
}

/// The running thread. Dropped, it stops.
#[derive(Debug)]
pub(super) struct Writer {
    progress: Arc<Progress>,
    thread: Option<JoinHandle<rusqlite::Result<()>>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The demo has failed and reports why.
        self.stop().ok();
    }
}

fn write(ledger: &mut Ledger, progress: &Progress) -> rusqlite::Result<()> {
    while !progress.stop.load(Ordering::SeqCst) {
        let number = ledger.transactions + 1;
        let start = Instant::now();
        ledger.advance_to(number)?;
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        progress.committed.store(number, Ordering::SeqCst);
        progress.longest_micros.fetch_max(micros, Ordering::SeqCst);
        thread::park_timeout(PAUSE);
    }
    Ok(())
}

impl Writer {
    /// Starts writing; the database is closed when the writer stops.
    pub(super) fn start(mut ledger: Ledger) -> Result<Self> {
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        let thread = thread::Builder::new().name("writer".to_owned());
        let thread = thread.spawn(move || write(&mut ledger, &shared));
        Ok(Self { progress, thread: Some(thread.map_err(failed("starting the writer"))?) })
    }

    /// The number of the last transaction that is certainly committed. An error if the writer failed.
    pub(super) fn committed(&self) -> Result<i64> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(failed("the writer stopped by itself")("a transaction failed"));
        }
        Ok(self.progress.committed.load(Ordering::SeqCst))
    }

    /// The longest that a transaction took since the last call.
    pub(super) fn longest_commit(&self) -> Duration {
        Duration::from_micros(self.progress.longest_micros.swap(0, Ordering::SeqCst))
    }

    /// Stops; returns the number of the last transaction.
    pub(super) fn stop(&mut self) -> Result<i64> {
        self.progress.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join().map_err(|_panic| failed("the writer")("it panicked"))?;
            ended.map_err(failed("the writer's transaction"))?;
        }
        Ok(self.progress.committed.load(Ordering::SeqCst))
    }
}
