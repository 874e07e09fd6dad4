//! A fleet: many devices whose copies lie in one place, each in a folder of its own, and what is known of them from the
//! names of their archives.

use super::{BackupId, ContainerName, InstanceId, Kind, Location, ProjectId, Timestamp};

/// What stands between the name of a device and the location of an archive.
const ARCHIVES: &str = "archives";
/// The longest name of a device.
const LONGEST_DEVICE: usize = 64;

/// The archive of a device, by its name alone: `<device>/archives/<project>/[<container>/]<instance>/<id>…`. A name
/// proves nothing of what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetArchive {
    pub device: String,
    pub location: Location,
    pub project: ProjectId,
    pub instance: InstanceId,
    pub backup: BackupId,
    /// The time in the id.
    pub made: Timestamp,
    pub bytes: u64,
}

impl FleetArchive {
    /// The archive of this name, below the folder of the fleet; `None`: it is something else. So nothing that a device
    /// calls its files makes a row that belongs to another one, or one with a name that no device could have.
    pub fn parse(key: &str, bytes: u64) -> Option<Self> {
        let (device, rest) = key.split_once('/')?;
        let location: Location = rest
            .strip_prefix(ARCHIVES)?
            .strip_prefix('/')?
            .parse()
            .ok()
            .filter(|_| is_device(device))?;
        let parts: Vec<&str> = location.as_str().split('/').collect();
        let (project, instance) = match parts.as_slice() {
            [project, instance, _file] => (project, instance),
            [project, container, instance, _file] => {
                container.parse::<ContainerName>().ok()?;
                (project, instance)
            }
            _ => return None,
        };
        let (project, instance) = (project.parse().ok()?, instance.parse().ok()?);
        let backup = location.backup_id()?;
        // Only the one spelling, so that an archive has one name.
        let own_name = Location::file_name(backup, location.kind());
        let is_own = location.decrypted().name() == own_name;
        let made = backup.made().filter(|_| is_own)?;
        Some(Self { device: device.to_owned(), location, project, instance, backup, made, bytes })
    }

    /// The folder that all archives of its instance are in.
    pub fn folder(&self) -> &str {
        self.location.as_str().rsplit_once('/').map_or("", |(folder, _name)| folder)
    }
}

/// Whether a folder can be that of a device.
pub fn is_device(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LONGEST_DEVICE).contains(&name.len())
        && name.bytes().all(is_letter)
        && !name.starts_with('.')
}

/// An instance of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetInstance {
    /// It stays the same as long as the instance is known.
    pub number: u32,
    pub place: String,
    pub device: String,
    pub folder: String,
    pub project: ProjectId,
    pub instance: InstanceId,
    /// What the manifest of one of its archives calls it.
    pub name: Option<String>,
    /// Why no manifest of it could be read.
    pub unread: Option<String>,
    pub backups: u32,
    pub stored_bytes: u64,
    /// The file of its newest archive.
    pub newest: Option<String>,
    pub newest_at: Option<Timestamp>,
    /// By when there should be another one; `None`: none is expected any more.
    pub expected: Option<Timestamp>,
}

impl FleetInstance {
    /// The name of its newest archive below the folder of the fleet.
    pub fn newest_key(&self) -> Option<String> {
        let (device, folder) = (&self.device, &self.folder);
        self.newest.as_ref().map(|file| format!("{device}/{ARCHIVES}/{folder}/{file}"))
    }

    /// The location of its newest archive, in the folder of the device.
    pub fn newest_location(&self) -> Option<Location> {
        self.newest.as_ref().and_then(|file| format!("{}/{file}", self.folder).parse().ok())
    }

    /// Whether there should have been another backup by now.
    pub fn is_silent(&self, now: Timestamp) -> bool {
        self.expected.is_some_and(|at| at < now)
    }

    /// What a person knows it by.
    pub fn title(&self) -> String {
        let id = self.instance.to_string();
        let name = self.name.as_ref().unwrap_or(&id);
        format!("{name} of {} in {}", self.device, self.place)
    }
}

/// A backup of a device, by the name of its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetBackup {
    pub id: BackupId,
    pub kind: Kind,
    pub encrypted: bool,
    pub bytes: u64,
}

impl FleetBackup {
    /// The name of its file.
    pub fn file_name(&self) -> String {
        let ending = if self.encrypted { ".age" } else { "" };
        format!("{}{ending}", Location::file_name(self.id, self.kind))
    }
}

/// When a fleet was read last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetReading {
    pub place: String,
    /// How often all of it was read, or that was begun.
    pub number: u32,
    pub read: Option<Timestamp>,
    /// When all of it was read last.
    pub read_whole: Option<Timestamp>,
    /// Since when that fails, and why.
    pub failing: Option<(Timestamp, String)>,
    /// Archives that were left out because their device has too many.
    pub left_out: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "6f9619ff-8b86-5011-b42d-00cf4fc964ff";
    const BACKUP: &str = "019b7a5e-4c00-7abc-8def-0123456789ab";

    fn parse(key: &str) -> Option<FleetArchive> {
        FleetArchive::parse(key, 7)
    }

    #[test]
    fn the_name_of_an_archive_says_whose_it_is_and_when_it_was_made() {
        for (folder, ending) in [("a", ".tar.zst"), ("a/box", ".incr.zst.age")] {
            let key = format!("shop-1/archives/{folder}/{INSTANCE}/{BACKUP}{ending}");
            let found = parse(&key).unwrap();
            assert_eq!((&*found.device, found.project.as_str(), found.bytes), ("shop-1", "a", 7));
            assert_eq!(found.instance.to_string(), INSTANCE);
            assert_eq!(found.folder(), format!("{folder}/{INSTANCE}"));
            assert_eq!(found.made.to_wire(), "2026-01-01T16:22:38");
        }
    }

    #[test]
    fn names_that_no_device_gives_its_archives_are_passed_over() {
        let own = format!("a/{INSTANCE}/{BACKUP}.tar.zst");
        for key in [
            own.clone(),
            format!("archives/{own}"),
            format!("shop/elsewhere/{own}"),
            format!("shop/archives/../other/archives/{own}"),
            format!(".hidden/archives/{own}"),
            format!("sh op/archives/{own}"),
            format!("{}/archives/{own}", "x".repeat(65)),
            format!("shop/archives/a/b/c/{INSTANCE}/{BACKUP}.tar.zst"),
            format!("shop/archives/a/not-an-id/{BACKUP}.tar.zst"),
            format!("shop/archives/a/{INSTANCE}/{}.tar.zst", BACKUP.to_uppercase()),
            format!("shop/archives/a/{INSTANCE}/{BACKUP}.copy.tar.zst"),
            // Not of the version that has the time in it.
            format!("shop/archives/a/{INSTANCE}/{INSTANCE}.tar.zst"),
        ] {
            assert_eq!(parse(&key), None, "{key}");
        }
    }
}
