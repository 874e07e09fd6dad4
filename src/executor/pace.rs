//! How fast sources are read, so that the machine's real work goes on: bytes a second that all backups
//! together keep to.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::Cancel;

/// What may be read at once after a pause, as time at the full rate.
const BURST: Duration = Duration::from_millis(100);

/// How often somebody who waits looks whether to go on at all.
const LOOK: Duration = Duration::from_millis(50);

/// A limit shared by everything that reads sources.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: u64,
    began: Instant,
    /// From when on the next byte may be read, since the beginning.
    free_at: Mutex<Duration>,
    /// Never rung: waiting for it is waiting for time to pass.
    never: Condvar,
}

impl Pace {
    /// A limit in MiB a second; 0: none.
    pub fn mib_per_second(limit: u64) -> Self {
        Self {
            bytes_per_second: limit.saturating_mul(1 << 20),
            began: Instant::now(),
            free_at: Mutex::default(),
            never: Condvar::new(),
        }
    }

    /// Counts bytes that were read, and waits as long as they were too many, or until cancelled.
    pub(super) fn keep(&self, bytes: u64, cancel: &Cancel) {
        if self.bytes_per_second == 0 {
            return;
        }
        let go_on = self.take(bytes, self.began.elapsed());
        let mut guard = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        while !cancel.is_asked() {
            let left = go_on.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return;
            }
            let woken = self.never.wait_timeout(guard, left.min(LOOK));
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes bytes at the time `now`; says when to go on. What was not used a while ago is lost, but for
    /// the burst.
    fn take(&self, bytes: u64, now: Duration) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(now.saturating_sub(BURST)).saturating_add(cost);
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bytes_take_the_time_that_the_limit_gives_them_whoever_reads_them() {
        let pace = Pace::mib_per_second(10);
        let start = 5 * SECOND;
        // The burst is there at first: a tenth of a second's worth costs nothing.
        assert_eq!(pace.take(1 << 20, start), start);
        // From then on a MiB is a tenth of a second, also when two ask at the same instant.
        assert_eq!(pace.take(1 << 20, start), start + SECOND / 10);
        assert_eq!(pace.take(5 << 20, start), start + 6 * SECOND / 10);
        // Time that passed unused is not saved up beyond the burst.
        assert_eq!(pace.take(2 << 20, 60 * SECOND), 60 * SECOND + SECOND / 10);
    }

    #[test]
    fn without_a_limit_or_after_a_cancel_nobody_waits() {
        let (free, cancelled) = (Cancel::default(), Cancel::default());
        cancelled.ask();
        let before = Instant::now();
        Pace::mib_per_second(0).keep(u64::MAX, &free);
        Pace::mib_per_second(1).keep(1 << 40, &cancelled);
        assert!(before.elapsed() < 60 * SECOND);
    }
}
