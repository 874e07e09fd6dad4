//! Places that hold the copies of many devices, each in a folder of its own, and that are only read.
//!
//! A fleet is listed by the names of its archives, without any file that the devices would have to write besides. The
//! names say nearly everything: the device, the project, the instance, the time, the kind and whether it is encrypted. The
//! alternative was one small index object for each device and day. These are the requests of 10,000 devices with a backup a
//! day for 365 days, at public prices (LIST and PUT $0.005 per 1,000, GET $0.0004 per 1,000); `fleet_simulation.rs` of the
//! tests of the executor prints them for any fleet:
//!
//! | | the first reading | reading it every hour | what the devices write besides |
//! |---|---|---|---|
//! | all names | 3,650 LIST, and about 4 GET of each device for the names of instances: $0.034 | 3,650 LIST: $0.018 | nothing |
//! | all names, jumping over what is known | the same | 3,334 LIST: $0.017 | nothing |
//! | an index object of each device and day | 3,650 LIST and 3,650,000 GET: $1.48 | a day: 240 LIST and 10,000 GET: $0.0002 an hour | 10,000 PUT a day: $0.05 |
//!
//! Jumping saves little there, and most where it matters: with a backup an hour it is 10,000 LIST instead of 87,600, at most
//! one of each device and one of each 1,000 names that are new.
//!
//! What decides is not the price, which is cents an hour at most. An index object of a day that is written once, because a
//! device may only add, is complete only when the day is over, so that a new backup, and that one is missing, would be
//! known a day later; it can be lost or contradict the archives beside it; and older devices do not write it. An archive
//! is seen as soon as it is there.
//!
//! Jumping means that a page of names which ends in the folder of an instance goes on behind the newest archive that is
//! known there. So what a device removed, or sent later than a newer one, is noticed only when all of it is read: at the
//! start and once a day.

use std::fmt::Debug;
use std::sync::Arc;

use crate::domain::FleetArchive;

use super::{Place, Result};

/// How many names are read at once: as many as stores of S3 answer with.
pub(super) const PAGE: usize = 1000;

/// A place that holds the copies of many devices. Nothing is ever written or removed there.
pub trait Fleet: Send + Sync + Debug {
    /// What it is called in the configuration.
    fn name(&self) -> &str;

    /// The next archives behind this name, in the order of the bytes of their names; from the beginning if it is empty.
    /// Names that are none of an archive are left out.
    fn page(&self, after: &str) -> Result<FleetPage>;

    /// The folder of a device, as the place that its copies went to.
    fn device(&self, name: &str) -> Result<Arc<dyn Place>>;
}

/// Some of the names in a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetPage {
    pub archives: Vec<FleetArchive>,
    /// The name that the next page is behind; `None`: this is the last one.
    pub next: Option<String>,
}
