//! The thread of the scheduler.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::bell::Bell;

use super::Scheduler;

/// The shortest wait, so that a look that finds nothing is not repeated at once.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The running scheduler. Ended with [`SchedulerThread::stop`].
#[derive(Debug)]
pub struct SchedulerThread {
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl SchedulerThread {
    /// The bell wakes it: a backup that ended may be followed by another one.
    pub fn start(mut scheduler: Scheduler, bell: Arc<Bell>) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, rung) = (Arc::clone(&stopping), Arc::clone(&bell));
        let thread = Builder::new().name("scheduler".to_owned()).spawn(move || {
            while !stop.load(Ordering::Acquire) {
                let seen = rung.count();
                let next = scheduler.tick();
                let wait = next.as_micros().saturating_sub(scheduler.clock.now().as_micros());
                let wait = Duration::from_micros(u64::try_from(wait).unwrap_or(0));
                rung.wait_past(seen, wait.max(SHORTEST_WAIT));
            }
            scheduler.write_counted(true);
        })?;
        Ok(Self { bell, stopping, thread })
    }

    /// Begins nothing more, and waits for what it does now.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
        if self.thread.join().is_err() {
            log::error!("the scheduler had panicked");
        }
    }
}
