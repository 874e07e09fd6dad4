//! How fast sources are read, so that the machine's other work goes on: a limit in bytes a second that
//! all backups share.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::domain::Cancel;

/// After a pause, as much may be read at once as the limit allows in this time.
const BURST: Duration = Duration::from_millis(100);

/// How often a reader that waits checks whether it was cancelled.
const CHECK_CANCEL: Duration = Duration::from_millis(50);

/// A limit shared by everything that reads sources.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: u64,
    began: Instant,
    /// The time since `began` at which the next byte may be read.
    free_at: Mutex<Duration>,
    /// Never notified: waiting on it is a sleep that releases the lock.
    timer: Condvar,
}

impl Pace {
    /// A limit in MiB a second; 0 for none.
    pub fn mib_per_second(limit: u64) -> Self {
        Self {
            bytes_per_second: limit.saturating_mul(1 << 20),
            began: Instant::now(),
            free_at: Mutex::default(),
            timer: Condvar::new(),
        }
    }

    /// A limit in KiB a second; 0 for none.
    pub fn kib_per_second(limit: u64) -> Self {
        Self { bytes_per_second: limit.saturating_mul(1 << 10), ..Self::mib_per_second(0) }
    }

    /// Counts bytes that were read, and waits until the limit allows more, or until cancelled.
    pub(super) fn wait_for_turn(&self, bytes: u64, cancel: &Cancel) {
        if self.bytes_per_second == 0 {
            return;
        }
        let free_at = self.book(bytes, self.began.elapsed());
        let mut guard = self.free_at.lock();
        while !cancel.is_cancelled() {
            let left = free_at.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return;
            }
            self.timer.wait_for(&mut guard, left.min(CHECK_CANCEL));
        }
    }

    /// Books bytes at the time `now` and returns when the next may be read. Time that passed unused is saved up
    /// only as far as the burst.
    fn book(&self, bytes: u64, now: Duration) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock();
        *free_at = (*free_at).max(now.saturating_sub(BURST)).saturating_add(cost);
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn all_readers_together_keep_to_the_limit() {
        let pace = Pace::mib_per_second(10);
        let start = 5 * SECOND;
        // At first a burst is allowed: a tenth of a second's worth costs nothing.
        assert_eq!(pace.book(1 << 20, start), start);
        // From then on a MiB takes a tenth of a second, also when two readers come at once.
        assert_eq!(pace.book(1 << 20, start), start + SECOND / 10);
        assert_eq!(pace.book(5 << 20, start), start + 6 * SECOND / 10);
        // Time that passed unused is not saved up beyond the burst.
        assert_eq!(pace.book(2 << 20, 60 * SECOND), 60 * SECOND + SECOND / 10);
    }

    #[test]
    fn without_a_limit_or_after_a_cancel_no_reader_waits() {
        let (free, cancelled) = (Cancel::default(), Cancel::default());
        cancelled.cancel();
        let before = Instant::now();
        Pace::mib_per_second(0).wait_for_turn(u64::MAX, &free);
        Pace::mib_per_second(1).wait_for_turn(1 << 40, &cancelled);
        assert!(before.elapsed() < 60 * SECOND);
    }
}
