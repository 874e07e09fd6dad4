//! The worker threads, which claim jobs and run them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::domain::with_causes;
use crate::failpoint;

use super::Context;
use super::jobs::{self, POLL};

/// How long after the grace period a job may take to notice that it is cancelled.
const CANCELLED_WITHIN: Duration = Duration::from_secs(10);

/// How many workers still run.
#[derive(Debug, Default)]
struct Running {
    workers: Mutex<usize>,
    changed: Condvar,
}

impl Running {
    fn add(&self) {
        *self.workers.lock() += 1;
    }

    fn done(&self) {
        *self.workers.lock() -= 1;
        self.changed.notify_all();
    }

    /// True when all have ended within `longest`.
    fn wait(&self, longest: Duration) -> bool {
        let mut workers = self.workers.lock();
        !self.changed.wait_while_for(&mut workers, |workers| *workers > 0, longest).timed_out()
    }
}

/// The running workers. Ended with [`Executor::drain`].
pub struct Executor {
    context: Context,
    stopping: Arc<AtomicBool>,
    running: Arc<Running>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Executor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Executor").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Executor {
    /// Starts the workers. [`super::recover`] must have run.
    pub fn start(context: &Context) -> std::io::Result<Self> {
        let mut executor = Self {
            context: context.clone(),
            stopping: Arc::default(),
            running: Arc::default(),
            threads: Vec::new(),
        };
        for number in 0..context.settings.workers.max(1) {
            let (context, stopping) = (context.clone(), Arc::clone(&executor.stopping));
            let running = Arc::clone(&executor.running);
            running.add();
            let thread =
                thread::Builder::new().name(format!("executor-{number}")).spawn(move || {
                    work(&context, &stopping);
                    running.done();
                })?;
            executor.threads.push(thread);
        }
        Ok(executor)
    }

    /// Claims nothing more; gives running jobs `grace` to end, then cancels them. False if some did not end:
    /// the next start puts them in order.
    pub fn drain(self, grace: Duration) -> bool {
        self.stopping.store(true, Ordering::Release);
        self.context.bell.ring();
        let ended = self.running.wait(grace) || {
            log::info!("running jobs had {} s to end and are now interrupted", grace.as_secs());
            self.context.cancel.cancel();
            self.running.wait(CANCELLED_WITHIN)
        };
        if ended {
            for thread in self.threads {
                if thread.join().is_err() {
                    log::error!("a worker thread had panicked");
                }
            }
        } else {
            log::warn!("a job did not stop in time; the next start puts it in order");
        }
        ended
    }
}

fn work(context: &Context, stopping: &AtomicBool) {
    lower_priority(context.settings.nice);
    while !stopping.load(Ordering::Acquire) {
        let seen = context.bell.count();
        match context.catalog.claim() {
            Ok(Some(job)) => {
                failpoint::at("after-claim");
                jobs::run(context, job);
            }
            Ok(None) => {
                jobs::empty_trash(context);
                context.bell.wait_past(seen, POLL);
            }
            Err(error) => {
                log::error!("cannot claim work: {}", with_causes(&error));
                context.bell.wait_past(seen, POLL);
            }
        }
    }
}

/// Lowers the priority of this thread for processors and, as the kernel derives it, for the disk. On Linux
/// threads and tools that its jobs start inherit it; threads that answer requests do not.
fn lower_priority(nice: i32) {
    if nice > 0
        && let Err(error) = rustix::process::setpriority_process(None, nice)
    {
        log::warn!("jobs run at the usual priority, executor.nice = {nice} was refused: {error}");
    }
}
