//! The records, and the rules over them: who may see and do what, what a backup may be built on, what
//! may be deleted, what a quota allows. Knows neither HTTP nor files.
//!
//! Reads block, but for a fraction of a millisecond: the API makes them on its event loop. Writes go to the
//! store's writer thread and are answered after their commit, as a [`Reply`]. Every rule that a write depends
//! on is checked inside its own transaction, so that two at once cannot both pass it.
//!
//! Calls on behalf of a client take a [`Scope`]. The executor, the command line and recovery have none.

mod alerts;
mod backups;
mod configured_place;
mod consolidations;
mod copies;
mod deliveries;
mod drills;
mod error;
mod events;
mod fleet;
mod fleet_rules;
mod health;
mod import;
mod instances;
mod known_facts;
mod lineage;
mod notices;
mod observed;
mod places;
mod policies;
mod policy_source;
mod progress;
mod projects;
mod queue;
mod recurring;
mod removals;
mod retention;
mod rules;
mod running;
mod schedules;
mod scope;
mod scrub;
mod shown;
mod staging;
mod steps;
mod tokens;
mod verifications;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::bell::{Bell, Changes};
use crate::domain::{BackupId, Clock, InstanceId, Run};
use crate::store::{self, Purpose, Records, Store};

use events::Tally;
use known_facts::KnownFacts;
use notices::Notices;
use observed::Observed;
use progress::Progress;
use rules::Rules;
use running::Running;
use tokens::Tokens;

pub use backups::{BackupFilter, BackupPage};
pub use configured_place::ConfiguredPlace;
pub use consolidations::Consolidation;
pub use copies::CopyJob;
pub use error::{CatalogError, Forbidden, Invalid, NotNow, Operation, Outage, Result};
pub use events::{Counted, EventFilter, FoundEvents};
pub use fleet::FleetAdded;
pub use fleet_rules::FleetRules;
pub use health::{Health, InstanceReport};
pub use import::{RecordOf, Recovered};
pub use instances::{InstancePage, NewInstance};
pub use notices::Notice;
pub use policy_source::PolicySource;
pub use projects::NewStrategy;
pub use queue::{
    BackupJob, ConsolidationJob, DrillJob, InstanceRemovalJob, Job, Lane, RegistrationJob,
    RemovalJob, RestoreJob, StagingJob, VerificationJob,
};
pub use recurring::{DrilledRows, Recurring, RecurringLook};
pub use retention::Retention;
pub use schedules::{Look, Scheduled};
pub use scope::{Admin, Permission, Read, Scope, Write};
pub use shown::Deletion;

/// The answer to a write, given after its commit.
pub type Reply<T> = store::Reply<T, CatalogError>;

#[derive(Debug, Clone)]
pub struct Settings {
    /// Backups a project may have, -1 for any number, unless its own quota says otherwise.
    pub max_backups: i64,
    /// Instances a project may have, -1 for any number, unless its own quota says otherwise.
    pub max_instances: i64,
    /// Restores of a project into new instances that may wait or run at once.
    pub max_restores: u32,
    /// Incrementals that may follow one full; the next one becomes a full.
    pub max_chain: u32,
    /// How long events are kept.
    pub events_days: u32,
    /// How old the proof of an archive may be before it is read again; `None`: as old as it likes.
    pub scrub_after: Option<Duration>,
}

/// The records of one data directory.
#[derive(Debug)]
pub struct Catalog {
    store: Store,
    rules: Arc<Rules>,
    bell: Arc<Bell>,
    tokens: Arc<Tokens>,
    progress: Arc<Progress>,
    running: Arc<Running>,
    notices: Notices,
    observed: Observed,
    known_facts: KnownFacts,
    /// The instances of which a backup ended, for retention.
    finished: Arc<Mutex<HashSet<InstanceId>>>,
    /// Events that are counted before they are written.
    tally: Tally,
    changes: Arc<Changes>,
}

impl Catalog {
    /// Opens `catalog.db` at `path`, creating or migrating it.
    pub fn open(
        path: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
        bell: Arc<Bell>,
    ) -> Result<Self> {
        let store = Store::open(path)?;
        let tokens =
            Arc::new(Tokens::stored(store.read(|db| Ok::<_, CatalogError>(db.tokens()?))?));
        let rules = Arc::new(Rules::new(settings, clock));
        let observed = store.read(Observed::recalled)?;
        let (progress, running, notices, known_facts) = Default::default();
        let (finished, tally, changes) = Default::default();
        Ok(Self {
            store,
            rules,
            bell,
            tokens,
            progress,
            running,
            notices,
            observed,
            known_facts,
            finished,
            tally,
            changes,
        })
    }

    /// Commits what waits, truncates the write-ahead log, closes. Later writes fail.
    pub fn close(&self) {
        self.store.close();
    }

    /// Whether the database answers (for `/healthcheck`).
    pub fn ping(&self) -> Result<()> {
        self.store.read(|db| Ok(db.ping()?))
    }

    /// Every attempt at something that concerned a backup: open ones and the history that is kept.
    pub fn runs_of_backup(&self, id: BackupId) -> Result<Vec<Run>> {
        self.store.read(|db| Ok(db.runs_of_backup(id)?))
    }

    /// A write that makes no work for the workers.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.write_then(work, |_done| {})
    }

    /// A write that makes work for the executor, which is woken once the write is durable.
    fn write_and_wake<T: Send + 'static>(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let bell = Arc::clone(&self.bell);
        self.write_then(work, move |_done| bell.ring())
    }

    /// A write, and what follows once it is durable.
    fn write_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<T> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Reply<T> {
        let (rules, changes) = (Arc::clone(&self.rules), Arc::clone(&self.changes));
        let after = move |done: &T| {
            after(done);
            changes.note();
        };
        self.store.write(Purpose::Record, move |db| work(db, &rules), after)
    }

    /// Accepts something new, which is refused while the disk is full, and wakes the executor.
    fn accept<T: Send + 'static>(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let (rules, bell) = (Arc::clone(&self.rules), Arc::clone(&self.bell));
        let changes = Arc::clone(&self.changes);
        let work = move |db: Records<'_>| work(db, &rules);
        self.store.write(Purpose::NewWork, work, move |_done| {
            bell.ring();
            changes.note();
        })
    }
}
