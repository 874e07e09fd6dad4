//! Drills and restores into staging, each kind in turn.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::catalog::{Catalog, CatalogError, Recurring, RecurringLook};
use crate::domain::{InstanceId, Timestamp, with_causes};
use crate::policy::oldest_proof;

use super::handed::Handed;
use super::{Moment, PORTION};

/// When that is looked at again which could not be read or begun.
const LATER: Duration = Duration::from_secs(30);

/// How many one tick looks at: each reads the runs of years.
const LOOKS: usize = 16;

/// When to look at one kind of what recurs, for each instance.
#[derive(Debug)]
pub(super) struct Recurrence {
    kind: Recurring,
    looks: BTreeMap<InstanceId, RecurringLook>,
    /// Those that were due. Until they are committed no others begin.
    begun: Handed<InstanceId, RecurringLook>,
}

impl Recurrence {
    pub(super) fn new(kind: Recurring) -> Self {
        Self { kind, looks: BTreeMap::new(), begun: Handed::default() }
    }

    /// Policies that were replaced apply from now on, also to what was begun by the ones before.
    pub(super) fn take_over_policies(&mut self, catalog: &Catalog, now: Timestamp) {
        let all = catalog.recurring(self.kind).into_iter();
        self.looks = all.map(|id| (id, RecurringLook::At(now))).collect();
        self.begun.forget();
    }

    /// After a jump of the clock nothing that was planned by it holds.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        self.looks.values_mut().for_each(|look| *look = RecurringLook::At(now));
        self.begun.forget();
    }

    /// Begins what is due, and says when there is something again, as far as is known.
    pub(super) fn tick(
        &mut self,
        catalog: &Catalog,
        at: Moment,
        finished: &HashSet<InstanceId>,
    ) -> Option<Timestamp> {
        let now = at.now;
        for (id, answer) in self.begun.answered() {
            self.looks.insert(id, or_later(self.kind, id, answer, now));
        }
        self.look_after_backups(now, finished);
        self.look_after_runs(catalog, now);
        // One of them at least, so that all have their turn.
        for (number, id) in self.first_due(now).into_iter().enumerate() {
            if number > 0 && !at.goes_on() {
                break;
            }
            let look = or_later(self.kind, id, catalog.look_at_recurring(self.kind, id), now);
            self.looks.insert(id, look);
        }
        // Only of all that are due it is known which proof is the oldest.
        if self.begun.is_empty() && self.first_due(now).is_empty() {
            self.begin(catalog);
        }
        if !self.begun.is_empty() {
            return Some(now);
        }
        let next = self.looks.values().filter_map(|look| match look {
            RecurringLook::At(at) => Some(*at),
            _ => None,
        });
        next.min()
    }

    fn look_after_backups(&mut self, now: Timestamp, finished: &HashSet<InstanceId>) {
        for (id, look) in &mut self.looks {
            if *look == RecurringLook::AfterBackup && finished.contains(id) {
                *look = RecurringLook::At(now);
            }
        }
    }

    /// What waits for the end of a run is due when that ended: a thousand may wait for a worker, and one read says of all
    /// of them which do.
    fn look_after_runs(&mut self, catalog: &Catalog, now: Timestamp) {
        if !self.looks.values().any(|it| *it == RecurringLook::AfterRun) {
            return;
        }
        let open = match catalog.open_recurring(self.kind) {
            Ok(open) => open,
            Err(error) => {
                log::error!("which runs have ended is not known: {}", with_causes(&error));
                return;
            }
        };
        for (id, look) in &mut self.looks {
            if *look == RecurringLook::AfterRun && !open.contains(id) {
                *look = RecurringLook::At(now);
            }
        }
    }

    /// Those that have been due for the longest time, as many as one tick takes.
    fn first_due(&self, now: Timestamp) -> Vec<InstanceId> {
        let due = self.looks.iter().filter_map(|(id, look)| match look {
            RecurringLook::At(at) if *at <= now => Some((*at, *id)),
            _ => None,
        });
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        due.truncate(LOOKS);
        due.into_iter().map(|(_at, id)| id).collect()
    }

    /// Drills one at a time, so that one that somebody asks for does not wait for all that are due, and none begins
    /// outside of its window.
    fn begin(&mut self, catalog: &Catalog) {
        let due = self.looks.iter().filter_map(|(id, look)| match look {
            RecurringLook::Now { proof } => Some((*id, *proof)),
            _ => None,
        });
        let due: Vec<InstanceId> = match self.kind {
            Recurring::Drill => oldest_proof(due).into_iter().collect(),
            Recurring::Staging => due.map(|(id, _proof)| id).take(PORTION).collect(),
        };
        if due.is_empty() || self.kind == Recurring::Drill && is_busy(catalog) {
            return;
        }
        for id in due {
            self.begun.push(id, catalog.begin_recurring(self.kind, id));
        }
    }
}

fn is_busy(catalog: &Catalog) -> bool {
    catalog.has_open(Recurring::Drill).unwrap_or_else(|error| {
        log::error!("whether a drill runs is not known: {}", with_causes(&error));
        true
    })
}

/// When to look again; where that is not known, in a while.
fn or_later(
    kind: Recurring,
    id: InstanceId,
    look: Result<RecurringLook, CatalogError>,
    now: Timestamp,
) -> RecurringLook {
    look.unwrap_or_else(|error| {
        let what = match kind {
            Recurring::Drill => "the next drill",
            Recurring::Staging => "the next restore into staging",
        };
        log::error!("{what} of instance {id}: {}", with_causes(&error));
        RecurringLook::At(now.plus(LATER))
    })
}
