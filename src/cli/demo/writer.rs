//! A thread that commits one transaction after the other while backups are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::cli::error::{CommandError, failed};

use super::ledger::Ledger;

/// The pause after each commit: busy, but not so busy that nothing else runs on a small machine.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
struct Progress {
    begun: AtomicI64,
    committed: AtomicI64,
    longest_micros: AtomicU64,
}

/// The running thread. Dropped, it stops.
#[derive(Debug)]
pub(super) struct Writer {
    progress: Arc<Progress>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<rusqlite::Result<()>>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The demo has failed and reports why.
        self.stop().ok();
    }
}

impl Writer {
    /// Starts writing; the database is closed when the writer stops.
    pub(super) fn start(mut ledger: Ledger) -> Result<Self, CommandError> {
        let progress = Arc::new(Progress::default());
        let (stop, stopped) = bounded::<()>(0);
        let shared = Arc::clone(&progress);
        let write = move || {
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let number = ledger.transactions() + 1;
                shared.begun.store(number, Ordering::SeqCst);
                let start = Instant::now();
                ledger.advance_to(number)?;
                let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                shared.committed.store(number, Ordering::SeqCst);
                shared.longest_micros.fetch_max(micros, Ordering::SeqCst);
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(write);
        let thread = thread.map_err(failed("starting the writer"))?;
        Ok(Self { progress, stop: Some(stop), thread: Some(thread) })
    }

    /// The number of the last transaction that is certainly committed. An error if the writer failed.
    pub(super) fn committed(&self) -> Result<i64, CommandError> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            let why = "the writer stopped by itself: a transaction failed";
            return Err(CommandError::Failed(why.to_owned()));
        }
        Ok(self.progress.committed.load(Ordering::SeqCst))
    }

    /// The number of the last transaction that may be committed by now.
    pub(super) fn begun(&self) -> i64 {
        self.progress.begun.load(Ordering::SeqCst)
    }

    /// The longest that a transaction took since the last call.
    pub(super) fn longest_commit(&self) -> Duration {
        Duration::from_micros(self.progress.longest_micros.swap(0, Ordering::SeqCst))
    }

    /// Stops; returns the number of the last transaction.
    pub(super) fn stop(&mut self) -> Result<i64, CommandError> {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join().map_err(|_panic| "it panicked");
            ended.map_err(failed("the writer"))?.map_err(failed("the writer's transaction"))?;
        }
        Ok(self.progress.committed.load(Ordering::SeqCst))
    }
}
