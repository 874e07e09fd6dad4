//! The writer: commits one transaction after the other while backups are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::cli::CommandError;

use super::failed;
use super::ledger::Ledger;

/// The pause after each commit: busy, but not so busy that nothing else runs on a small machine.
const PACE: Duration = Duration::from_millis(1);

/// What the writer tells while it runs.
#[derive(Debug, Default)]
struct Told {
    begun: AtomicI64,
    committed: AtomicI64,
    longest_us: AtomicU64,
}

/// A thread that writes until it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Writer {
    told: Arc<Told>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<rusqlite::Result<()>>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Only a tour that failed comes here, and it says why.
            thread.join().ok();
        }
    }
}

impl Writer {
    /// Starts writing; the database is closed when it stops.
    pub(super) fn start(mut ledger: Ledger) -> Result<Self, CommandError> {
        let told = Arc::new(Told::default());
        let (stop, asked) = bounded::<()>(0);
        let tell = Arc::clone(&told);
        let thread = thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                loop {
                    let number = ledger.next();
                    tell.begun.store(number, Ordering::SeqCst);
                    let start = Instant::now();
                    ledger.commit_next()?;
                    let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                    tell.committed.store(number, Ordering::SeqCst);
                    tell.longest_us.fetch_max(took, Ordering::SeqCst);
                    match asked.recv_timeout(PACE) {
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                }
            })
            .map_err(failed("starting the writer"))?;
        Ok(Self { told, stop: Some(stop), thread: Some(thread) })
    }

    /// The number of the last transaction that is certainly committed.
    pub(super) fn committed(&self) -> i64 {
        self.told.committed.load(Ordering::SeqCst)
    }

    /// The number of the last transaction that can be committed by now.
    pub(super) fn begun(&self) -> i64 {
        self.told.begun.load(Ordering::SeqCst)
    }

    /// The longest that one transaction took since this was asked last.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(self.told.longest_us.swap(0, Ordering::SeqCst))
    }

    /// Whether it still writes; a writer that stopped by itself met an error.
    pub(super) fn is_writing(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops it; gives the number of the last transaction.
    pub(super) fn stop(&mut self) -> Result<i64, CommandError> {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .map_err(|_panic| CommandError::Failed("the writer panicked".to_owned()))?
                .map_err(failed("the writer's transaction"))?;
        }
        Ok(self.committed())
    }
}
