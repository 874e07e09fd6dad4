//! The worker threads, which claim jobs and run them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::catalog::Lane;
use crate::domain::{Cancel, with_causes};
use crate::failpoint;

use super::jobs::{self, POLL};
use super::{Context, Pace, copies, recover, scrub};

/// How long after the grace period a job may take to notice that it is cancelled.
const CANCELLED_WITHIN: Duration = Duration::from_secs(10);

/// The nice value of what yields to everything.
const LOWEST: i32 = 19;

/// The running workers. Ended with [`Executor::drain`].
#[derive(Debug)]
pub struct Executor {
    context: Context,
    /// Cancels drills and copies, which go on after the next start: a stop does not wait for them.
    drills: Cancel,
    stopping: Arc<AtomicBool>,
    /// Disconnected once all workers have ended: each holds a sender.
    running: Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

impl Executor {
    /// Starts the workers. [`super::settle`] must have run.
    pub fn start(context: &Context) -> std::io::Result<Self> {
        let (runs, running) = bounded(0);
        let drills = context.cancel.child();
        let (context, stopping, threads) = (context.clone(), Arc::default(), Vec::new());
        let mut executor = Self { context, drills, stopping, running, threads };
        for number in 0..executor.context.settings.workers.max(1) {
            executor.spawn(format!("executor-{number}"), Lane::Work, &runs)?;
        }
        executor.spawn("drills".to_owned(), Lane::Drills, &runs)?;
        executor.spawn("removals".to_owned(), Lane::Removals, &runs)?;
        if let Some(pace) = executor.context.settings.scrub.clone() {
            executor.spawn_scrub(pace, &runs)?;
        }
        if !executor.context.places.is_empty() {
            executor.spawn_copies(runs)?;
        }
        Ok(executor)
    }

    /// Reads archives again, with the lowest priority. A stop does not wait for it.
    fn spawn_scrub(&mut self, pace: Arc<Pace>, runs: &Sender<Infallible>) -> std::io::Result<()> {
        let context = Context { cancel: self.drills.clone(), ..self.context.clone() };
        let (stopping, runs) = (Arc::clone(&self.stopping), runs.clone());
        self.threads.push(thread::Builder::new().name("scrub".to_owned()).spawn(move || {
            lower_priority(LOWEST);
            scrub::work(&context, &pace, &stopping);
            drop(runs);
        })?);
        Ok(())
    }

    fn spawn(
        &mut self,
        name: String,
        lane: Lane,
        runs: &Sender<Infallible>,
    ) -> std::io::Result<()> {
        let cancel = if lane == Lane::Drills { &self.drills } else { &self.context.cancel };
        let context = Context { cancel: cancel.clone(), ..self.context.clone() };
        let (stopping, runs) = (Arc::clone(&self.stopping), runs.clone());
        self.threads.push(thread::Builder::new().name(name).spawn(move || {
            work(&context, lane, &stopping);
            drop(runs);
        })?);
        Ok(())
    }

    /// A stop does not wait for copies: they go on where they stopped.
    fn spawn_copies(&mut self, runs: Sender<Infallible>) -> std::io::Result<()> {
        let context = Context { cancel: self.drills.clone(), ..self.context.clone() };
        let stopping = Arc::clone(&self.stopping);
        self.threads.push(thread::Builder::new().name("copies".to_owned()).spawn(move || {
            lower_priority(context.settings.nice);
            copies::work(&context, &stopping);
            drop(runs);
        })?);
        Ok(())
    }

    /// Claims nothing more and cancels drills and copies; gives other running jobs `grace` to end, then cancels them.
    /// False if some did not end: the next start cleans up after them.
    pub fn drain(self, grace: Duration) -> bool {
        self.stopping.store(true, Ordering::Release);
        self.drills.cancel();
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

fn work(context: &Context, lane: Lane, stopping: &AtomicBool) {
    lower_priority(context.settings.nice);
    while !stopping.load(Ordering::Acquire) {
        let seen = context.bell.count();
        if !recover::may_begin(context, lane == Lane::Removals) {
            context.bell.wait_past(seen, POLL);
            continue;
        }
        match context.catalog.claim(lane) {
            Ok(Some(job)) => {
                failpoint::at("after-claim");
                jobs::run(context, job);
            }
            Ok(None) => {
                if lane == Lane::Removals {
                    jobs::tidy(context);
                }
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
