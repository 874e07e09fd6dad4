//! Looks for work, and does it in threads that end when there is no more of it.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use crate::catalog::Lane;
use crate::domain::{Cancel, with_causes};
use crate::failpoint;

use super::jobs::{self, POLL};
use super::{Context, copies, fleet, recover, scrub};

/// How long after the grace period a job may take to notice that it is cancelled.
const CANCELLED_WITHIN: Duration = Duration::from_secs(10);

/// The nice value of what yields to everything.
const LOWEST: i32 = 19;

/// That priorities cannot be lowered is said once.
static NOT_LOWERED: Once = Once::new();

/// Who looks for work, and the threads that do it. Ended with [`Executor::drain`].
#[derive(Debug)]
pub struct Executor {
    context: Context,
    /// Cancels drills, verifications, copies and scrubbing, which go on after the next start: a stop does not wait for them.
    drills: Cancel,
    /// Disconnected once all threads have ended: each holds a sender.
    running: Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

/// What threads of the executor share.
#[derive(Debug, Clone)]
struct Shared {
    context: Context,
    _running: Sender<Infallible>,
}

impl Executor {
    /// Starts to look for work. [`super::settle`] must have run.
    pub fn start(context: &Context) -> io::Result<Self> {
        let (runs, running) = bounded(0);
        let drills = context.cancel.child();
        let shared = |cancel: &Cancel| Shared {
            context: Context { cancel: cancel.clone(), ..context.clone() },
            _running: runs.clone(),
        };
        let dispatcher = Dispatcher::new(&shared(&context.cancel), &shared(&drills));
        let mut threads = vec![spawn("executor", move || dispatcher.work())?];
        // Also without any place: a reload may bring the first one.
        let (copying, reading) = (shared(&drills), shared(&drills));
        threads.push(spawn("copies", move || {
            lower_priority(copying.context.settings.nice);
            copies::work(&copying.context);
        })?);
        threads.push(spawn("fleets", move || {
            lower_priority(reading.context.settings.nice);
            fleet::work(&reading.context);
        })?);
        Ok(Self { context: context.clone(), drills, running, threads })
    }

    /// Claims nothing more and cancels drills and copies; gives other running jobs `grace` to end, then cancels them.
    /// An outcome that cannot be recorded now is left to the next start. False if some did not end: the next start cleans up after them.
    pub fn drain(self, grace: Duration) -> bool {
        self.context.stopping.store(true, Ordering::Release);
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
                    log::error!("a thread of the executor had panicked");
                }
            }
        } else {
            log::warn!("a job did not stop in time; the next start cleans up after it");
        }
        ended
    }
}

/// Starts threads when there is something to do.
struct Dispatcher {
    shared: Shared,
    work: Arc<Team>,
    drills: Arc<Team>,
    verifications: Arc<Team>,
    removals: Arc<Team>,
    scrub: Arc<Team>,
}

impl Dispatcher {
    fn new(shared: &Shared, drills: &Shared) -> Self {
        let workers = shared.context.settings.workers.max(1);
        Self {
            shared: shared.clone(),
            work: Team::new("work", workers, shared),
            drills: Team::new("drills", 1, drills),
            verifications: Team::new("verifications", 1, drills),
            removals: Team::new("removals", 1, shared),
            scrub: Team::new("scrub", 1, drills),
        }
    }

    /// Looks until it is to stop.
    fn work(self) {
        let context = &self.shared.context;
        let mut scrub_looked: Option<Instant> = None;
        while !self.shared.context.is_stopping() {
            let seen = context.bell.count();
            // What is done now and then is done with the removals, so that nothing else waits for it.
            self.removals.start(|shared| work(shared, Lane::Removals));
            if recover::may_begin(context, false) {
                self.start_waiting();
                if scrub_looked.is_none_or(|looked| looked.elapsed() >= scrub::LOOK) {
                    scrub_looked = Some(Instant::now());
                    self.start_scrub();
                }
            }
            context.bell.wait_past(seen, POLL);
        }
    }

    fn start_waiting(&self) {
        let lanes = [
            (Lane::Work, &self.work),
            (Lane::Drills, &self.drills),
            (Lane::Verifications, &self.verifications),
        ];
        for (lane, team) in lanes {
            match self.shared.context.catalog.has_waiting(lane) {
                Ok(true) => team.start(move |shared| work(shared, lane)),
                Ok(false) => {}
                Err(error) => log::error!("cannot look for work: {}", with_causes(&error)),
            }
        }
    }

    fn start_scrub(&self) {
        if let Some(pace) = self.shared.context.settings.scrub.clone() {
            self.scrub.start(move |shared| {
                lower_priority(LOWEST);
                scrub::work(&shared.context, &pace);
            });
        }
    }
}

/// Threads of one kind.
#[derive(Debug)]
struct Team {
    name: &'static str,
    most: usize,
    shared: Shared,
    state: Mutex<TeamState>,
}

#[derive(Debug, Default)]
struct TeamState {
    running: usize,
    /// Whether there was more to do when as many as may be were running: the next one that ends looks again.
    look_again: bool,
}

/// A thread of a team, also when it panics.
struct Member {
    team: Arc<Team>,
    /// Whether it left the team already.
    has_left: bool,
}

impl Team {
    fn new(name: &'static str, most: usize, shared: &Shared) -> Arc<Self> {
        Arc::new(Self { name, most, shared: shared.clone(), state: Mutex::default() })
    }

    /// Starts as many threads as may be; those that find nothing to do end at once.
    fn start(self: &Arc<Self>, work: impl Fn(&Shared) + Clone + Send + 'static) {
        while self.enter() {
            let (mut member, work) = (Member::of(self), work.clone());
            let spawned = spawn(self.name, move || {
                loop {
                    work(&member.team.shared);
                    if !member.stays() {
                        break;
                    }
                }
            });
            if let Err(error) = spawned {
                log::error!("no thread for {} could be started: {error}", self.name);
                return;
            }
        }
    }

    /// Counts one more thread, if there may be one more.
    fn enter(&self) -> bool {
        let mut state = self.state.lock();
        let may_enter = state.running < self.most;
        if may_enter {
            state.running += 1;
        } else {
            state.look_again = true;
        }
        may_enter
    }
}

impl Member {
    fn of(team: &Arc<Team>) -> Self {
        Self { team: Arc::clone(team), has_left: false }
    }

    /// Whether there is more to do. If not, it has left.
    fn stays(&mut self) -> bool {
        let mut state = self.team.state.lock();
        let stays =
            std::mem::take(&mut state.look_again) && !self.team.shared.context.is_stopping();
        if !stays {
            state.running -= 1;
            self.has_left = true;
        }
        stays
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if !self.has_left {
            self.team.state.lock().running -= 1;
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Does what waits in a lane.
fn work(shared: &Shared, lane: Lane) {
    let context = &shared.context;
    lower_priority(context.settings.nice);
    while !context.is_stopping() && recover::may_begin(context, lane == Lane::Removals) {
        match context.catalog.claim(lane) {
            Ok(Some(job)) => {
                failpoint::at("after-claim");
                jobs::run(context, job);
            }
            Ok(None) => {
                if lane == Lane::Removals {
                    jobs::tidy(context);
                }
                return;
            }
            Err(error) => {
                log::error!("cannot claim work: {}", with_causes(&error));
                return;
            }
        }
    }
}

/// Lowers the priority of this thread for processors and, as the kernel derives it, for the disk. On Linux
/// threads and tools that its jobs start inherit it; threads that answer requests do not.
fn lower_priority(nice: i32) {
    if rustix::process::getpriority_process(None).is_ok_and(|it| it >= nice) {
        return;
    }
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        // The packaged service refuses it always.
        NOT_LOWERED.call_once(|| {
            log::info!("jobs run at the priority of the process, a nice value of {nice} was refused: {error}");
        });
    }
}
