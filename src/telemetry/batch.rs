//! Access lines, many to one write: a busy server tells of tens of thousands of requests a second, and a
//! system call for each would cost more than most of the answers.
//!
//! A line waits 20 ms at most. Any other line brings those before it out first, so the order of the log
//! is the order of events; a process that is killed takes what waited with it.

use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// What is written at once, however short the time.
const FULL: usize = 16 << 10;

/// The longest that a line waits.
const WAIT: Duration = Duration::from_millis(20);

/// Lines that wait.
#[derive(Debug, Default)]
struct Batch {
    lines: Mutex<Vec<u8>>,
    begun: Condvar,
}

/// The one of this process, from the first line on; `None`: there is no thread to bring lines out.
static BATCH: OnceLock<Option<&'static Batch>> = OnceLock::new();

/// Takes a line. False: it has to be written in the usual way.
pub(super) fn take(line: &str) -> bool {
    let Some(batch) = BATCH.get_or_init(start) else { return false };
    let mut lines = batch.lock();
    if lines.is_empty() {
        batch.begun.notify_one();
    }
    lines.extend_from_slice(line.as_bytes());
    if lines.len() >= FULL {
        bring_out(&mut lines);
    }
    true
}

/// Writes what waits.
pub(super) fn flush() {
    if let Some(Some(batch)) = BATCH.get() {
        bring_out(&mut batch.lock());
    }
}

impl Batch {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let lines = self.begun.wait_while(self.lock(), |lines| lines.is_empty());
            let lines = lines.unwrap_or_else(PoisonError::into_inner);
            // Nobody rings while lines wait, so that this ends when the time is over.
            let waited = self.begun.wait_timeout(lines, WAIT);
            bring_out(&mut waited.unwrap_or_else(PoisonError::into_inner).0);
        }
    }
}

fn start() -> Option<&'static Batch> {
    let batch: &'static Batch = Box::leak(Box::default());
    let thread = Builder::new().name("log".to_owned()).stack_size(64 << 10);
    thread.spawn(|| batch.run()).ok().map(|_runs_as_long_as_the_process| batch)
}

/// Nobody can be told that stderr takes nothing.
fn bring_out(lines: &mut Vec<u8>) {
    drop(io::stderr().lock().write_all(lines));
    lines.clear();
}
