//! Signals: for threads that wait for work, and for pages that show what changes. They are counted, so that none is
//! lost between looking and waiting.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

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

/// Says to whoever follows that something changed. Nobody has to.
#[derive(Debug)]
pub struct Changes(watch::Sender<bool>);

/// Hears of changes from now on. However many there were since it was asked last, they are one.
#[derive(Debug)]
pub struct Follower(watch::Receiver<bool>);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Changes {
    /// Something changed.
    pub fn note(&self) {
        self.0.send_modify(|_goes_on| {});
    }

    /// The server stops: whoever follows gets the end.
    pub fn end(&self) {
        self.0.send_replace(false);
    }

    pub fn follow(&self) -> Follower {
        Follower(self.0.subscribe())
    }
}

impl Follower {
    /// Waits for the next change; false: there will be none.
    pub async fn next(&mut self) -> bool {
        let goes_on = *self.0.borrow();
        goes_on && self.0.changed().await.is_ok() && *self.0.borrow_and_update()
    }

    /// Takes what has changed until now as heard of.
    pub fn forget(&mut self) {
        self.0.mark_unchanged();
    }
}
