//! The threads: claim, run, settle.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::catalog::Job;
use crate::domain::with_causes;
use crate::failpoint;

use super::guard::guarded;
use super::settle::{POLL, settle};
use super::{Context, JobError, backup, drill, register, remove, restore};

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

    /// Claims nothing more; gives running jobs `grace` to end, then cancels them. True if all ended; what
    /// did not is put in order at the next start.
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
            log::warn!("a job did not stop in time; it is put in order at the next start");
        }
        ended
    }
}

fn work(context: &Context, stopping: &AtomicBool) {
    be_nice(context.settings.nice);
    while !stopping.load(Ordering::Acquire) {
        let seen = context.bell.count();
        match context.catalog.claim() {
            Ok(Some(job)) => {
                failpoint::reached("after-claim");
                run(context, job);
            }
            Ok(None) => {
                remove::empty_trash(context);
                context.bell.wait_past(seen, POLL);
            }
            Err(error) => {
                log::error!("cannot look for work: {}", with_causes(&error));
                context.bell.wait_past(seen, POLL);
            }
        }
    }
}

/// Lets others go first, for processors and, as the kernel derives one from the other, for the disk. On
/// Linux it holds for this thread, for the threads that its jobs start, and for the tools they run; those
/// that answer requests keep their place.
fn be_nice(nice: i32) {
    if nice > 0
        && let Err(error) = rustix::process::setpriority_process(None, nice)
    {
        log::warn!("jobs run at the usual priority, executor.nice = {nice} was refused: {error}");
    }
}

/// Runs a job to its end, whatever it does, and settles it.
fn run(context: &Context, job: Job) {
    match job {
        Job::Backup(job) => {
            let id = job.backup.id;
            log::info!("backup {id} of instance {} begins", job.instance.name);
            match guarded(|| backup::run(context, *job)) {
                Ok(backup::Published { facts, version, timings }) => {
                    failpoint::reached("before-complete");
                    let (stored, read) = (facts.stored_bytes, facts.source_bytes);
                    settle(context, || {
                        context.catalog.complete(id, facts.clone(), &version).wait()
                    });
                    log::info!(
                        "backup {id} is complete: {stored} bytes stored of {read}; {timings}"
                    );
                }
                Err(error) => {
                    tell(&format!("backup {id}"), &error);
                    settle(context, || context.catalog.fail(id, error.failure()).wait());
                }
            }
        }
        Job::Register(job) => {
            let id = job.backup.id;
            let outcome = guarded(|| register::run(context, &job));
            settle(context, || match &outcome {
                Ok(found) => context
                    .catalog
                    .registered(id, found.kind, found.parent, found.facts.clone())
                    .wait(),
                Err(error) => context.catalog.fail(id, error.failure()).wait(),
            });
            if let Err(error) = &outcome {
                tell(&format!("registering backup {id}"), error);
            }
        }
        Job::Restore(job) => {
            let id = job.instance.id;
            let outcome = guarded(|| restore::run(context, &job));
            if let Err(error) = &outcome {
                tell(&format!("restoring into instance {id}"), error);
            }
            settle(context, || match &outcome {
                Ok((source, bytes)) => context.catalog.restored(id, source.clone(), *bytes).wait(),
                Err(error) => context.catalog.restore_failed(id, error.failure()).wait(),
            });
        }
        Job::Drill(job) => drill::run(context, &job),
        Job::Remove(job) => remove::run(context, &job),
        Job::RemoveInstance(job) => remove::run_instance(context, &job),
    }
}

fn tell(what: &str, error: &JobError) {
    if matches!(error, JobError::Cancelled) {
        log::info!("{what}: interrupted by the shutdown");
    } else {
        log::warn!("{what} failed: {}", with_causes(error));
    }
}
