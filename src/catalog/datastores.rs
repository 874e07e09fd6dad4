//! Which engines and versions there are.

use std::collections::BTreeSet;

use super::rules::Rules;
use super::{Catalog, CatalogError};
use crate::domain::Datastore;
use crate::store::Records;

impl Catalog {
    /// Every engine and version that an instance has or a backup was made of, ordered. Engines without any
    /// instance are included through `set_engines`.
    pub fn datastores(&self) -> Result<Vec<Datastore>, CatalogError> {
        self.store.read(|db| datastores(db, &self.rules))
    }

    /// The engines this build has, with the version each reads with.
    pub fn set_engines(&self, engines: Vec<Datastore>) {
        self.rules.set_engines(engines);
    }
}

pub(super) fn datastores(db: Records<'_>, rules: &Rules) -> Result<Vec<Datastore>, CatalogError> {
    let found = rules
        .engines()
        .into_iter()
        .chain(db.datastores_of_instances()?)
        .chain(db.datastores_of_backups()?);
    let ordered: BTreeSet<_> = found.map(|it| (it.engine, it.version)).collect();
    Ok(ordered.into_iter().map(|(engine, version)| Datastore { engine, version }).collect())
}
