//! Drills and restores into staging, each kind in turn.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::catalog::{Catalog, CatalogError, Recurring, RecurringLook};
use crate::domain::{InstanceId, Timestamp, with_causes};
use crate::policy::oldest_proof;

/// When that is looked at again which could not be read or begun.
const LATER: Duration = Duration::from_secs(30);

/// When to look at one kind of what recurs, for each instance.
#[derive(Debug)]
pub(super) struct Recurrence {
    kind: Recurring,
    looks: BTreeMap<InstanceId, RecurringLook>,
}

impl Recurrence {
    pub(super) const fn new(kind: Recurring) -> Self {
        Self { kind, looks: BTreeMap::new() }
    }

    /// Policies that were replaced apply from now on.
    pub(super) fn take_over_policies(&mut self, catalog: &Catalog, now: Timestamp) {
        let all = catalog.recurring(self.kind).into_iter();
        self.looks = all.map(|id| (id, RecurringLook::At(now))).collect();
    }

    /// After a jump of the clock nothing that was planned by it holds.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        self.looks.values_mut().for_each(|look| *look = RecurringLook::At(now));
    }

    /// Begins what is due, and says when there is something again, as far as is known.
    pub(super) fn tick(
        &mut self,
        catalog: &Catalog,
        now: Timestamp,
        finished: &HashSet<InstanceId>,
    ) -> Option<Timestamp> {
        for (id, look) in &mut self.looks {
            let again = match look {
                RecurringLook::At(at) => *at <= now,
                RecurringLook::AfterRun => true,
                RecurringLook::AfterBackup => finished.contains(id),
                RecurringLook::Now { .. } | RecurringLook::Never => false,
            };
            if again {
                *look = or_later(self.kind, *id, catalog.look_at_recurring(self.kind, *id), now);
            }
        }
        self.begin(catalog, now);
        self.looks
            .values()
            .filter_map(|look| match look {
                RecurringLook::At(at) => Some(*at),
                _ => None,
            })
            .min()
    }

    /// Drills one at a time, so that one that somebody asks for does not wait for all that are due, and none begins
    /// outside of its window.
    fn begin(&mut self, catalog: &Catalog, now: Timestamp) {
        let due = self.looks.iter().filter_map(|(id, look)| match look {
            RecurringLook::Now { proof } => Some((*id, *proof)),
            _ => None,
        });
        let due: Vec<InstanceId> = match self.kind {
            Recurring::Drill => oldest_proof(due).into_iter().collect(),
            Recurring::Staging => due.map(|(id, _proof)| id).collect(),
        };
        if due.is_empty() || self.kind == Recurring::Drill && is_busy(catalog) {
            return;
        }
        for id in due {
            let begun = catalog.begin_recurring(self.kind, id).wait();
            self.looks.insert(id, or_later(self.kind, id, begun, now));
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
