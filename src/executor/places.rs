//! The places of the configuration, and whether each is the disk that it was.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use parking_lot::RwLock;
use uuid::Uuid;

use crate::domain::{BackupId, Timestamp, with_causes};
use crate::encryption::Recipients;
use crate::policy::Window;
use crate::storage::{Place, PlaceList, StorageError};

use super::{Context, EncryptedTo, FleetTarget, JobError, Pace, Result};

/// The places of the configuration, which a reload may replace. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Places {
    targets: Arc<RwLock<Arc<[CopyTarget]>>>,
    /// The same, for archives that are read from there.
    list: PlaceList,
    /// Those that are only read, for what other devices have there.
    fleets: Arc<RwLock<Arc<[FleetTarget]>>>,
    /// What copies and archives are encrypted to.
    encrypted_to: Arc<RwLock<EncryptedTo>>,
}

impl Places {
    pub fn new(targets: Vec<CopyTarget>) -> Self {
        let places = Self::default();
        places.replace(targets);
        places
    }

    /// From now on there are these.
    pub fn replace(&self, targets: Vec<CopyTarget>) {
        self.list.replace(targets.iter().map(|it| Arc::clone(&it.place)).collect());
        *self.targets.write() = targets.into();
    }

    pub fn all(&self) -> Arc<[CopyTarget]> {
        Arc::clone(&self.targets.read())
    }

    /// From now on there are these fleets.
    pub fn replace_fleets(&self, fleets: Vec<FleetTarget>) {
        *self.fleets.write() = fleets.into();
    }

    pub fn fleets(&self) -> Arc<[FleetTarget]> {
        Arc::clone(&self.fleets.read())
    }

    pub(super) fn set_encrypted_to(&self, keys: EncryptedTo) {
        *self.encrypted_to.write() = keys;
    }

    pub(super) fn encrypted_to(&self) -> EncryptedTo {
        self.encrypted_to.read().clone()
    }

    pub fn list(&self) -> &PlaceList {
        &self.list
    }
}

/// An upload that nobody knows is given up after this time: another process may be about to take note of it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A place, and how it is used.
#[derive(Debug, Clone)]
pub struct CopyTarget {
    pub place: Arc<dyn Place>,
    /// How fast is copied there.
    pub pace: Arc<Pace>,
    /// To whom what is copied there is encrypted; `None`: it lies there as it is here.
    pub recipients: Option<Recipients>,
    /// Whether there is a key here that reads what is encrypted to those.
    pub readable: bool,
    /// Whether copies of backups that were deleted stay there.
    pub keep_deleted: bool,
    /// How long after its first failure a copy is tried again; twice as long after each further one.
    pub retry_after: Duration,
    /// The hours in which is copied there, in this time zone; `None`: all.
    pub window: Option<(Window, TimeZone)>,
    /// How long after a backup was made its copy is locked.
    pub lock: Option<Duration>,
}

impl CopyTarget {
    /// The usual time until a copy that failed is tried again.
    pub const RETRY_AFTER: Duration = Duration::from_secs(60);
    /// The longest time is so many times as long.
    const RETRY_AT_MOST: u32 = 360;

    /// Whether it may be copied there at this time.
    pub(super) fn is_open(&self, at: Timestamp) -> bool {
        self.window.as_ref().is_none_or(|(window, zone)| window.opens(zone, at) == at)
    }

    /// Longer after each attempt, and not the same for all who wait.
    pub(super) fn retry_after(&self, attempts: u32) -> Duration {
        let longest = self.retry_after.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let most = self.retry_after.saturating_mul(Self::RETRY_AT_MOST);
        longest.min(most).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// After the configuration was read: what another name was given to is known again by its identity, and places that hold
/// copies and are not in the configuration any more are said.
pub fn settle(context: &Context) {
    for target in &*context.places.all() {
        // What is wrong with it is noted when it is used.
        if let Err(error) = recognise(context, &*target.place) {
            log::debug!("place {}: {}", target.place.name(), with_causes(&error));
        }
    }
    match context.catalog.settle_places() {
        Ok(removed) => {
            let names = removed.iter().map(|it| it.place.clone());
            context.places.list().set_removed(names.collect());
            for it in removed {
                log::warn!(
                    "{it}: put its [[places]] back into the configuration, or, if what lies there is not needed or lost: \
                     coffer catalog accept-loss --place {}",
                    it.place
                );
            }
        }
        Err(error) => log::error!("which places are left is not known: {}", with_causes(&error)),
    }
}

/// Looks at the places that are on disks of this machine, for a process beside which no server does.
pub fn look_at_disks(context: &Context) -> Result<()> {
    for target in &*context.places.all() {
        if target.place.is_local() {
            let why = look(context, &*target.place).err().map(|error| with_causes(&error));
            context.catalog.note_place(target.place.name(), why)?;
        }
    }
    Ok(())
}

/// A person says that a place is lost for good, with all that lies there. Returns the backups that had no other archive.
/// One that can be used is not lost.
pub fn accept_loss(context: &Context, name: &str) -> Result<Vec<BackupId>> {
    let known = context.catalog.places()?;
    if !known.iter().any(|it| it.place == name) {
        let names = known.iter().map(|it| it.place.as_str()).collect::<Vec<_>>().join(", ");
        let what = format!("a place named {name:?} (there are: {names})");
        return Err(StorageError::NotFound { what }.into());
    }
    for target in context.places.all().iter().filter(|it| it.place.name() == name) {
        if look(context, &*target.place).is_ok() {
            return Err(JobError::BadCopy(format!(
                "the place {name} can be used, and is the one that it was: nothing there is lost"
            )));
        }
    }
    Ok(context.catalog.accept_loss_of(name).wait()?)
}

/// A person says that this data directory continues the one that copied to a place until now. Returns which one that was;
/// `None`: it is this one, or none, and nothing is changed.
pub fn take_over(context: &Context, name: &str) -> Result<Option<Uuid>> {
    let targets = context.places.all();
    let Some(target) = targets.iter().find(|it| it.place.name() == name) else {
        let names = targets.iter().map(|it| it.place.name()).collect::<Vec<_>>().join(", ");
        let what = format!("a place named {name:?} in the configuration (there are: {names})");
        return Err(StorageError::NotFound { what }.into());
    };
    let (place, own) = (&*target.place, context.local.make_data_id()?);
    let other = place.owner()?.filter(|other| *other != own);
    if other.is_some() {
        place.take_over(own)?;
    }
    Ok(other)
}

/// Takes over what is known of this place under a name that is not in the configuration any more.
fn recognise(context: &Context, place: &dyn Place) -> Result<()> {
    let (catalog, name) = (&context.catalog, place.name());
    if catalog.place_identity(name)?.is_some() {
        return Ok(());
    }
    let Some(found) = place.identity()? else { return Ok(()) };
    for other in catalog.other_names(name, &found)? {
        if catalog.is_configured(&other) {
            let why =
                format!("this is the place {other} under another name: remove one of the two");
            return Err(StorageError::NotInPlace { what: format!("the place {name}"), why }.into());
        }
        log::info!("the place {other} is called {name} now: its copies are where they were");
        catalog.rename_place(&other, name, &found).wait()?;
    }
    Ok(())
}

/// Gives up uploads that nobody knows. A place that does not let this be done works all the same.
pub(super) fn sweep(context: &Context, place: &dyn Place) -> Result<()> {
    let before = context.clock.now().minus(FORGOTTEN_AFTER);
    let known = context.catalog.uploads_in(place.name())?;
    match place.sweep(&known, before) {
        Ok(0) => {}
        Ok(count) => log::info!("{count} forgotten uploads are given up in {}", place.name()),
        Err(error) => log::info!("whether uploads are left over is not known: {error}"),
    }
    Ok(())
}

/// Fails if a place to which nothing is copied now cannot be used. One that was never used is as it should be.
pub(super) fn look(context: &Context, place: &dyn Place) -> Result<()> {
    place.reach()?;
    if context.catalog.place_identity(place.name())?.is_some() {
        require_same(context, place)?;
    }
    Ok(())
}

/// Fails if the place is not the disk that it was at its first copy; nothing is copied onto an empty mount point. At its
/// first use it is made ready.
pub(super) fn require_same(context: &Context, place: &dyn Place) -> Result<()> {
    recognise(context, place)?;
    let (name, known) = (place.name(), context.catalog.place_identity(place.name())?);
    let found = match (place.identity()?, &known) {
        (None, None) => place.establish()?,
        (found, _) => found,
    };
    match (found, known) {
        (found, known) if found == known => claim(context, place, found.as_deref()),
        (Some(found), None) => {
            claim(context, place, Some(&found))?;
            Ok(context.catalog.remember_place(name, &found).wait()?)
        }
        (found, Some(known)) => {
            let what = format!("the place {name}");
            Err(StorageError::other_disk(what, &known, found.as_deref()).into())
        }
        (None, None) => claim(context, place, None),
    }
}

fn claim(context: &Context, place: &dyn Place, identity: Option<&str>) -> Result<()> {
    if let Some(identity) = identity {
        place.expect(identity);
    }
    Ok(place.claim(context.local.make_data_id()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Disk, DiskSettings, LocalSettings};

    #[test]
    fn a_copy_is_made_in_its_hours_and_tried_again_later_and_later() {
        let settings = DiskSettings {
            name: "nas".to_owned(),
            path: "/nowhere".into(),
            apart_from: None,
            local: LocalSettings::default(),
        };
        let target = CopyTarget {
            place: Arc::new(Disk::new(settings).unwrap()),
            recipients: None,
            readable: true,
            pace: Arc::new(Pace::kib_per_second(0)),
            keep_deleted: false,
            retry_after: CopyTarget::RETRY_AFTER,
            window: Some(("22:00-06:00".parse().unwrap(), TimeZone::UTC)),
            lock: None,
        };
        let open = |at: &str| target.is_open(at.parse().unwrap());
        assert!(open("2026-01-01T22:00:00Z") && open("2026-01-01T05:59:59Z"));
        assert!(!open("2026-01-01T06:00:00Z") && !open("2026-01-01T21:59:59Z"));
        for (attempts, seconds) in [(0, 60), (1, 60), (2, 120), (5, 960), (40, 21_600)] {
            let wait = target.retry_after(attempts).as_secs();
            assert!((seconds / 2..=seconds).contains(&wait), "{attempts}: {wait}");
        }
    }
}
