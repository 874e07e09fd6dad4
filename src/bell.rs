//! A bell that workers wait on: counted, so that a ring between a look and a wait is not lost.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tells waiting threads that there may be something to do.
#[derive(Debug, Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it rang. Read this *before* looking for work.
    pub fn count(&self) -> u64 {
        *self.lock()
    }

    /// Wakes everybody.
    pub fn ring(&self) {
        *self.lock() += 1;
        self.rung.notify_all();
    }

    /// Waits until it rang more than `seen` times, at most `longest`. True if it rang.
    pub fn wait_past(&self, seen: u64, longest: Duration) -> bool {
        let guard = self.lock();
        let (guard, timeout) = self
            .rung
            .wait_timeout_while(guard, longest, |rings| *rings <= seen)
            .unwrap_or_else(PoisonError::into_inner);
        drop(guard);
        !timeout.timed_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_between_the_look_and_the_wait_is_heard() {
        let bell = Bell::default();
        let seen = bell.count();
        bell.ring();
        assert!(bell.wait_past(seen, Duration::ZERO));
        assert!(!bell.wait_past(bell.count(), Duration::ZERO));
    }
}
