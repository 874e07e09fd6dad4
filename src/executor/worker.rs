//! The worker threads, which claim jobs and run them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::domain::with_causes;
use crate::failpoint;

use super::Context;
use super::jobs::{self, POLL};

/// How long after the grace period a job may take to notice that it is cancelled.
const CANCELLED_WITHIN: Duration = Duration::from_secs(10);

/// The running workers. Ended with [`Executor::drain`].
#[derive(Debug)]
pub struct Executor {
    context: Context,
    stopping: Arc<AtomicBool>,
    /// Disconnected once all workers have ended: each holds a sender.
    running: Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

impl Executor {
    /// Starts the workers. [`super::recover`] must have run.
    pub fn start(context: &Context) -> std::io::Result<Self> {
        let (runs, running) = bounded(0);
        let (context, stopping, threads) = (context.clone(), Arc::default(), Vec::new());
        let mut executor = Self { context, stopping, running, threads };
        for number in 0..executor.context.settings.workers.max(1) {
            let (context, stopping) = (executor.context.clone(), Arc::clone(&executor.stopping));
            let runs: Sender<Infallible> = runs.clone();
            let thread = thread::Builder::new().name(format!("executor-{number}"));
            executor.threads.push(thread.spawn(move || {
                work(&context, &stopping);
                drop(runs);
            })?);
        }
        Ok(executor)
    }

    /// Claims nothing more; gives running jobs `grace` to end, then cancels them. False if some did not end:
    /// the next start cleans up after them.
    pub fn drain(self, grace: Duration) -> bool {
        self.stopping.store(true, Ordering::Release);
        self.context.bell.ring();
        let end_within =
            |longest| self.running.recv_timeout(longest) == Err(RecvTimeoutError::Disconnected);
        let ended = end_within(grace) || {
            log::info!("running jobs had {} s to end and are now interrupted", grace.as_secs());
            self.context.cancel.cancel();
            end_within(CANCELLED_WITHIN)
        };
        if ended {
            for thread in self.threads {
                if thread.join().is_err() {
                    log::error!("a worker thread had panicked");
                }
            }
        } else {
            log::warn!("a job did not stop in time; the next start cleans up after it");
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
