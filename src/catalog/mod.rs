//! The records, and the rules over them: who may see and do what, what a backup may be built on, what
//! may be deleted, what a quota allows. Knows neither HTTP nor files.
//!
//! Reads block for one indexed look-up; call them off the event loop, unless [`Catalog::answers_at_once`]
//! says that they wait for nobody. Writes go to the store's one
//! writer thread and are answered after their commit, as a [`Reply`]. Every rule that a write depends on
//! is checked inside its own transaction, so that two at once cannot both pass it.
//!
//! For the API there is a [`Scope`] in every call; for the executor, the command line and recovery there
//! is none, because no client asks.

mod claim;
mod create;
mod datastores;
mod delete;
mod drill;
mod error;
mod import;
mod instances;
mod job;
mod lineage;
mod progress;
mod query;
mod quotas;
mod read;
mod recover;
mod register;
mod rules;
mod scope;
mod settle;
mod shelf;
mod strategies;
#[cfg(test)]
mod tests_create;
#[cfg(test)]
mod tests_delete;
#[cfg(test)]
mod tests_drill;
#[cfg(test)]
mod tests_house;
#[cfg(test)]
mod tests_instances;
#[cfg(test)]
mod tests_lists;
#[cfg(test)]
mod tests_queue;
#[cfg(test)]
mod tests_races;
#[cfg(test)]
mod tests_recover;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use crate::bell::Bell;
use crate::domain::Clock;
use crate::store::{Answer, Records, Store};

use drill::RunningDrills;
use progress::Progress;
use rules::Rules;
use tokens::Tokens;

pub use drill::DrillEnd;
pub use error::CatalogError;
pub use job::{
    BackupJob, DrillJob, InstanceRemovalJob, Job, RegistrationJob, RemovalJob, RestoreJob,
};
pub use query::{
    BackupFilter, InstancePage, NewInstance, NewStrategy, Quota, QuotaResource, Recovered,
};
pub use scope::{Admin, Permission, Read, Scope, Write};
pub use shelf::Shelf;

/// The answer to a write: there after its commit.
#[derive(Debug)]
#[must_use = "a write may be refused"]
pub struct Reply<T>(Answer<T, CatalogError>);

impl<T> Reply<T> {
    /// For handlers: waits without blocking. The write happens whether or not anybody waits.
    pub async fn done(self) -> Result<T, CatalogError> {
        self.0.done().await
    }

    /// For worker threads: blocks.
    pub fn wait(self) -> Result<T, CatalogError> {
        self.0.wait()
    }
}

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Backups a project may have, -1 for any number, unless its own quota says otherwise.
    pub max_backups: i64,
    /// Instances a project may have, -1 for any number, unless its own quota says otherwise.
    pub max_instances: i64,
    /// Incrementals that may follow one full; the next one becomes a full.
    pub max_chain: u32,
}

/// The records of one data directory.
#[derive(Debug)]
pub struct Catalog {
    store: Store,
    rules: Arc<Rules>,
    bell: Arc<Bell>,
    tokens: Arc<Tokens>,
    progress: Arc<Progress>,
    drills: Arc<RunningDrills>,
}

impl Catalog {
    /// Opens `catalog.db` at `path`, creating or migrating it.
    pub fn open(
        path: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
        bell: Arc<Bell>,
    ) -> Result<Self, CatalogError> {
        let store = Store::open(path)?;
        let tokens =
            Arc::new(Tokens::stored(store.read(|db| Ok::<_, CatalogError>(db.tokens()?))?));
        let rules = Arc::new(Rules::new(settings, clock));
        Ok(Self { store, rules, bell, tokens, progress: Arc::default(), drills: Arc::default() })
    }

    /// Commits what waits, truncates the WAL, closes. Later writes fail.
    pub fn close(&self) {
        self.store.close();
    }

    /// Whether the database answers (for `/healthcheck`).
    pub fn ping(&self) -> Result<(), CatalogError> {
        self.store.read_once(|db| Ok(db.ping()?))
    }

    /// Whether an indexed look-up would wait for no other: then it takes microseconds, and handing it to
    /// another thread would take longer.
    pub fn answers_at_once(&self) -> bool {
        self.store.has_idle_reader()
    }

    /// A write that makes no work for anybody.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<T, CatalogError> + Send + 'static,
    ) -> Reply<T> {
        self.write_then(work, |_done| {})
    }

    /// A write that makes work: the bell rings once it is durable.
    fn write_and_ring<T: Send + 'static>(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<T, CatalogError> + Send + 'static,
    ) -> Reply<T> {
        let bell = Arc::clone(&self.bell);
        self.write_then(work, move |_done| bell.ring())
    }

    /// A write and what follows once it is durable, whether or not anybody waits for the answer.
    fn write_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<T, CatalogError> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Reply<T> {
        let rules = Arc::clone(&self.rules);
        Reply(self.store.write(move |db| work(db, &rules), after))
    }
}
