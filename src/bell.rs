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
pub struct Changes(watch::Sender<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    count: u64,
    goes_on: bool,
}

/// Hears of changes from now on. However many there were since it was asked last, they are one.
#[derive(Debug)]
pub struct Follower(watch::Receiver<State>);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::Sender::new(State { count: 0, goes_on: true }))
    }
}

impl Changes {
    /// Something changed.
    pub fn note(&self) {
        self.0.send_modify(|state| state.count += 1);
    }

    /// The server stops: whoever follows gets the end.
    pub fn end(&self) {
        self.0.send_modify(|state| state.goes_on = false);
    }

    /// How many changes there were. Read this *before* what a page shows.
    pub fn count(&self) -> u64 {
        self.0.borrow().count
    }

    pub fn follow(&self) -> Follower {
        Follower(self.0.subscribe())
    }

    /// Hears at once of a change if there were others than these `seen` ones.
    pub fn follow_past(&self, seen: u64) -> Follower {
        let mut receiver = self.0.subscribe();
        if receiver.borrow().count != seen {
            receiver.mark_changed();
        }
        Follower(receiver)
    }
}

impl Follower {
    /// Waits for the next change; false: there will be none.
    pub async fn next(&mut self) -> bool {
        let goes_on = self.0.borrow().goes_on;
        goes_on && self.0.changed().await.is_ok() && self.0.borrow_and_update().goes_on
    }

    /// Takes what has changed until now as heard of.
    pub fn forget(&mut self) {
        self.0.mark_unchanged();
    }
}

#[cfg(test)]
mod tests {
    use actix_web::rt::time::timeout;

    use super::*;

    #[actix_web::test]
    async fn a_change_between_reading_and_following_is_heard_of_and_one_before_is_not() {
        let changes = Changes::default();
        changes.note();
        let seen = changes.count();
        let soon = Duration::from_millis(20);
        let mut nothing_new = changes.follow_past(seen);
        assert!(timeout(soon, nothing_new.next()).await.is_err());
        changes.note();
        assert!(changes.follow_past(seen).next().await);
        assert!(nothing_new.next().await, "and of one that came later");
        let mut late = changes.follow_past(changes.count());
        changes.end();
        assert!(!late.next().await);
    }
}
