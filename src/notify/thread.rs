//! The thread that checks what is wrong, and queues messages for the channels.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::bell::Bell;

use super::Notifier;
use super::outbox::Outbox;

/// The shortest wait, so that a look that finds nothing is not repeated at once.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// How long a stop waits for receivers that do not answer.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The running thread. Ended with [`NotifyThread::stop`].
#[derive(Debug)]
pub struct NotifyThread {
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    outbox: Outbox,
}

impl NotifyThread {
    /// The bell wakes it: something happened that there may be something to say of.
    pub fn start(mut notifier: Notifier, bell: Arc<Bell>) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, rung) = (Arc::clone(&stopping), Arc::clone(&bell));
        let outbox = notifier.outbox.clone();
        let thread = Builder::new().name("notify".to_owned()).spawn(move || {
            while !stop.load(Ordering::Acquire) {
                let seen = rung.count();
                let next = notifier.tick();
                let wait = next.as_micros().saturating_sub(notifier.clock.now().as_micros());
                let wait = Duration::from_micros(u64::try_from(wait).unwrap_or(0));
                rung.wait_past(seen, wait.max(SHORTEST_WAIT));
            }
        })?;
        Ok(Self { bell, stopping, thread, outbox })
    }

    /// Begins nothing more, and waits for what it does now, but not long for receivers.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
        if self.thread.join().is_err() {
            log::error!("the thread of alerts had panicked");
        }
        self.outbox.stop(STOP_TIMEOUT);
    }
}
