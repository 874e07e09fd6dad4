//! The places of the configuration, those that are in it no longer, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    BackupId, Damage, DamageIn, Failure, FailureCode, Holding, PlaceCopies, PlaceTrouble,
    RemovedPlace,
};
use crate::store::Records;

use super::configured_place::ConfiguredPlace;
use super::rules::Rules;
use super::{Catalog, CatalogError, Reply, Result};

/// What is said of a place that copies lie in and that is in the configuration no longer.
const NOT_CONFIGURED: &str = "it is not in the configuration any more";

impl Catalog {
    /// Sets the places of the configuration.
    pub fn set_places(&self, places: Vec<ConfiguredPlace>) {
        *self.rules.places.write() = places;
    }

    /// The configuration was read just now: until [`Self::settle_places`], nothing is said of places that it does not name,
    /// because one of them may only have another name.
    pub fn await_places(&self) {
        *self.rules.removed.write() = None;
    }

    /// Looks which places hold copies and are not in the configuration, and remembers since when. Blocks for a commit if
    /// that is news.
    pub fn settle_places(&self) -> Result<Vec<RemovedPlace>> {
        *self.rules.removed.write() = Some(Vec::new());
        let removed = self.store.read(|db| self.rules.removed_places(db))?;
        for it in &removed {
            self.note_place(&it.place, Some(NOT_CONFIGURED.to_owned()))?;
        }
        Ok(removed)
    }

    /// The places that hold copies and are not in the configuration.
    pub fn removed_places(&self) -> Result<Vec<RemovedPlace>> {
        self.store.read(|db| self.rules.removed_places(db))
    }

    /// Whether a place is in the configuration.
    pub fn is_configured(&self, place: &str) -> bool {
        self.rules.places.read().iter().any(|it| it.name == place)
    }

    /// Notes whether a place can be used: why not, or `None`. Blocks for a commit if that is news.
    pub fn note_place(&self, place: &str, why: Option<String>) -> Result<()> {
        let known = self.store.read(|db| Ok::<_, CatalogError>(db.place_trouble(place)?))?;
        if known.map(|it| it.why) == why {
            return Ok(());
        }
        let place = place.to_owned();
        self.write(move |db, rules| {
            match why {
                Some(why) => db.put_place_trouble(&place, rules.now(), &why)?,
                None => db.end_place_trouble(&place)?,
            }
            Ok(())
        })
        .wait()
    }

    /// What each place holds, and is to hold: those of the configuration, and those that still hold something.
    pub fn places(&self) -> Result<Vec<PlaceCopies>> {
        let configured: Vec<_> =
            self.rules.places.read().iter().map(|it| it.name.clone()).collect();
        self.store.read(|db| {
            let mut found = Vec::new();
            for name in configured {
                let held = db.copies_in(&name)?;
                found.push(PlaceCopies { trouble: held.trouble.filter(is_of_use), ..held });
            }
            for it in self.rules.removed_places(db)? {
                found.push(PlaceCopies { configured: false, ..db.copies_in(&it.place)? });
            }
            Ok(found)
        })
    }

    /// Which disk a place was when it was used first.
    pub fn place_identity(&self, place: &str) -> Result<Option<String>> {
        self.store.read(|db| Ok(db.place_identity(place)?))
    }

    /// The other names under which this disk was used.
    pub fn other_names(&self, place: &str, identity: &str) -> Result<Vec<String>> {
        let mut found =
            self.store.read(|db| Ok::<_, CatalogError>(db.places_with_identity(identity)?))?;
        found.retain(|it| it != place);
        Ok(found)
    }

    pub fn remember_place(&self, place: &str, identity: &str) -> Reply<()> {
        let (place, identity) = (place.to_owned(), identity.to_owned());
        self.write(move |db, _rules| Ok(db.put_place_identity(&place, &identity)?))
    }

    /// A place has another name in the configuration now: its copies are where they were.
    pub fn rename_place(&self, from: &str, to: &str, identity: &str) -> Reply<()> {
        let (from, to, identity) = (from.to_owned(), to.to_owned(), identity.to_owned());
        self.write_and_wake(move |db, _rules| {
            db.rename_place(&from, &to)?;
            Ok(db.put_place_identity(&to, &identity)?)
        })
    }

    /// A person says that a place is lost for good, with all that it holds. Returns the backups that had no other archive:
    /// they are missing from now on.
    pub fn accept_loss_of(&self, place: &str) -> Reply<Vec<BackupId>> {
        let place = place.to_owned();
        self.write_and_wake(move |db, rules| {
            let lost = db.only_in(&place)?;
            for id in &lost {
                let why = format!("its archive lay in the place {place} alone, which is lost");
                let failure = Failure::new(FailureCode::ArchiveMissing, why);
                let damage = Damage { id: *id, place: DamageIn::Archive, failure };
                db.set_damaged(&damage, rules.now())?;
                db.set_belongs_here(*id)?;
            }
            db.forget_place(&place)?;
            Ok(lost)
        })
    }
}

/// Whether this is still to be said of a place that is in the configuration: it may be in it again.
fn is_of_use(trouble: &PlaceTrouble) -> bool {
    trouble.why != NOT_CONFIGURED
}

impl Rules {
    /// The places that cannot be used: of the configuration, and those that are in it no longer.
    pub(super) fn place_troubles(&self, db: Records<'_>) -> Result<Vec<PlaceTrouble>> {
        let mut found = db.place_troubles()?;
        let places = self.places.read();
        found.retain(|it| is_of_use(it) && places.iter().any(|place| place.name == it.place));
        found.extend(self.removed.read().iter().flatten().cloned());
        Ok(found)
    }

    /// The places that hold copies and that the configuration does not name; none until it was looked whether they only
    /// have another name.
    pub(super) fn removed_places(&self, db: Records<'_>) -> Result<Vec<RemovedPlace>> {
        if self.removed.read().is_none() {
            return Ok(Vec::new());
        }
        let configured: BTreeSet<String> =
            self.places.read().iter().map(|it| it.name.clone()).collect();
        let holdings = db.holdings()?;
        let troubles = db.place_troubles()?;
        let unusable = |name: &String| {
            let is_troubled = troubles.iter().any(|it| it.place == *name && is_of_use(it));
            !configured.contains(name) || is_troubled
        };
        let mut found: BTreeMap<String, RemovedPlace> = BTreeMap::new();
        for Holding { here, places, backups } in &holdings {
            let is_only = !here && places.iter().all(unusable);
            for name in places.iter().filter(|it| !configured.contains(*it)) {
                let since =
                    troubles.iter().find(|it| it.place == *name && it.why == NOT_CONFIGURED);
                let since = since.map_or_else(|| self.now(), |it| it.since);
                let it = found.entry(name.clone()).or_insert_with(|| RemovedPlace {
                    place: name.clone(),
                    since,
                    copies: 0,
                    only_there: 0,
                });
                it.copies = it.copies.saturating_add(*backups);
                it.only_there = it.only_there.saturating_add(if is_only { *backups } else { 0 });
            }
        }
        let found: Vec<RemovedPlace> = found.into_values().collect();
        let troubles = found.iter().map(|it| PlaceTrouble {
            place: it.place.clone(),
            since: it.since,
            why: NOT_CONFIGURED.to_owned(),
            configured: false,
        });
        *self.removed.write() = Some(troubles.collect());
        Ok(found)
    }
}
