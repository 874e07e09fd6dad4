//! What a place with `role = "reader"` may have, and what not.

use std::time::Duration;

use crate::policy::Span;

use super::Config;
use super::keep::optional;
use super::places::{PlaceConfig, PlaceKind, PlaceRole, Wrong};

/// More often costs requests and says nothing new.
const SHORTEST_REFRESH: Duration = Duration::from_secs(60);

impl Config {
    /// The places that copies go to.
    pub fn copy_places(&self) -> impl Iterator<Item = &PlaceConfig> {
        self.places.iter().filter(|it| it.role == PlaceRole::Copies)
    }

    /// The places that hold the copies of other devices.
    pub fn fleets(&self) -> impl Iterator<Item = &PlaceConfig> {
        self.places.iter().filter(|it| it.role == PlaceRole::Reader)
    }
}

impl PlaceConfig {
    /// How often a fleet is read, unless it says otherwise.
    pub const REFRESH: Duration = Duration::from_secs(3600);

    /// How often what is new in a fleet is read.
    pub fn refresh(&self) -> Result<Duration, String> {
        let span = optional::<Span>(self.refresh.as_deref().unwrap_or_default())?;
        let every = span.map_or(Self::REFRESH, Span::duration);
        if every < SHORTEST_REFRESH {
            return Err("must be a minute or more".to_owned());
        }
        Ok(every)
    }

    /// How old the newest backup of a device may be; `None`: as its history says.
    pub fn silent_after(&self) -> Result<Option<Duration>, String> {
        let span = optional::<Span>(self.silent_after.as_deref().unwrap_or_default())?;
        Ok(span.map(Span::duration))
    }

    /// The folder or prefix of a device of this fleet, as a place of its own.
    #[must_use]
    pub fn of_device(&self, device: &str) -> Self {
        let prefix = self.prefix.as_deref().unwrap_or_default().trim_matches('/');
        let below =
            if prefix.is_empty() { device.to_owned() } else { format!("{prefix}/{device}") };
        Self {
            role: PlaceRole::Copies,
            prefix: (self.kind != PlaceKind::Disk).then_some(below),
            path: self.path.as_ref().map(|path| path.join(device)),
            same_disk: true,
            ..self.clone()
        }
    }

    /// Keys that only the other role has.
    pub(super) fn wrong_for_role(&self) -> Vec<Wrong> {
        let is_reader = self.role == PlaceRole::Reader;
        let of_reader = [
            ("refresh", self.refresh.is_some()),
            ("silent_after", self.silent_after.is_some()),
            ("retired", self.retired.is_some()),
        ];
        let of_copies = [
            ("same_disk", self.same_disk),
            ("max_kib_s", self.max_kib_s != 0),
            ("window", self.window.is_some()),
            ("keep", self.keep.is_some()),
            ("keep_deleted", self.keep_deleted),
            ("encrypt_to", self.encrypt_to.is_some()),
            ("lock", self.lock.is_some()),
        ];
        let (others, why): (&[(&'static str, bool)], _) = if is_reader {
            (&of_copies, "is about copying, and role = \"reader\" only reads; leave it out")
        } else {
            (&of_reader, "is a key of role = \"reader\"; leave it out")
        };
        let given = others.iter().filter(|(_, given)| *given);
        let mut wrong: Vec<Wrong> = given.map(|(key, _)| (*key, why.to_owned())).collect();
        wrong.extend(self.refresh().err().map(|why| ("refresh", why)));
        wrong.extend(self.silent_after().err().map(|why| ("silent_after", why)));
        wrong
    }
}
