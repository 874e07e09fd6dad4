//! A thread that begins what is due by the schedules, and one that deletes what no policy keeps. They decide
//! nothing: the policies do, over the catalog's rows.
//!
//! A tick reads, hands over what is to be written, and waits for no commit: that takes as long as the disk takes, and
//! other writes may be before it. A later tick takes the answers. What is due is found out once more in the transaction
//! that begins it, so it does not matter when an answer comes, or whether: after a power cut all is read again.

mod handed;
mod recurring;
mod retention;
mod schedules;
mod thread;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, CatalogError, Recurring};
use crate::domain::{Clock, InstanceId, Timestamp, with_causes};
use crate::policy::clock_jumped;

use handed::Handed;
use recurring::Recurrence;
use schedules::Schedules;

pub use retention::Retention;
pub use thread::SchedulerThread;

/// The longest wait between two ticks: a clock that was set is noticed within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How many schedules one tick looks at. The others follow in the next ones, a moment later: whatever else there is to do
/// waits no longer than for these. They share a commit, so fewer would take longer for all.
const PORTION: usize = 64;

/// How long one tick goes on to look at more of them: a slow disk, or a busy machine, makes it look at fewer. The others
/// wait for the next one, which is a moment later.
const LONGEST_LOOK: Duration = Duration::from_millis(3);

/// How often the catalog remembers what the clock shows.
const CLOCK_NOTED: Duration = Duration::from_secs(3600);

/// How often retention looks at every instance, besides after each backup.
const SWEEP: Duration = Duration::from_secs(24 * 3600);

/// When a tick happens.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// By the clock that schedules follow.
    now: Timestamp,
    begun: Instant,
}

impl Moment {
    /// Whether there is time to look at one more.
    fn goes_on(self) -> bool {
        self.begun.elapsed() < LONGEST_LOOK
    }
}

/// Whether the archives are where they were.
pub type StoreIsWhole = Box<dyn Fn() -> bool + Send + Sync>;

pub struct Scheduler {
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    retention: Arc<Retention>,
    schedules: Schedules,
    /// Which setting of the policies they are of.
    policies: Option<u64>,
    recurrences: [Recurrence; 2],
    swept: Option<Timestamp>,
    /// When the catalog remembered what the clock shows; `None`: it does not since the start or a jump.
    noted: Option<Timestamp>,
    noting: Handed<Timestamp, bool>,
    /// Whether it jumped since then.
    jumped: bool,
    last: Option<Timestamp>,
    trimming: Handed<(), usize>,
    counting: Handed<(), ()>,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Scheduler").field("schedules", &self.schedules).finish_non_exhaustive()
    }
}

impl Scheduler {
    pub fn new(catalog: Arc<Catalog>, clock: Arc<dyn Clock>, store_is_whole: StoreIsWhole) -> Self {
        let (schedules, policies, swept, noted, noting) = Default::default();
        let (jumped, last, trimming, counting) = Default::default();
        let retention = Retention::new(Arc::clone(&catalog), Arc::clone(&clock), store_is_whole);
        Self {
            catalog,
            clock,
            retention: Arc::new(retention),
            schedules,
            policies,
            recurrences: Recurring::ALL.map(Recurrence::new),
            swept,
            noted,
            noting,
            jumped,
            last,
            trimming,
            counting,
        }
    }

    /// What deletes what this asks for.
    pub fn retention(&self) -> Arc<Retention> {
        Arc::clone(&self.retention)
    }

    /// Begins what is due, asks for retention, and says when there is something again, as far as is known: at once, while
    /// it is not known whether what was begun is durable.
    pub fn tick(&mut self) -> Timestamp {
        let at = Moment { now: self.clock.now(), begun: Instant::now() };
        let now = at.now;
        self.watch_clock(now);
        self.write_counted();
        self.trim_events();
        self.take_over_policies(now);
        let finished = self.catalog.take_finished();
        let backups = self.schedules.tick(&self.catalog, at, &finished);
        let recurring = self.begin_recurring(at, &finished);
        self.look_for_expired(now, &finished);
        let waits = !self.noting.is_empty() || !self.trimming.is_empty();
        let next = [backups, recurring, waits.then_some(now)].into_iter().flatten().min();
        next.map_or(now.plus(LONGEST_WAIT), |at| at.min(now.plus(LONGEST_WAIT)))
    }

    /// Hands over events that were counted, if that is due.
    fn write_counted(&mut self) {
        for ((), answer) in self.counting.answered() {
            warn_of_uncounted(answer.err());
        }
        if let Some(reply) = self.catalog.write_counted(false) {
            self.counting.push((), reply);
        }
    }

    /// The server stops: events that were counted are written, whether or not that is due.
    fn write_last_counted(&self) {
        if let Some(reply) = self.catalog.write_counted(true) {
            warn_of_uncounted(reply.wait().err());
        }
    }

    /// Removes old events, a portion after the other.
    fn trim_events(&mut self) {
        for ((), answer) in self.trimming.answered() {
            match answer {
                Ok(0) => {}
                Ok(trimmed) => {
                    log::info!("{trimmed} old events were removed from the event log");
                    self.trimming.push((), self.catalog.trim_events());
                }
                Err(error) => log::error!("old events are not removed: {}", with_causes(&error)),
            }
        }
    }

    /// Policies that were replaced apply from now on.
    fn take_over_policies(&mut self, now: Timestamp) {
        let set = Some(self.catalog.policies_set());
        if self.policies != set {
            self.policies = set;
            self.swept = None;
            self.schedules.take_over_policies(&self.catalog, now);
            for recurrence in &mut self.recurrences {
                recurrence.take_over_policies(&self.catalog, now);
            }
        }
    }

    /// After a jump of the clock nothing that was planned by it holds.
    fn watch_clock(&mut self, now: Timestamp) {
        let jumped = self.last.is_some_and(|last| clock_jumped(last, now));
        self.last = Some(now);
        self.take_noted();
        if jumped {
            self.jumped = true;
            self.noted = None;
            self.noting.forget();
            self.schedules.look_again(now);
            self.recurrences.iter_mut().for_each(|it| it.look_again(now));
            self.swept = None;
        }
        let noted_lately = self.noted.is_some_and(|noted| now < noted.plus(CLOCK_NOTED));
        if !noted_lately && self.noting.is_empty() {
            self.noting.push(now, self.catalog.note_clock(self.jumped));
            if self.trimming.is_empty() {
                self.trimming.push((), self.catalog.trim_events());
            }
        }
    }

    fn take_noted(&mut self) {
        for (at, answer) in self.noting.answered() {
            match answer {
                Ok(jumped) => {
                    self.noted = Some(at);
                    self.jumped = false;
                    if jumped {
                        log::warn!(
                            "the clock jumped, or the server was off for long: retention deletes nothing until three \
                             more backups of an instance are proven"
                        );
                    }
                }
                Err(error) => {
                    log::error!("what the clock shows is not remembered: {}", with_causes(&error));
                }
            }
        }
    }

    /// Begins drills and restores into staging, and says when the next one is due.
    fn begin_recurring(&mut self, at: Moment, finished: &HashSet<InstanceId>) -> Option<Timestamp> {
        let catalog = &self.catalog;
        self.recurrences.iter_mut().filter_map(|it| it.tick(catalog, at, finished)).min()
    }

    /// Every instance once a day, and each after a backup of it ended. Retention waits until a jump is noted: that is what
    /// stops it.
    fn look_for_expired(&mut self, now: Timestamp, finished: &HashSet<InstanceId>) {
        let retained = self.catalog.retained();
        let swept_lately = self.swept.is_some_and(|swept| now < swept.plus(SWEEP));
        if !swept_lately {
            self.swept = Some(now);
        }
        let asked = retained.iter().filter(|id| !swept_lately || finished.contains(id));
        self.retention.ask(self.noted.map(|_| now), asked.copied());
    }
}

fn warn_of_uncounted(error: Option<CatalogError>) {
    if let Some(error) = error {
        log::error!("events are not recorded: {}", with_causes(&error));
    }
}
