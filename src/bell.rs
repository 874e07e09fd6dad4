//! A bell that workers wait on: counted, so that a ring between looking for work and waiting is not lost.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Tells waiting threads that there may be something to do.
#[derive(Debug, Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// How often it rang. Read this *before* looking for work.
    pub fn count(&self) -> u64 {
        *self.rings.lock()
    }

    /// Wakes every thread that waits.
    pub fn ring(&self) {
        *self.rings.lock() += 1;
        self.rung.notify_all();
    }

    /// Waits until it rang more than `seen` times, at most `longest`. True if it rang.
    pub fn wait_past(&self, seen: u64, longest: Duration) -> bool {
        let mut rings = self.rings.lock();
        !self.rung.wait_while_for(&mut rings, |rings| *rings <= seen, longest).timed_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let bell = Bell::default();
        let seen = bell.count();
        bell.ring();
        assert!(bell.wait_past(seen, Duration::ZERO));
        assert!(!bell.wait_past(bell.count(), Duration::ZERO));
    }
}
