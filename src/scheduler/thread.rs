//! The threads of the scheduler and of retention.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::bell::Bell;

use super::{LONGEST_WAIT, Retention, Scheduler};

/// The shortest wait, so that a look that finds nothing is not repeated at once.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The nice value of retention.
const NICE: i32 = 10;

/// The running scheduler. Ended with [`SchedulerThread::stop`].
#[derive(Debug)]
pub struct SchedulerThread {
    bell: Arc<Bell>,
    retention: Arc<Retention>,
    stopping: Arc<AtomicBool>,
    threads: [JoinHandle<()>; 2],
}

impl SchedulerThread {
    /// The bell wakes it: a backup that ended may be followed by another one.
    pub fn start(scheduler: Scheduler, bell: Arc<Bell>) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let retention = scheduler.retention();
        let threads = [
            start_retention(Arc::clone(&retention), Arc::clone(&stopping))?,
            start_scheduler(scheduler, Arc::clone(&bell), Arc::clone(&stopping))?,
        ];
        Ok(Self { bell, retention, stopping, threads })
    }

    /// Begins nothing more, and waits for what they do now.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
        self.retention.bell.ring();
        for thread in self.threads {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                log::error!("the thread {name} had panicked");
            }
        }
    }
}

fn start_scheduler(
    mut scheduler: Scheduler,
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name("scheduler".to_owned()).spawn(move || {
        while !stopping.load(Ordering::Acquire) {
            let seen = bell.count();
            let next = scheduler.tick();
            let wait = next.as_micros().saturating_sub(scheduler.clock.now().as_micros());
            let wait = Duration::from_micros(u64::try_from(wait).unwrap_or(0));
            bell.wait_past(seen, wait.max(SHORTEST_WAIT));
        }
        scheduler.write_last_counted();
    })
}

fn start_retention(
    retention: Arc<Retention>,
    stopping: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name("retention".to_owned()).spawn(move || {
        // Nobody waits for it, and after a start it looks at all there is: those who ask meanwhile are answered first. Where
        // that is refused, it goes on as it is.
        rustix::process::setpriority_process(None, NICE).ok();
        while !stopping.load(Ordering::Acquire) {
            let seen = retention.bell.count();
            if !retention.work_one() {
                retention.bell.wait_past(seen, LONGEST_WAIT);
            }
        }
    })
}
