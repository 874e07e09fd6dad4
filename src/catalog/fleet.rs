//! Fleets: the backups of other devices, as the names of their archives say. They are no backups of this server: nothing
//! here copies, deletes or expires them, and their rows come from the place alone, so that they can be read again.

use std::time::Duration;

use crate::domain::{BackupId, FleetArchive, FleetBackup, FleetInstance, FleetReading, Timestamp};
use crate::policy::{self, Problem};
use crate::store::Records;

use super::fleet_rules::FleetRules;
use super::rules::Rules;
use super::{Admin, Catalog, CatalogError, Reply, Result, Scope};

/// What a device may have of each, so that none fills the catalog of the one that reads it.
const MOST_INSTANCES: u32 = 200;
const MOST_BACKUPS: u32 = 100_000;

/// So many backups show how far apart they are made.
const COMPARED: u32 = 8;
/// An archive from further in the future says nothing: the clock of its device is wrong, or somebody chose its name.
const AHEAD: Duration = Duration::from_secs(3600);

/// How many instances a transaction goes through when a reading ends.
const BATCH: u32 = 100;

/// What came of a page of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetAdded {
    /// Instances of which a manifest is to be read: what they are called is not known.
    pub unnamed: Vec<FleetInstance>,
    /// The newest archive that is known of the instance that the page ends with.
    pub newest: Option<String>,
    /// Archives that have no row because their device has too many.
    pub left_out: u32,
}

impl Catalog {
    /// The time by the clock that says who is silent.
    pub fn now(&self) -> Timestamp {
        self.rules.now()
    }

    /// Sets which fleets there are.
    pub fn set_fleets(&self, fleets: Vec<FleetRules>) {
        *self.rules.fleets.write() = fleets;
    }

    /// Forgets what is known of fleets that the configuration does not have any more.
    pub fn forget_other_fleets(&self) -> Result<()> {
        let known = self.fleet_readings()?;
        for reading in known.into_iter().filter(|it| self.rules.fleet(&it.place).is_none()) {
            let mut after = 0;
            let place = reading.place.clone();
            while let Some(last) = self.forget_some(place.clone(), after).wait()? {
                after = last;
            }
            self.write(move |db, _rules| Ok(db.forget_fleet(&reading.place)?)).wait()?;
        }
        Ok(())
    }

    fn forget_some(&self, place: String, after: u32) -> Reply<Option<u32>> {
        self.write(move |db, _rules| {
            let some = db.fleet_instances(after, BATCH)?;
            for it in some.iter().filter(|it| it.place == place) {
                db.forget_fleet_instance(it.number)?;
            }
            Ok(some.last().map(|it| it.number))
        })
    }

    /// When the fleets were read last.
    pub fn fleet_readings(&self) -> Result<Vec<FleetReading>> {
        self.store.read(|db| Ok(db.fleet_readings()?))
    }

    /// A reading of all of a fleet begins. Returns its number.
    pub fn begin_fleet_reading(&self, place: &str) -> Reply<u32> {
        let place = place.to_owned();
        self.write(move |db, _rules| Ok(db.begin_fleet_reading(&place)?))
    }

    /// Adds what a page of a fleet has and the catalog has not. `whole`: the reading is one of all.
    pub fn add_fleet_page(
        &self,
        place: &str,
        (reading, whole): (u32, bool),
        archives: Vec<FleetArchive>,
    ) -> Reply<FleetAdded> {
        let place = place.to_owned();
        self.write(move |db, rules| {
            let mut added = FleetAdded::default();
            let same = |a: &FleetArchive, b: &FleetArchive| {
                a.device == b.device && a.folder() == b.folder()
            };
            for archives in archives.chunk_by(same) {
                let Some(first) = archives.first() else { continue };
                let known = db.fleet_instance_of(&place, first, MOST_INSTANCES)?;
                let Some(mut instance) = known else {
                    let count = u32::try_from(archives.len()).unwrap_or(u32::MAX);
                    added.left_out = added.left_out.saturating_add(count);
                    added.newest = None;
                    continue;
                };
                let before = instance.newest.clone();
                added.left_out += add_backups(db, &mut instance, archives, reading)?;
                rules.sum_up(db, &mut instance)?;
                let is_new = instance.newest != before;
                added.newest = instance.newest_key();
                if instance.name.is_none() && (whole || is_new) {
                    added.unnamed.push(instance);
                }
            }
            Ok(added)
        })
    }

    /// What manifests call instances, by their numbers, or why none could be read.
    pub fn name_fleet_instances(
        &self,
        names: Vec<(u32, std::result::Result<String, String>)>,
    ) -> Reply<()> {
        self.write(move |db, _rules| {
            names.iter().try_for_each(|(number, name)| Ok(db.name_fleet_instance(*number, name)?))
        })
    }

    /// A reading has ended well. After one of all, what it did not find is forgotten. An instance of which nothing is left
    /// stays, as long as its device is expected to make backups: else one that is gone with all it had would not be missed.
    pub fn end_fleet_reading(
        &self,
        place: &str,
        (reading, whole): (u32, bool),
        left_out: u32,
    ) -> Result<()> {
        let mut after = whole.then_some(0);
        while let Some(from) = after {
            after = self.forget_gone(place.to_owned(), reading, from).wait()?;
        }
        let place = place.to_owned();
        self.write(move |db, rules| {
            Ok(db.end_fleet_reading(&place, rules.now(), (whole, left_out))?)
        })
        .wait()
    }

    fn forget_gone(&self, place: String, reading: u32, after: u32) -> Reply<Option<u32>> {
        self.write(move |db, rules| {
            let some = db.fleet_instances(after, BATCH)?;
            let last = some.last().map(|it| it.number);
            for mut instance in some.into_iter().filter(|it| it.place == place) {
                let gone = db.forget_gone_of_fleet(instance.number, reading)?;
                if gone > 0 {
                    rules.sum_up(db, &mut instance)?;
                }
                if instance.backups == 0 && rules.is_retired(&instance) {
                    db.forget_fleet_instance(instance.number)?;
                }
            }
            Ok(last)
        })
    }

    /// A reading of a fleet failed.
    pub fn fleet_unread(&self, place: &str, why: String) -> Reply<()> {
        let place = place.to_owned();
        self.write(move |db, rules| Ok(db.fail_fleet_reading(&place, rules.now(), &why)?))
    }

    /// The instances of all devices behind this number, or only those that are silent, which have no pages.
    pub fn fleet_instances(
        &self,
        _scope: &Scope<Admin>,
        (after, rows): (u32, u32),
        silent: bool,
    ) -> Result<Vec<FleetInstance>> {
        self.every_fleet_instance((after, rows), silent)
    }

    /// The same without a check of access.
    pub fn every_fleet_instance(
        &self,
        (after, rows): (u32, u32),
        silent: bool,
    ) -> Result<Vec<FleetInstance>> {
        let now = self.rules.now();
        self.store.read(|db| {
            Ok(if silent {
                db.silent_in_fleets(now, rows)?
            } else {
                db.fleet_instances(after, rows)?
            })
        })
    }

    /// The instances of all devices behind this one, the worst first; `None`: from the first on.
    pub fn worst_in_fleets(
        &self,
        _scope: &Scope<Admin>,
        after: Option<(Option<Timestamp>, u32)>,
        rows: u32,
    ) -> Result<Vec<FleetInstance>> {
        let after = after.unwrap_or((Some(Timestamp::from_micros(i64::MIN)), 0));
        self.store.read(|db| Ok(db.worst_in_fleets(after, rows)?))
    }

    /// Whether other devices are read here.
    pub fn has_fleets(&self) -> bool {
        !self.rules.fleets.read().is_empty()
    }

    /// The backups of an instance of a device before this one, the newest first.
    pub fn fleet_backups(
        &self,
        _scope: &Scope<Admin>,
        number: u32,
        (before, rows): (BackupId, u32),
    ) -> Result<Option<(FleetInstance, Vec<FleetBackup>)>> {
        self.store.read(|db| {
            let Some(instance) = db.fleet_instance(number)? else { return Ok(None) };
            Ok::<_, CatalogError>(Some((instance, db.fleet_backups(number, before, rows)?)))
        })
    }

    /// What is wrong with the fleets.
    pub(super) fn fleet_problems(&self) -> Result<Vec<Problem>> {
        let now = self.rules.now();
        self.store.read(|db| {
            let mut found: Vec<Problem> =
                policy::fleet_problem(&db.fleet_readings()?, now).into_iter().collect();
            if let Some((count, since)) = db.count_silent(now)? {
                let first = db.silent_in_fleets(now, policy::NAMED)?;
                found.push(policy::silent_problem(count.get(), since, &first));
            }
            Ok(found)
        })
    }
}

/// Adds the backups that are not known. Returns how many there was no room for.
fn add_backups(
    db: Records<'_>,
    instance: &mut FleetInstance,
    archives: &[FleetArchive],
    reading: u32,
) -> Result<u32> {
    let mut left_out = 0;
    for archive in archives {
        if db.fleet_backup_found(instance.number, archive, reading)? {
            continue;
        }
        if instance.backups >= MOST_BACKUPS {
            left_out += 1;
            continue;
        }
        db.add_fleet_backup(instance.number, archive, reading)?;
        instance.backups += 1;
    }
    Ok(left_out)
}

impl Rules {
    fn fleet(&self, place: &str) -> Option<FleetRules> {
        self.fleets.read().iter().find(|it| it.place == place).cloned()
    }

    fn is_retired(&self, instance: &FleetInstance) -> bool {
        self.fleet(&instance.place).is_some_and(|it| it.retired.contains(&instance.device))
    }

    /// Counts the backups of an instance, and says when the next one is expected.
    fn sum_up(&self, db: Records<'_>, instance: &mut FleetInstance) -> Result<()> {
        let now = self.now();
        (instance.backups, instance.stored_bytes) = db.fleet_totals(instance.number)?;
        let until = BackupId::at(now.plus(AHEAD));
        let newest = db.fleet_backups(instance.number, until, COMPARED)?;
        let made: Vec<Timestamp> =
            newest.iter().filter_map(|it| it.id.made()).map(|it| it.min(now)).collect();
        if let Some(last) = newest.first() {
            instance.newest = Some(last.file_name());
            instance.newest_at = made.first().copied();
        }
        let within = self.fleet(&instance.place).and_then(|it| it.silent_after);
        let expected = policy::expected_next(&made, within).or(instance.expected);
        instance.expected = expected.filter(|_| !self.is_retired(instance));
        Ok(db.sum_up_fleet_instance(instance)?)
    }
}
