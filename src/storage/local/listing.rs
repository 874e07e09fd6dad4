//! Listing the archives.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use super::folder::Folder;
use super::layout::Layout;
use super::opened_path::OpenedPath;
use super::{index_file, proof_file};
use crate::domain::{Location, Timestamp};
use crate::storage::{Result, StoredArchive};

/// Every archive below `archives/`, in order of location. Other files are left alone, and one log line counts
/// them; symbolic links are never followed.
pub(super) fn list(layout: &Layout) -> Result<Vec<StoredArchive>> {
    let mut listing = Listing::default();
    listing.read_folder(&Folder::open(&layout.archives)?, "")?;
    // Every folder is opened again from the top, so that only one is open at a time. `find` opens all but the
    // last name, hence the dot.
    while let Some(path) = listing.folders.pop() {
        let inside = format!("{path}/.");
        if let Some(opened) = OpenedPath::find(&layout.archives, &inside)? {
            listing.read_folder(&opened.folder, &path)?;
        }
    }
    if let Some(example) = listing.first_foreign {
        log::debug!(
            "{} files below {} are not archives and are left alone, for example {example:?}",
            listing.foreign,
            layout.archives.display()
        );
    }
    listing.found.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(listing.found)
}

pub(super) fn stored_archive(location: Location, metadata: &Metadata) -> StoredArchive {
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    // The mtime is set to a whole microsecond. A copy that did not keep it rarely has one.
    let proven_hint = (nanos % 1000 == 0).then(|| {
        Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000))
    });
    StoredArchive { location, bytes: metadata.len(), proven_hint }
}

#[derive(Default)]
struct Listing {
    folders: Vec<String>,
    found: Vec<StoredArchive>,
    foreign: u64,
    first_foreign: Option<String>,
}

impl Listing {
    fn read_folder(&mut self, folder: &Folder, path: &str) -> Result<()> {
        for name in folder.names()? {
            self.add_entry(folder, path, &name?)?;
        }
        Ok(())
    }

    fn add_entry(&mut self, folder: &Folder, path: &str, name: &OsStr) -> Result<()> {
        // Another thread may have removed it since its name was read.
        let Some(metadata) = folder.metadata(name)? else { return Ok(()) };
        let path = name
            .to_str()
            .map(|name| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") });
        match path {
            Some(path) if metadata.is_dir() && may_hold_archives(&path) => self.folders.push(path),
            Some(path) if metadata.is_file() => match path.parse() {
                Ok(location) => self.found.push(stored_archive(location, &metadata)),
                Err(_not_an_archive)
                    if proof_file::is_proof(&path) || index_file::is_index(&path) => {}
                Err(_not_an_archive) => self.ignore(path),
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

/// Whether a location can begin with this path: one with a made-up archive in it is valid.
fn may_hold_archives(path: &str) -> bool {
    format!("{path}/x.tar.zst").parse::<Location>().is_ok()
}
