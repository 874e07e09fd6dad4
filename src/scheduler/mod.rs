//! A thread that begins what is due by the schedules, and one that deletes what no policy keeps. They decide
//! nothing: the policies do, over the catalog's rows.

mod recurring;
mod retention;
mod thread;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Catalog, Look, Recurring};
use crate::domain::{Clock, InstanceId, Timestamp, with_causes};
use crate::policy::clock_jumped;

use recurring::Recurrence;

pub use retention::Retention;
pub use thread::SchedulerThread;

/// The longest wait between two ticks: a clock that was set is noticed within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How many schedules one tick looks at. The others follow in the next ones, a moment later: whatever else there is to do
/// waits no longer than for these. They share a commit, so fewer would take longer for all.
const PORTION: usize = 64;

/// How often the catalog remembers what the clock shows.
const CLOCK_NOTED: Duration = Duration::from_secs(3600);

/// How often retention looks at every instance, besides after each backup.
const SWEEP: Duration = Duration::from_secs(24 * 3600);

/// Whether the archives are where they were.
pub type StoreIsWhole = Box<dyn Fn() -> bool + Send + Sync>;

pub struct Scheduler {
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    retention: Arc<Retention>,
    looks: BTreeMap<InstanceId, Look>,
    /// When all whose backup runs were checked.
    looked: Option<Timestamp>,
    /// Which setting of the policies they are of.
    policies: Option<u64>,
    recurrences: [Recurrence; 2],
    swept: Option<Timestamp>,
    noted: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Scheduler").field("looks", &self.looks).finish_non_exhaustive()
    }
}

impl Scheduler {
    pub fn new(catalog: Arc<Catalog>, clock: Arc<dyn Clock>, store_is_whole: StoreIsWhole) -> Self {
        let (looks, looked, policies, swept, noted, last) = Default::default();
        let retention = Retention::new(Arc::clone(&catalog), Arc::clone(&clock), store_is_whole);
        Self {
            catalog,
            clock,
            retention: Arc::new(retention),
            looks,
            looked,
            policies,
            recurrences: Recurring::ALL.map(Recurrence::new),
            swept,
            noted,
            last,
        }
    }

    /// What deletes what this asks for.
    pub fn retention(&self) -> Arc<Retention> {
        Arc::clone(&self.retention)
    }

    /// Begins what is due, asks for retention, and says when there is something again, as far as is known.
    pub fn tick(&mut self) -> Timestamp {
        let now = self.clock.now();
        self.watch_clock(now);
        self.write_counted(false);
        self.take_over_policies(now);
        let finished = self.catalog.take_finished();
        self.begin_due(now, &finished);
        let recurring = self.begin_recurring(now, &finished);
        self.look_for_expired(now, &finished);
        let next = self.looks.values().filter_map(|look| match look {
            Look::At(at) => Some(*at),
            Look::AfterBackup | Look::Never => None,
        });
        next.chain(recurring)
            .min()
            .map_or(now.plus(LONGEST_WAIT), |at| at.min(now.plus(LONGEST_WAIT)))
    }

    /// Writes events that were counted, if that is due or the server stops.
    fn write_counted(&self, at_once: bool) {
        if let Err(error) = self.catalog.write_counted(at_once) {
            log::error!("events are not recorded: {}", with_causes(&error));
        }
    }

    /// Policies that were replaced apply from now on.
    fn take_over_policies(&mut self, now: Timestamp) {
        let set = Some(self.catalog.policies_set());
        if self.policies != set {
            self.policies = set;
            self.swept = None;
            self.looks =
                self.catalog.scheduled().into_iter().map(|id| (id, Look::At(now))).collect();
            for recurrence in &mut self.recurrences {
                recurrence.take_over_policies(&self.catalog, now);
            }
        }
    }

    /// After a jump of the clock nothing that was planned by it holds.
    fn watch_clock(&mut self, now: Timestamp) {
        let jumped = self.last.is_some_and(|last| clock_jumped(last, now));
        self.last = Some(now);
        let noted_lately = self.noted.is_some_and(|noted| now < noted.plus(CLOCK_NOTED));
        if noted_lately && !jumped {
            return;
        }
        match self.catalog.note_clock(jumped).wait() {
            Ok(jumped) => {
                self.noted = Some(now);
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
        if jumped {
            self.looks.values_mut().for_each(|look| *look = Look::At(now));
            self.recurrences.iter_mut().for_each(|it| it.look_again(now));
            (self.swept, self.looked) = (None, None);
        }
        if let Err(error) = self.catalog.trim_events() {
            log::error!("old events are not removed: {}", with_causes(&error));
        }
    }

    /// Begins the first of those that are due.
    fn begin_due(&mut self, now: Timestamp, finished: &HashSet<InstanceId>) {
        self.look_after_backups(now, finished);
        let later = Look::At(now.plus(LONGEST_WAIT));
        let mut begun = Vec::new();
        for id in self.first_due(now) {
            match self.catalog.look_at_schedule(id) {
                Ok(Some(next)) => {
                    self.looks.insert(id, next);
                }
                // Several that are due at once share a commit.
                Ok(None) => begun.push((id, self.catalog.advance_schedule(id))),
                Err(error) => {
                    log::error!("the schedule of instance {id}: {}", with_causes(&error));
                    self.looks.insert(id, later);
                }
            }
        }
        for (id, reply) in begun {
            let look = reply.wait().unwrap_or_else(|error| {
                log::error!("the schedule of instance {id}: {}", with_causes(&error));
                later
            });
            self.looks.insert(id, look);
        }
    }

    /// What waits for the end of a backup is due when that ended. In a while all of that is read: a thousand may wait
    /// for a worker, and are not checked whenever one backup ends.
    fn look_after_backups(&mut self, now: Timestamp, finished: &HashSet<InstanceId>) {
        let looked_lately = self.looked.is_some_and(|looked| now < looked.plus(LONGEST_WAIT));
        if !looked_lately {
            self.looked = Some(now);
        }
        for (id, look) in &mut self.looks {
            if *look == Look::AfterBackup && (finished.contains(id) || !looked_lately) {
                *look = Look::At(now);
            }
        }
    }

    /// Those that have been due for the longest time, as many as one tick takes.
    fn first_due(&self, now: Timestamp) -> Vec<InstanceId> {
        let due = self.looks.iter().filter_map(|(id, look)| match look {
            Look::At(at) if *at <= now => Some((*at, *id)),
            Look::At(_) | Look::AfterBackup | Look::Never => None,
        });
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        due.truncate(PORTION);
        due.into_iter().map(|(_at, id)| id).collect()
    }

    /// Begins drills and restores into staging, and says when the next one is due.
    fn begin_recurring(
        &mut self,
        now: Timestamp,
        finished: &HashSet<InstanceId>,
    ) -> Option<Timestamp> {
        let catalog = &self.catalog;
        self.recurrences.iter_mut().filter_map(|it| it.tick(catalog, now, finished)).min()
    }

    /// Every instance once a day, and each after a backup of it ended.
    fn look_for_expired(&mut self, now: Timestamp, finished: &HashSet<InstanceId>) {
        let retained = self.catalog.retained();
        let swept_lately = self.swept.is_some_and(|swept| now < swept.plus(SWEEP));
        if !swept_lately {
            self.swept = Some(now);
        }
        let asked = retained.iter().filter(|id| !swept_lately || finished.contains(id));
        self.retention.ask(now, asked.copied());
    }
}
