//! Access lines, many to one write: a busy server tells of tens of thousands of requests a second, and a
//! system call for each would cost more than most of the answers.
//!
//! A thread of their own writes them, so that nobody who answers requests waits for a slow reader of the
//! log, until very many lines wait. A line waits 20 ms at most. Any other line brings those before it out
//! first, so the order of the log is the order of events; a process that is killed takes what waited with
//! it.

use std::io;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// What is written at once, however short the time.
const FULL: usize = 32 << 10;

/// What may wait at most: whoever brings more writes it himself, and waits as long as that takes.
const MOST: usize = 256 << 10;

/// The longest that a line waits.
const WAIT: Duration = Duration::from_millis(20);

/// Lines that wait.
#[derive(Debug, Default)]
struct Batch {
    lines: Mutex<Vec<u8>>,
    /// Rung when the first line waits, and when a write is full.
    due: Condvar,
    /// Those that are being written. Locked before `lines` by whoever locks both.
    leaving: Mutex<Vec<u8>>,
}

/// The one of this process, from the first line on; `None`: there is no thread to bring lines out.
static BATCH: OnceLock<Option<&'static Batch>> = OnceLock::new();

/// Takes a line. False: it has to be written in the usual way.
pub(super) fn take(line: &str) -> bool {
    let Some(batch) = BATCH.get_or_init(start) else { return false };
    if batch.add(line.as_bytes()) {
        batch.bring_out(&mut io::stderr());
    }
    true
}

/// Writes what waits.
pub(super) fn flush() {
    if let Some(Some(batch)) = BATCH.get() {
        batch.bring_out(&mut io::stderr());
    }
}

impl Batch {
    /// Whether too many lines wait now.
    fn add(&self, line: &[u8]) -> bool {
        let mut lines = locked(&self.lines);
        let before = lines.len();
        lines.extend_from_slice(line);
        if before == 0 || (before < FULL && lines.len() >= FULL) {
            self.due.notify_one();
        }
        lines.len() >= MOST
    }

    fn run(&self) {
        loop {
            let lines = self.due.wait_while(locked(&self.lines), |lines| lines.is_empty());
            let lines = lines.unwrap_or_else(PoisonError::into_inner);
            drop(self.due.wait_timeout_while(lines, WAIT, |lines| lines.len() < FULL));
            self.bring_out(&mut io::stderr());
        }
    }

    /// Nobody can be told that the log takes nothing.
    fn bring_out(&self, to: &mut impl io::Write) {
        let mut leaving = locked(&self.leaving);
        mem::swap(&mut *leaving, &mut *locked(&self.lines));
        drop(to.write_all(&leaving));
        leaving.clear();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> Option<&'static Batch> {
    let batch: &'static Batch = Box::leak(Box::default());
    let thread = Builder::new().name("log".to_owned()).stack_size(64 << 10);
    thread.spawn(|| batch.run()).ok().map(|_runs_as_long_as_the_process| batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_leave_once_and_in_order_and_too_many_are_told_of() {
        let (batch, mut log) = (Batch::default(), Vec::new());
        assert!(!batch.add(b"one\n"));
        assert!(!batch.add(b"two\n"));
        batch.bring_out(&mut log);
        batch.bring_out(&mut log);
        assert!(!batch.add(b"three\n"));
        batch.bring_out(&mut log);
        assert_eq!(log, b"one\ntwo\nthree\n");
        let line = [b'x'; 1 << 10];
        let told = (0..MOST >> 10).map(|_line| batch.add(&line)).filter(|full| *full).count();
        assert_eq!(told, 1);
    }
}
