//! How many read at once. The pool opens a connection for whoever finds none free, which takes longer than most reads and some
//! hundred KiB of memory for as long as it is open. So a crowd waits for a moment for those that read.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Those that read now.
#[derive(Debug)]
pub(super) struct Readers {
    /// So many read at once without a wait.
    few: usize,
    /// How long to wait before one more reads beside them: they read much, or the one that waits holds up one of them.
    moment: Duration,
    reading: Mutex<usize>,
    left: Condvar,
}

/// One that reads, until it is dropped.
#[derive(Debug)]
pub(super) struct Reading<'r>(&'r Readers);

impl Readers {
    pub(super) const fn new(few: usize, moment: Duration) -> Self {
        Self { few, moment, reading: Mutex::new(0), left: Condvar::new() }
    }

    /// Begins to read, at once or when others ended, and in any case after a moment.
    pub(super) fn enter(&self) -> Reading<'_> {
        let mut reading = self.reading.lock();
        if *reading >= self.few {
            let until = Instant::now().checked_add(self.moment).unwrap_or_else(Instant::now);
            while *reading >= self.few && !self.left.wait_until(&mut reading, until).timed_out() {}
        }
        *reading = reading.saturating_add(1);
        Reading(self)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut reading = self.0.reading.lock();
        *reading = reading.saturating_sub(1);
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_crowd_reads_a_few_at_a_time() {
        let readers = Readers::new(2, Duration::from_secs(3600));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _thread in 0..8 {
                scope.spawn(|| {
                    for _read in 0..200 {
                        let _reading = readers.enter();
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn after_a_moment_one_more_reads() {
        let readers = Readers::new(1, Duration::from_millis(1));
        let _outer = readers.enter();
        let inner = readers.enter();
        drop(inner);
        assert_eq!(*readers.reading.lock(), 1);
    }
}
