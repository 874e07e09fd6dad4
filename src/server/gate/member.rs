//! An open connection, and its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Client, Gate, millis};
use crate::api::{Connection, Entrance};

/// How long a connection may be idle before it may have to make room: a new one needs a moment for its request.
const IDLE: Duration = Duration::from_millis(250);
/// How long a client may not take a part of its answer before its connection may have to make room, if it is the one that
/// has not for longest: a crowd that takes nothing and comes again and again is to leave room for others.
const SLOW: Duration = Duration::from_millis(300);

/// An open connection, as the gate and its stream see it.
#[derive(Debug)]
pub(in crate::server) struct Member {
    pub(in crate::server) connection: Arc<Connection>,
    pub(super) from: Option<Client>,
    /// When a byte was last received or sent, in milliseconds since the gate was made.
    pub(super) progress_ms: AtomicU64,
    /// Whether the client does not take what is sent.
    is_full: AtomicBool,
    must_end: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A place for a connection, free again when dropped.
#[derive(Debug)]
pub(in crate::server) struct Place {
    pub(super) gate: Arc<Gate>,
    pub(in crate::server) member: Arc<Member>,
}

impl Member {
    pub(super) fn new(connection: Connection, from: Option<Client>, now_ms: u64) -> Self {
        Self {
            connection: Arc::new(connection),
            from,
            progress_ms: AtomicU64::new(now_ms),
            is_full: AtomicBool::new(false),
            must_end: AtomicBool::new(false),
            waker: Mutex::default(),
        }
    }

    pub(super) fn is_in_reserve(&self) -> bool {
        self.connection.entrance() == Entrance::Reserve
    }

    pub(super) fn may_end(&self, now_ms: u64) -> bool {
        let idle_ms = now_ms.saturating_sub(self.progress_ms.load(Ordering::Relaxed));
        let patience = if self.is_full.load(Ordering::Relaxed) { SLOW } else { IDLE };
        !self.connection.is_busy() && idle_ms >= millis(patience)
    }

    pub(super) fn end(&self) {
        self.must_end.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    pub(in crate::server) fn must_end(&self) -> bool {
        self.must_end.load(Ordering::Acquire)
    }

    /// Whom to wake if it has to end.
    pub(in crate::server) fn on_end(&self, waker: &Waker) {
        let mut known = self.waker.lock();
        if known.as_ref().is_none_or(|it| !it.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    pub(in crate::server) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }
}

impl Place {
    /// A byte was received or sent.
    pub(in crate::server) fn progress(&self) {
        self.member.progress_ms.store(self.gate.now_ms(), Ordering::Relaxed);
    }

    /// The buffers of the connection held so many bytes `before`, and hold so many `now`. Returns those of all connections.
    pub(in crate::server) fn change_held(&self, before: usize, now: usize) -> usize {
        let held = &self.gate.held_bytes;
        if before > now {
            held.fetch_sub(before.saturating_sub(now), Ordering::Relaxed);
        } else {
            held.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        }
        held.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.open.lock().remove(&self.member.connection.number());
    }
}
