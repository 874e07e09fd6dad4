//! Archives on a local filesystem, in the data directory:
//!
//! ```text
//! <data_dir>/archives/   published archives, read-only, below <project>/[<container>/]<instance>/, and
//!                        beside an archive that was verified later its proof, <archive's name>.proof,
//!                        and beside an encrypted one its index, <archive's name>.index
//!            tmp/        unfinished attempts; emptied at every start
//!            trash/      removed archives and instances, for the trash window
//!            restored/   instances made by restores, <project>/<instance>/
//!            instances/  what a rebuilt catalog must know of those, <instance>.json
//!            uploads/    the keys of encrypted copies until they are proven
//!            archives.id which folder `archives/` is
//!            data.id     which data directory this is
//!            signing.key what archives are signed with
//!            users.json  who signs in with a password
//!            tested-keys which public keys a decryption was tried with, and when
//!            lock        held by the process that writes here
//! ```

mod folder;
mod identity;
mod index_file;
mod instance_file;
mod layout;
mod listing;
mod opened_path;
mod ownership;
mod pending;
mod proof_file;
mod signing_seed;
mod sweep;
mod tested_keys;
mod trash;
mod upload_key;
mod users;
mod workspace;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use self::folder::{Folder, failed, require_regular_file};
use self::layout::Layout;
use self::opened_path::OpenedPath;
pub(super) use self::pending::PendingFile;
use super::{Pending, Result, Storage, StorageError, StoredArchive};
use crate::domain::{
    BackupId, BadLocation, Clock, InstanceId, Location, ProjectId, ReadAt, SystemClock, Timestamp,
};
use crate::file_url;

pub use identity::{FolderId, KnownArchives, OpenArchives};
pub use layout::DataDirLock;
pub use pending::OpenFile;
pub use trash::Discarded;
pub use workspace::Workspace;

/// With less than this free, a disk is full, also if archives are to leave nothing free: more than the catalog's reserve, which
/// is free on a full disk.
const FULL_BELOW_BYTES: u64 = 4 << 20;

#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// Bytes that archives leave free: the catalog and the rest of the machine need some.
    pub headroom_bytes: u64,
    /// Dates what is put into the trash.
    pub clock: Arc<dyn Clock>,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self { headroom_bytes: 16 << 20, clock: Arc::new(SystemClock) }
    }
}

/// A data directory: archives on a local filesystem, and what else Coffer keeps there. Clones share it.
#[derive(Debug, Clone)]
pub struct Local {
    layout: Arc<Layout>,
}

impl Local {
    /// Opens `data_dir`, and makes the folders that are missing. Only writing needs the [lock](Self::lock).
    pub fn open(data_dir: &Path) -> Result<Self> {
        Self::open_with(data_dir, LocalSettings::default())
    }

    /// The same, with these settings.
    pub fn open_with(data_dir: &Path, settings: LocalSettings) -> Result<Self> {
        let layout = Layout::open(data_dir, settings.headroom_bytes, settings.clock)?;
        Ok(Self { layout: Arc::new(layout) })
    }

    /// How many archives a data directory holds, without making anything there. `None`: none, and none are missed.
    pub fn look(data_dir: &Path) -> Result<Option<usize>> {
        let layout = Layout::at(data_dir, 0, Arc::new(SystemClock))?;
        let known = identity::read(&layout)?;
        let count = if layout.archives.is_dir() { listing::list(&layout)?.len() } else { 0 };
        let elsewhere =
            known.is_some_and(|known| identity::folder(&layout).ok() != Some(known.folder));
        Ok((count > 0 || elsewhere).then_some(count))
    }

    /// A data directory that exists, to read from and for commands beside a running server: nothing is made or
    /// required in it, so that it may also be read-only.
    pub fn existing(data_dir: &Path, settings: LocalSettings) -> Result<Self> {
        let layout = Layout::at(data_dir, settings.headroom_bytes, settings.clock)?;
        Ok(Self { layout: Arc::new(layout) })
    }

    /// Which data directory this is, if it is one and that was ever said. Makes nothing.
    pub fn data_id(data_dir: &Path) -> Result<Option<Uuid>> {
        identity::data_id(data_dir)
    }

    /// Which data directory this is, from now on and wherever it is moved to.
    pub fn make_data_id(&self) -> Result<Uuid> {
        identity::make_data_id(&self.layout)
    }

    /// Which data directory copies to this place; `None`: none has yet. Makes nothing.
    pub(super) fn owner_id(place: &Path) -> Result<Option<Uuid>> {
        identity::owner_id(place)
    }

    /// Says which data directory copies to this place, unless that was said before. Returns the one that does.
    pub(super) fn make_owner_id(&self, owner: Uuid) -> Result<Uuid> {
        identity::make_owner_id(&self.layout, owner)
    }

    /// From now on this data directory copies to this place.
    pub(super) fn replace_owner_id(&self, owner: Uuid) -> Result<()> {
        identity::replace_owner_id(&self.layout, owner)
    }

    /// Fails if a name in a data directory that exists is a link, somebody else's or open to others.
    pub fn check_ownership(data_dir: &Path) -> Result<()> {
        ownership::check(&Folder::open_named(data_dir)?)
    }

    /// Takes the right to write here, until the lock is dropped.
    pub fn lock(&self) -> Result<DataDirLock> {
        self.layout.lock()
    }

    /// Removes what unfinished attempts left behind, and returns how many there were. Called by the process
    /// that holds the lock, before its first attempt.
    pub fn sweep(&self) -> Result<usize> {
        sweep::sweep(&self.layout)
    }

    /// The folder for temporary files, on the same filesystem as everything else here.
    pub fn scratch(&self) -> Result<&Path> {
        // A link in its place is refused.
        drop(Folder::open(&self.layout.tmp)?);
        Ok(&self.layout.tmp)
    }

    /// How many bytes temporary files may take.
    pub fn scratch_room(&self) -> Result<u64> {
        let free = Folder::open(&self.layout.tmp)?.free_bytes()?;
        Ok(free.saturating_sub(self.layout.headroom_bytes))
    }

    /// Opens the folder that is in the place of the archives now; an error if there is none.
    pub fn open_archives(&self) -> Result<OpenArchives> {
        OpenArchives::open(&self.layout)
    }

    /// Which folder that is; it is made if it is missing.
    pub fn make_archives_folder(&self) -> Result<FolderId> {
        identity::make_folder(&self.layout)
    }

    /// What [`Local::remember_archives`] wrote last; `None`: nothing.
    pub fn known_archives(&self) -> Result<Option<KnownArchives>> {
        identity::read(&self.layout)
    }

    /// Remembers which folder holds the archives, durably.
    pub fn remember_archives(&self, known: &KnownArchives) -> Result<()> {
        identity::write(&self.layout, known)
    }

    /// Moves removed archives back to where they were, each with its proof, durably: all of them, or none. It is no
    /// error if one is there already.
    pub fn bring_back(&self, locations: &[Location]) -> Result<()> {
        for (done, location) in locations.iter().enumerate() {
            if let Err(error) = self.bring_back_one(location) {
                for moved in locations.iter().take(done) {
                    if let Err(error) = self.remove(moved) {
                        log::warn!("{moved} was brought back and is not removed again: {error}");
                    }
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn bring_back_one(&self, location: &Location) -> Result<()> {
        let _folders = self.layout.folders.lock();
        let archives = identity::open_known(&self.layout)?;
        let text = location.as_str();
        let path = OpenedPath::make_in(&archives, text)?;
        if trash::bring_back(&self.layout, &path, text)? {
            for beside in [proof_file::path_of(text), index_file::path_of(text)] {
                let path = OpenedPath::make_in(&archives, &beside)?;
                trash::bring_back(&self.layout, &path, &beside)?;
            }
            return Ok(());
        }
        path.remove_empty_folders();
        Err(StorageError::not_found(&self.layout.archives.join(text)))
    }

    /// The archives in the trash.
    pub fn discarded(&self) -> Result<Vec<Discarded>> {
        trash::archives(&self.layout)
    }

    /// Opens an archive in the trash.
    pub fn open_discarded(&self, discarded: &Discarded) -> Result<Arc<dyn ReadAt>> {
        let file = OpenFile::new(trash::open(&self.layout, discarded)?);
        Ok(Arc::new(file.map_err(failed("inspecting", &self.layout.trash))?))
    }

    /// Removes what has been in the trash for at least `window`, and returns how many bytes that was. Needs
    /// no free space.
    pub fn empty_trash(&self, window: Duration) -> Result<u64> {
        trash::empty(&self.layout, window)
    }

    /// The folder of a restored instance, made if it is missing.
    pub fn restored_folder(&self, project: &ProjectId, instance: InstanceId) -> Result<PathBuf> {
        let _folders = self.layout.folders.lock();
        // `make` makes all folders but the last name, so `data` stands for whatever will be restored.
        let inside = format!("{project}/{instance}/data");
        let path = OpenedPath::make(&self.layout.restored, &inside)?;
        Ok(path.folder.path().to_owned())
    }

    /// Moves a restored instance's folder into the trash, durably; on a disk that is short of room it is removed at
    /// once. It is no error if there is none.
    pub fn remove_restored(&self, project: &ProjectId, instance: InstanceId) -> Result<()> {
        let _folders = self.layout.folders.lock();
        let text = format!("{project}/{instance}");
        if let Some(path) = OpenedPath::find(&self.layout.restored, &text)? {
            let trashed = trash::discard(&self.layout, &path, &text, |_anything, _path| Ok(()))?;
            path.remove_empty_folders();
            if self.is_short_of_room()?
                && let Some(name) = trashed
            {
                trash::remove_now(&self.layout, &name)?;
            }
        }
        instance_file::remove(&self.layout, instance)
    }

    /// How many bytes backups may still write, and the size of the filesystem.
    pub fn room(&self) -> Result<(u64, u64)> {
        Folder::open(&self.layout.trash)?.room()
    }

    /// Whether less is free than archives are to leave free, or so little that a full disk needs what is deleted.
    pub fn is_short_of_room(&self) -> Result<bool> {
        let needed = self.layout.headroom_bytes.max(FULL_BELOW_BYTES);
        Ok(Folder::open(&self.layout.trash)?.free_bytes()? < needed)
    }

    /// Removes an archive and its proof for good: without a time in the trash, which takes room. It is no error if there
    /// is none.
    pub fn remove_at_once(&self, location: &Location) -> Result<()> {
        self.discard(location)?.iter().try_for_each(|name| trash::remove_now(&self.layout, name))
    }

    /// Moves an archive and its proof into the trash; returns their names there.
    fn discard(&self, location: &Location) -> Result<Vec<OsString>> {
        let _folders = self.layout.folders.lock();
        let (text, mut names) = (location.as_str(), Vec::new());
        for text in [text, &proof_file::path_of(text), &index_file::path_of(text)] {
            if let Some(path) = OpenedPath::find(&self.layout.archives, text)? {
                names.extend(trash::discard(&self.layout, &path, text, require_regular_file)?);
                path.remove_empty_folders();
            }
        }
        Ok(names)
    }

    /// Keeps what a rebuilt catalog must know of a restored instance, durably, until that is removed.
    pub fn put_instance_file(&self, instance: InstanceId, content: &[u8]) -> Result<()> {
        instance_file::write(&self.layout, instance, content)
    }

    /// What [`Local::put_instance_file`] kept of every restored instance.
    pub fn instance_files(&self) -> Result<Vec<(InstanceId, Vec<u8>)>> {
        instance_file::read_all(&self.layout)
    }

    /// Whether a restored instance has its folder.
    pub fn has_restored(&self, project: &ProjectId, instance: InstanceId) -> Result<bool> {
        instance_file::has_data(&self.layout, project, instance)
    }

    /// The `file://` URL of an archive.
    pub fn url(&self, location: &Location) -> String {
        file_url::of_child(&self.layout.archives_url, location.as_str())
    }

    /// The location of the archive that a `file://` URL names; an error if it is not below `archives/`.
    pub fn locate(&self, text: &str) -> Result<Location, BadLocation> {
        let bad = || BadLocation::new(text);
        let path = file_url::to_path(text).ok_or_else(bad)?;
        // Byte for byte: `Path` would overlook a doubled slash or a `.` on the way.
        let below = path
            .as_os_str()
            .as_encoded_bytes()
            .strip_prefix(self.layout.archives.as_os_str().as_encoded_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"))
            .ok_or_else(bad)?;
        str::from_utf8(below).map_err(|_not_text| bad())?.parse()
    }

    /// The seed of the key that signs archives; `None`: there is none yet. A secret.
    pub fn signing_seed(&self) -> Result<Option<[u8; 32]>> {
        signing_seed::read(&self.layout)
    }

    /// The same; a random one is made if there is none.
    pub fn make_signing_seed(&self) -> Result<[u8; 32]> {
        signing_seed::make(&self.layout)
    }

    /// Which public keys a decryption was tried with, and when last.
    pub fn tested_keys(&self) -> Result<BTreeMap<String, Timestamp>> {
        tested_keys::read(&self.layout)
    }

    /// A decryption was tried now with the secret keys that go with these.
    pub fn note_tested_keys(&self, keys: &[String]) -> Result<()> {
        let mut known = self.tested_keys()?;
        let now = self.layout.clock.now();
        known.extend(keys.iter().map(|key| (key.clone(), now)));
        tested_keys::write(&self.layout, &known)
    }

    /// The inode, time of change in nanoseconds and size of the list of users; `None`: there is none.
    pub fn users_stamp(&self) -> Result<Option<(u64, i128, u64)>> {
        users::stamp(&self.layout)
    }

    /// The list of users; `None`: there is none.
    pub fn users(&self) -> Result<Option<Vec<u8>>> {
        users::read(&self.layout)
    }

    /// Replaces the list of users, durably, by what `change` makes of it.
    pub fn change_users<E>(
        &self,
        change: impl FnOnce(Option<Vec<u8>>) -> Result<String, E>,
    ) -> Result<Result<(), E>> {
        users::change(&self.layout, change)
    }

    /// Keeps what an encrypted upload to a place has to go on with, durably, until it is removed. A secret.
    pub fn put_upload_key(&self, backup: BackupId, place: &str, key: &[u8]) -> Result<()> {
        upload_key::write(&self.layout, backup, place, key)
    }

    /// What [`Local::put_upload_key`] kept.
    pub fn upload_key(&self, backup: BackupId, place: &str) -> Result<Option<Vec<u8>>> {
        upload_key::read(&self.layout, backup, place)
    }

    /// Of which backups and places [`Local::put_upload_key`] kept something.
    pub fn upload_keys(&self) -> Result<Vec<(BackupId, String)>> {
        upload_key::list(&self.layout)
    }

    /// It is not needed any more. It is no error if there is none.
    pub fn remove_upload_key(&self, backup: BackupId, place: &str) -> Result<()> {
        upload_key::remove(&self.layout, backup, place)
    }

    /// Makes the folders that a place for copies needs, in a folder that exists.
    pub(super) fn make_folders_of_place(&self) -> Result<()> {
        self.layout.make_folders_of_place()
    }

    /// Begins a file that outlives this process if it is not published.
    pub(super) fn create_upload(&self, backup: BackupId, attempt: u32) -> Result<PendingFile> {
        PendingFile::create(&self.layout, backup, attempt)
    }

    /// Removes such files that are older than this and that nobody knows.
    pub(super) fn sweep_uploads(
        &self,
        known: &[(BackupId, String)],
        before: Timestamp,
    ) -> Result<usize> {
        sweep::sweep_uploads(&self.layout, known, before)
    }

    /// Opens such a file again, of which this much is used.
    pub(super) fn resume_upload(
        &self,
        backup: BackupId,
        attempt: u32,
        written: u64,
    ) -> Result<PendingFile> {
        PendingFile::resume(&self.layout, backup, attempt, written)
    }

    fn find<'a>(&self, location: &'a Location) -> Result<OpenedPath<'a>> {
        OpenedPath::find(&self.layout.archives, location.as_str())?
            .ok_or_else(|| StorageError::not_found(&self.layout.archives.join(location.as_str())))
    }
}

impl Storage for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>> {
        Ok(Box::new(PendingFile::create(&self.layout, backup, attempt)?))
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        let path = self.find(location)?;
        let file = OpenFile::new(path.folder.open_file(path.name)?);
        Ok(Arc::new(file.map_err(failed("inspecting", &path.path()))?))
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>> {
        let Some(path) = OpenedPath::find(&self.layout.archives, location.as_str())? else {
            return Ok(None);
        };
        let Some(metadata) = path.folder.metadata(path.name)? else { return Ok(None) };
        require_regular_file(&metadata, &path.path())?;
        Ok(Some(listing::stored_archive(location.clone(), &metadata)))
    }

    fn list(&self) -> Result<Vec<StoredArchive>> {
        listing::list(&self.layout)
    }

    /// Moves the archive and its proof into the trash, where they can be fetched back until the trash window is
    /// over.
    fn remove(&self, location: &Location) -> Result<()> {
        self.discard(location).map(drop)
    }

    fn index(&self, location: &Location) -> Result<Option<Arc<dyn ReadAt>>> {
        let Some(path) = OpenedPath::find(&self.layout.archives, location.as_str())? else {
            return Ok(None);
        };
        let Some(file) = index_file::open(&path)? else { return Ok(None) };
        let file = OpenFile::new(file).map_err(failed("inspecting", &path.path()))?;
        Ok(Some(Arc::new(file)))
    }

    fn put_index(
        &self,
        location: &Location,
        fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        index_file::write(&self.layout, location, fill)
    }

    fn remove_index(&self, location: &Location) -> Result<()> {
        index_file::remove(&self.layout, location)
    }

    fn proof(&self, location: &Location) -> Result<Option<Vec<u8>>> {
        match OpenedPath::find(&self.layout.archives, location.as_str())? {
            Some(path) => proof_file::read(&path),
            None => Ok(None),
        }
    }

    fn put_proof(&self, location: &Location, proof: &[u8]) -> Result<()> {
        let _folders = self.layout.folders.lock();
        let path = self.find(location)?;
        // Only to make sure that the archive exists and is a regular file.
        drop(path.folder.open_file(path.name)?);
        proof_file::write(&self.layout, &path, proof)
    }
}
