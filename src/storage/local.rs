//! Archives on a local filesystem.
//!
//! ```text
//! <data_dir>/archives/   published archives, read-only, below <project>/[<container>/]<instance>/
//!            tmp/        unfinished attempts; emptied at every start
//!            trash/      discarded archives and instances, for as long as the window says
//!            restored/   instances made by restores, <project>/<instance>/
//!            lock        held by the process that writes here
//! ```

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::folder::{Folder, expect_regular, failed};
use super::lock::{self, StoreLock};
use super::pending::{PendingFile, ReadFile, free_bytes, set_modified};
use super::place::{Place, Way};
use super::{Pending, Storage, StorageError, Stored, listing, removal, trash, url};
use crate::domain::{
    BackupId, BadLocation, Clock, InstanceId, Location, ProjectId, ReadAt, SystemClock, Timestamp,
};

/// How a local store behaves.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// Free bytes that no reservation may take: the catalog and the rest of the machine need some.
    pub reserve_bytes: u64,
    /// What the trash is dated by.
    pub clock: Arc<dyn Clock>,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self { reserve_bytes: 16 << 20, clock: Arc::new(SystemClock) }
    }
}

/// An archive store on a local filesystem. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Local {
    place: Arc<Place>,
}

impl Local {
    /// The store below `data_dir`. Makes its folders where they are missing and takes no lock: who only
    /// reads needs none.
    pub fn open(data_dir: &Path) -> Result<Self, StorageError> {
        Self::open_with(data_dir, LocalSettings::default())
    }

    /// The same, with other settings than the usual ones.
    pub fn open_with(data_dir: &Path, settings: LocalSettings) -> Result<Self, StorageError> {
        let place = Place::open(data_dir, settings.reserve_bytes, settings.clock)?;
        Ok(Self { place: Arc::new(place) })
    }

    /// Takes the right to write here, for as long as the answer lives.
    pub fn lock(&self) -> Result<StoreLock, StorageError> {
        lock::take(&self.place.lock)
    }

    /// The folder of a restored instance, made if it is not there: its data is restored to a name in it.
    pub fn restored_folder(
        &self,
        project: &ProjectId,
        instance: InstanceId,
    ) -> Result<PathBuf, StorageError> {
        let _tree = self.place.hold_tree();
        // A way makes the folders above its last name: here that name is whatever is restored.
        let within = format!("{project}/{instance}/data");
        let way = Way::make(&self.place.restored, &within)?;
        Ok(way.path().parent().map(Path::to_owned).unwrap_or_default())
    }

    /// Takes a restored instance's folder into the trash, durably. One that is not there is fine.
    pub fn discard_restored(
        &self,
        project: &ProjectId,
        instance: InstanceId,
    ) -> Result<(), StorageError> {
        let text = format!("{project}/{instance}");
        trash::discard(&self.place, &self.place.restored, &text, |_anything, _path| Ok(()))
    }

    fn find<'a>(&self, location: &'a Location) -> Result<Way<'a>, StorageError> {
        Way::find(&self.place.archives, location.as_str())?.ok_or_else(|| StorageError::NotFound {
            what: self.path(location).display().to_string(),
        })
    }
}

impl Storage for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>, StorageError> {
        Ok(Box::new(PendingFile::create(&self.place, backup, attempt)?))
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, StorageError> {
        let way = self.find(location)?;
        let (file, metadata) = way.folder.open_file(way.name)?;
        Ok(Arc::new(ReadFile { file, bytes: metadata.len() }))
    }

    fn open_file(&self, location: &Location) -> Result<File, StorageError> {
        let way = self.find(location)?;
        way.folder.open_file(way.name).map(|(file, _metadata)| file)
    }

    fn stat(&self, location: &Location) -> Result<Option<Stored>, StorageError> {
        let Some(way) = Way::find(&self.place.archives, location.as_str())? else {
            return Ok(None);
        };
        let Some(metadata) = way.folder.look(way.name)? else { return Ok(None) };
        expect_regular(&metadata, &way.path())?;
        Ok(Some(listing::stored(location.clone(), &metadata)))
    }

    fn touch(&self, location: &Location, modified: Timestamp) -> Result<(), StorageError> {
        let file = self.open_file(location)?;
        let what = self.path(location);
        set_modified(&file, modified).map_err(failed("dating", &what))?;
        file.sync_all().map_err(failed("syncing", &what))
    }

    fn discard(&self, location: &Location) -> Result<(), StorageError> {
        trash::discard(&self.place, &self.place.archives, location.as_str(), expect_regular)
    }

    fn empty_trash(&self, window: Duration) -> Result<u64, StorageError> {
        trash::empty(&self.place, window)
    }

    fn list(&self) -> Result<Vec<Stored>, StorageError> {
        listing::list(&self.place)
    }

    fn sweep(&self) -> Result<usize, StorageError> {
        let tmp = Folder::root(&self.place.tmp)?;
        let mut swept = 0;
        let mut first_error = None;
        for name in tmp.names()? {
            match removal::remove(&tmp, &name?, "swept") {
                Ok(_bytes) => swept += 1,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(swept), Err)
    }

    fn free_bytes(&self) -> Result<u64, StorageError> {
        free_bytes(&Folder::root(&self.place.tmp)?)
    }

    fn scratch(&self) -> &Path {
        &self.place.tmp
    }

    fn url<'a>(&'a self, location: &'a str) -> [Cow<'a, str>; 2] {
        [Cow::Borrowed(&self.place.archives_url), url::of_place(location)]
    }

    fn locate(&self, text: &str) -> Result<Location, StorageError> {
        let bad = || BadLocation::new(text);
        let path = url::to_path(text).ok_or_else(bad)?;
        let below = path.as_os_str().as_encoded_bytes();
        // Byte for byte: `Path` would overlook a doubled slash or a `.` on the way.
        let below = below
            .strip_prefix(self.place.archives.as_os_str().as_encoded_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"))
            .ok_or_else(bad)?;
        Ok(str::from_utf8(below).map_err(|_not_a_location| bad())?.parse()?)
    }

    fn path(&self, location: &Location) -> PathBuf {
        self.place.archives.join(location.as_str())
    }
}

#[cfg(test)]
#[path = "tests_local.rs"]
mod tests;
