//! Walking the archives.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use super::folder::Folder;
use super::place::{Place, Way};
use super::{StorageError, Stored};
use crate::domain::{Location, Timestamp};

/// Every archive below `archives/`, in order of location. What else lies there is left alone and told
/// once, at debug; links are never followed.
pub(super) fn list(place: &Place) -> Result<Vec<Stored>, StorageError> {
    let mut walk = Walk::default();
    walk.folder(&Folder::root(&place.archives)?, "")?;
    // One folder is open at a time: its path is walked again from the top, so depth costs no open files.
    while let Some(path) = walk.folders.pop() {
        let inside = format!("{path}/.");
        if let Some(way) = Way::find(&place.archives, &inside)? {
            walk.folder(&way.folder, &path)?;
        }
    }
    if let Some(example) = walk.first_foreign {
        log::debug!(
            "{} names below {} are no archives and are left alone, {example:?} among them",
            walk.foreign,
            place.archives.display()
        );
    }
    walk.found.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(walk.found)
}

/// The archive with this location and metadata.
pub(super) fn stored(location: Location, metadata: &Metadata) -> Stored {
    let micros = metadata
        .mtime()
        .saturating_mul(1_000_000)
        .saturating_add(metadata.mtime_nsec().div_euclid(1000));
    Stored { location, bytes: metadata.len(), modified: Timestamp::from_micros(micros) }
}

#[derive(Default)]
struct Walk {
    folders: Vec<String>,
    found: Vec<Stored>,
    foreign: u64,
    first_foreign: Option<String>,
}

impl Walk {
    fn folder(&mut self, folder: &Folder, path: &str) -> Result<(), StorageError> {
        for name in folder.names()? {
            self.entry(folder, path, &name?)?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: &Folder, path: &str, name: &OsStr) -> Result<(), StorageError> {
        // Gone since its name was read: discarded by another thread.
        let Some(metadata) = folder.look(name)? else { return Ok(()) };
        let location = name
            .to_str()
            .map(|name| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") });
        match location {
            Some(text) if metadata.is_dir() && may_hold_archives(&text) => self.folders.push(text),
            Some(text) if metadata.is_file() => match text.parse() {
                Ok(location) => self.found.push(stored(location, &metadata)),
                Err(_not_an_archive) => self.ignore(text),
            },
            _ => self.ignore(name.to_string_lossy().into_owned()),
        }
        Ok(())
    }

    fn ignore(&mut self, what: String) {
        self.foreign += 1;
        self.first_foreign.get_or_insert(what);
    }
}

/// Whether a location can begin with this path.
fn may_hold_archives(path: &str) -> bool {
    format!("{path}/x.tar.zst").parse::<Location>().is_ok()
}
