//! A signal for waiting threads. It is counted, so that none is lost between checking for work and waiting.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Wakes threads that wait for work.
#[derive(Debug, Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// How often it has rung. Read this *before* checking for work.
    pub fn count(&self) -> u64 {
        *self.rings.lock()
    }

    /// Wakes every waiting thread.
    pub fn ring(&self) {
        *self.rings.lock() += 1;
        self.rung.notify_all();
    }

    /// Waits until it has rung more than `seen` times, for `timeout` at most; returns whether it has.
    pub fn wait_past(&self, seen: u64, timeout: Duration) -> bool {
        let mut rings = self.rings.lock();
        !self.rung.wait_while_for(&mut rings, |rings| *rings <= seen, timeout).timed_out()
    }
}
