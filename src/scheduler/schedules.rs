//! Backups that begin by the schedules.

use std::collections::{BTreeMap, HashSet};

use crate::catalog::{Catalog, Look};
use crate::domain::{InstanceId, Timestamp, with_causes};

use super::handed::Handed;
use super::{LONGEST_WAIT, Moment, PORTION};

/// When to look at the schedule of each instance.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    looks: BTreeMap<InstanceId, Look>,
    /// When all whose backup runs were checked.
    looked: Option<Timestamp>,
    /// Those for which something was due. They share a commit, and until it is made no others are checked.
    begun: Handed<InstanceId, Look>,
}

impl Schedules {
    /// Policies that were replaced apply from now on, also to what was begun by the ones before.
    pub(super) fn take_over_policies(&mut self, catalog: &Catalog, now: Timestamp) {
        self.looks = catalog.scheduled().into_iter().map(|id| (id, Look::At(now))).collect();
        self.begun.forget();
    }

    /// After a jump of the clock nothing that was planned by it holds.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        self.looks.values_mut().for_each(|look| *look = Look::At(now));
        self.looked = None;
        self.begun.forget();
    }

    /// Begins the first of those that are due, and says when there is something again, as far as is known.
    pub(super) fn tick(
        &mut self,
        catalog: &Catalog,
        at: Moment,
        finished: &HashSet<InstanceId>,
    ) -> Option<Timestamp> {
        let now = at.now;
        // First what was begun: the backups that have ended are among those.
        self.take_begun(now);
        self.look_after_backups(now, finished);
        if self.begun.is_empty() {
            self.begin_due(catalog, at);
        }
        if !self.begun.is_empty() {
            return Some(now);
        }
        let next = self.looks.values().filter_map(|look| match look {
            Look::At(at) => Some(*at),
            Look::AfterBackup | Look::Never => None,
        });
        next.min()
    }

    fn take_begun(&mut self, now: Timestamp) {
        for (id, answer) in self.begun.answered() {
            let look = answer.unwrap_or_else(|error| {
                log::error!("the schedule of instance {id}: {}", with_causes(&error));
                Look::At(now.plus(LONGEST_WAIT))
            });
            self.looks.insert(id, look);
        }
    }

    /// One of them at least, so that all have their turn.
    fn begin_due(&mut self, catalog: &Catalog, at: Moment) {
        for (number, id) in self.first_due(at.now).into_iter().enumerate() {
            if number > 0 && !at.goes_on() {
                break;
            }
            match catalog.look_at_schedule(id) {
                Ok(Some(next)) => {
                    self.looks.insert(id, next);
                }
                Ok(None) => self.begun.push(id, catalog.advance_schedule(id)),
                Err(error) => {
                    log::error!("the schedule of instance {id}: {}", with_causes(&error));
                    self.looks.insert(id, Look::At(at.now.plus(LONGEST_WAIT)));
                }
            }
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
}
