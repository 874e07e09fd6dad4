//! Retention, apart from the schedules: an instance with years of backups takes longer than a tick may take.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::catalog::Catalog;
use crate::domain::{Clock, InstanceId, Timestamp, with_causes};
use crate::policy::clock_jumped;

use super::StoreIsWhole;

/// Deletes what no policy keeps, of one instance after the other, when the scheduler asks for it.
pub struct Retention {
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    store_is_whole: StoreIsWhole,
    asked: Mutex<Asked>,
    pub(super) bell: Bell,
}

#[derive(Debug, Default)]
struct Asked {
    instances: BTreeSet<InstanceId>,
    /// When the scheduler read the clock last, and no jump of it was still to be noted.
    ticked: Option<Timestamp>,
}

impl fmt::Debug for Retention {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Retention").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Retention {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
        store_is_whole: StoreIsWhole,
    ) -> Self {
        let (asked, bell) = Default::default();
        Self { catalog, clock, store_is_whole, asked, bell }
    }

    /// Asks for these instances. `ticked`: the scheduler has noted what the clock shows, and this is the time.
    pub(super) fn ask(
        &self,
        ticked: Option<Timestamp>,
        instances: impl Iterator<Item = InstanceId>,
    ) {
        let mut asked = self.asked.lock();
        asked.ticked = ticked;
        asked.instances.extend(instances);
        let any = !asked.instances.is_empty();
        drop(asked);
        if any {
            self.bell.ring();
        }
    }

    /// Deletes what one instance need not keep. Returns whether it did; else nothing is asked, or the clock jumped and
    /// the scheduler has not noted it yet, which is what stops retention.
    pub fn work_one(&self) -> bool {
        let Some(id) = self.next() else { return false };
        if let Err(error) = self.expire(id) {
            log::error!("retention of instance {id}: {}", with_causes(&error));
        }
        true
    }

    fn next(&self) -> Option<InstanceId> {
        let mut asked = self.asked.lock();
        let jumped = asked.ticked.is_none_or(|ticked| clock_jumped(ticked, self.clock.now()));
        if jumped { None } else { asked.instances.pop_first() }
    }

    fn expire(&self, id: InstanceId) -> crate::catalog::Result<()> {
        if !self.catalog.retention_of(id)?.changes_anything() {
            return Ok(());
        }
        if !(self.store_is_whole)() {
            log::warn!("retention of instance {id} waits: the archives are not where they were");
            return Ok(());
        }
        self.catalog.expire(id).wait().map(drop)
    }
}
