//! The thread that reads fleets: what the devices that copy to one place have there. Only names are read, a page at a time,
//! and one manifest of each instance that is new; a page is in the catalog before the next one is read, so that the memory
//! that this takes does not grow with the fleet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{FleetAdded, FleetRules};
use crate::domain::{FleetInstance, with_causes};
use crate::encryption::{Identities, Signers};
use crate::storage::{EncryptedPlace, Fleet, Place, StorageError, StoredArchive};

use super::jobs::POLL;
use super::{Context, Inventory, JobError, Result, recover};

/// How often all of a fleet is read, so that what is gone is noticed.
const WHOLE_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long after it failed a reading is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// The longest name of an instance, in letters.
const LONGEST_NAME: usize = 255;

/// A fleet, and how it is read.
#[derive(Debug, Clone)]
pub struct FleetTarget {
    pub fleet: Arc<dyn Fleet>,
    pub identities: Arc<Identities>,
    /// Whose archives are believed.
    pub signers: Signers,
    /// How often what is new is read.
    pub every: Duration,
    pub rules: FleetRules,
}

/// When a fleet was read by this process.
#[derive(Debug)]
struct Readings {
    next: Instant,
    whole: Instant,
}

/// Reads fleets until it is to stop.
pub(super) fn work(context: &Context) {
    let mut known: Arc<[FleetTarget]> = Arc::default();
    let mut readings: HashMap<String, Readings> = HashMap::new();
    while !context.is_stopping() {
        let seen = context.bell.count();
        if recover::may_begin(context, false) {
            let targets = context.places.fleets();
            if !Arc::ptr_eq(&targets, &known) {
                // Other rules hold for what is known already.
                readings.clear();
                take_over(context, &targets);
                known = targets;
            }
            for target in &*known {
                look_at(context, target, &mut readings);
            }
        }
        context.bell.wait_past(seen, POLL);
    }
}

fn take_over(context: &Context, targets: &[FleetTarget]) {
    context.catalog.set_fleets(targets.iter().map(|it| it.rules.clone()).collect());
    if let Err(error) = context.catalog.forget_other_fleets() {
        log::error!("what is known of fleets that are gone stays: {}", with_causes(&error));
    }
}

/// Reads a fleet if it is time for that.
fn look_at(context: &Context, target: &FleetTarget, readings: &mut HashMap<String, Readings>) {
    let (name, now) = (target.fleet.name(), Instant::now());
    let last = readings.get(name);
    if last.is_some_and(|it| now < it.next) || context.is_stopping() {
        return;
    }
    let whole = last.is_none_or(|it| now >= it.whole);
    let whole_at = last.map_or(now, |it| it.whole);
    let next = match read_fleet(context, target, whole) {
        Ok(()) => {
            let whole = if whole { now + WHOLE_EVERY } else { whole_at };
            Readings { next: now + target.every, whole }
        }
        Err(JobError::Cancelled) => return,
        Err(error) => {
            let why = with_causes(&error);
            log::warn!("the fleet in {name} cannot be read: {why}");
            if let Err(error) = context.catalog.fleet_unread(name, why).wait() {
                log::error!("that is not noted: {}", with_causes(&error));
            }
            Readings { next: now + AGAIN_AFTER.min(target.every), whole: whole_at }
        }
    };
    readings.insert(name.to_owned(), next);
}

/// Reads a fleet: all of it, or what is behind the archives that are known.
pub fn read_fleet(context: &Context, target: &FleetTarget, whole: bool) -> Result<()> {
    let (catalog, place) = (&context.catalog, target.fleet.name());
    let known = catalog.fleet_readings()?.into_iter().find(|it| it.place == place);
    let whole = whole || known.is_none();
    let number = match &known {
        Some(it) if !whole => it.number,
        _ => catalog.begin_fleet_reading(place).wait()?,
    };
    let (mut after, mut found, mut left_out) = (String::new(), 0_usize, 0_u32);
    loop {
        if context.is_stopping() || context.cancel.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        let page = target.fleet.page(&after)?;
        found = found.saturating_add(page.archives.len());
        let added = catalog.add_fleet_page(place, (number, whole), page.archives).wait()?;
        let FleetAdded { unnamed, newest, left_out: more } = added;
        left_out = left_out.saturating_add(more);
        name_instances(context, target, &unnamed)?;
        let Some(next) = page.next else { break };
        // What is known of the instance that the page ends with need not be listed again.
        let jump = newest.filter(|it| !whole && in_same_folder(it, &next) && *it > next);
        after = jump.unwrap_or(next);
    }
    if whole && found == 0 && known.is_some_and(|it| it.read.is_some()) {
        let what = format!("the fleet in {place}");
        let why = "there is no archive any more; what was known of it is kept".to_owned();
        return Err(StorageError::NotInPlace { what, why }.into());
    }
    Ok(catalog.end_fleet_reading(place, (number, whole), left_out)?)
}

fn in_same_folder(one: &str, other: &str) -> bool {
    let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    folder(one) == folder(other)
}

/// Reads what the newest archives of instances call them. What is wrong with one is no reason not to read on.
fn name_instances(
    context: &Context,
    target: &FleetTarget,
    unnamed: &[FleetInstance],
) -> Result<()> {
    let mut names = Vec::new();
    for instance in unnamed {
        match name_of(context, target, instance) {
            Err(JobError::Cancelled) => return Err(JobError::Cancelled),
            found => names.push((instance.number, found.map_err(|error| with_causes(&error)))),
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    Ok(context.catalog.name_fleet_instances(names).wait()?)
}

fn name_of(context: &Context, target: &FleetTarget, instance: &FleetInstance) -> Result<String> {
    let what = || format!("an archive of {}", instance.title());
    let location =
        instance.newest_location().and_then(|it| Some((it.backup_id()?, it.decrypted())));
    let (backup, location) = location.ok_or_else(|| StorageError::NotFound { what: what() })?;
    let device = target.fleet.device(&instance.device)?;
    let place: Arc<dyn Place> =
        Arc::new(EncryptedPlace::new(device, Arc::clone(&target.identities)));
    let stored = StoredArchive { location, bytes: 0, proven_hint: None };
    let inventory = Inventory::of(place, target.signers.clone(), vec![(backup, stored.clone())]);
    let known = inventory.manifest(&stored, &context.cancel)?.backup;
    if known.instance_id != Some(instance.instance) || known.project_id != instance.project {
        let why = format!("{} says that it is of another project or instance", what());
        return Err(JobError::ArchiveMismatch(why));
    }
    // A device may write anything.
    Ok(known.instance_name.chars().filter(|it| !it.is_control()).take(LONGEST_NAME).collect())
}
