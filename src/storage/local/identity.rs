//! Which data directory this is, and which folder holds the archives. `data.id` and `archives.id` in the data directory
//! say it, so that an empty mount point or another disk is not taken for it.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::folder::{Folder, failed};
use super::layout::{self, Layout};
use super::opened_path::OpenedPath;
use crate::disk;
use crate::domain::{Location, Timestamp};
use crate::storage::{Result, StorageError};

/// What tells one folder from another. It outlives a rename and a new mount; that of a copy is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderId {
    inode: u64,
    /// When it was made, in nanoseconds since 1970, where the filesystem says so.
    made: Option<u64>,
}

impl FolderId {
    fn of(folder: &Folder) -> Result<Self> {
        let metadata = folder.own_metadata()?;
        let made = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let made = made.and_then(|since| u64::try_from(since.as_nanos()).ok());
        Ok(Self { inode: metadata.ino(), made })
    }
}

/// What is remembered of the archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownArchives {
    /// Their folder.
    pub folder: FolderId,
    /// A person said that the archives of backups made until then, in microseconds since 1970, are lost for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_until: Option<i64>,
}

impl KnownArchives {
    /// They are in this folder.
    pub const fn new(folder: FolderId) -> Self {
        Self { folder, lost_until: None }
    }

    /// The same, but those of backups made until then are lost for good.
    #[must_use]
    pub const fn lost_until(self, at: Timestamp) -> Self {
        Self { lost_until: Some(at.as_micros()), ..self }
    }

    /// Archives of backups made after this should be there.
    pub fn expected_after(&self) -> Timestamp {
        Timestamp::from_micros(self.lost_until.unwrap_or(-1))
    }

    /// The same in another folder.
    #[must_use]
    pub const fn moved_to(self, folder: FolderId) -> Self {
        Self { folder, ..self }
    }
}

/// The folder that holds the archives, or what is in its place, open: what is asked of it is all of one folder, also if
/// another is put there meanwhile.
#[derive(Debug)]
pub struct OpenArchives {
    folder: Folder,
    id: FolderId,
}

impl OpenArchives {
    /// An error if there is no folder.
    pub(super) fn open(layout: &Layout) -> Result<Self> {
        let folder = Folder::open(&layout.archives)?;
        Ok(Self { id: FolderId::of(&folder)?, folder })
    }

    pub const fn id(&self) -> FolderId {
        self.id
    }

    /// Whether it holds an archive in this location.
    pub fn has(&self, location: &Location) -> bool {
        let found = OpenedPath::find_in(&self.folder, location.as_str());
        let found = found.and_then(|path| path.map(|it| it.folder.metadata(it.name)).transpose());
        matches!(found, Ok(Some(Some(metadata))) if metadata.is_file())
    }
}

/// The folder of the archives as it is now; an error if there is none.
pub(super) fn folder(layout: &Layout) -> Result<FolderId> {
    OpenArchives::open(layout).map(|it| it.id)
}

/// Makes the folder of the archives, if it is missing.
pub(super) fn make_folder(layout: &Layout) -> Result<FolderId> {
    layout::make_folder(&layout.archives)?;
    folder(layout)
}

/// What is remembered. `None`: nothing, or nothing that can be read.
pub(super) fn read(layout: &Layout) -> Result<Option<KnownArchives>> {
    match disk::read_small(&layout.archives_id) {
        Ok(json) => Ok(serde_json::from_str(&json)
            .inspect_err(|error| {
                log::warn!("{} is not used: {error}", layout.archives_id.display());
            })
            .ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("reading", &layout.archives_id)(error)),
    }
}

/// Opens the folder of the archives. Fails if nothing, or another folder, is in its place.
pub(super) fn open_known(layout: &Layout) -> Result<Folder> {
    let known = read(layout)?;
    let why = match OpenArchives::open(layout) {
        Ok(it) if known.is_none_or(|known| known.folder == it.id) => return Ok(it.folder),
        Ok(_other) => "this is not the folder that the archives were in".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(StorageError::NotInPlace { what: layout.archives.display().to_string(), why })
}

/// The file that says which data directory this is.
pub(super) const DATA_ID: &str = "data.id";

/// The file of a place that says which data directory copies to it.
pub(super) const OWNER_ID: &str = "owner.id";

/// Which data directory this is; `None`: it was never said, or it does not exist.
pub(super) fn data_id(root: &Path) -> Result<Option<Uuid>> {
    read_id(root, DATA_ID)
}

/// Which data directory copies to this place; `None`: none has yet.
pub(super) fn owner_id(root: &Path) -> Result<Option<Uuid>> {
    read_id(root, OWNER_ID)
}

/// Says which data directory copies to this place, unless that was said before. Returns the one that does.
pub(super) fn make_owner_id(layout: &Layout, owner: Uuid) -> Result<Uuid> {
    if let Some(known) = owner_id(&layout.root)? {
        return Ok(known);
    }
    let folder = Folder::open_named(&layout.root)?;
    let content = format!("{owner}\n");
    if layout.add_file(&folder, OWNER_ID.as_ref(), content.as_bytes())? {
        return Ok(owner);
    }
    // Another process was faster.
    Ok(owner_id(&layout.root)?.unwrap_or(owner))
}

/// Says which data directory copies to this place, whatever was said before.
pub(super) fn replace_owner_id(layout: &Layout, owner: Uuid) -> Result<()> {
    let folder = Folder::open_named(&layout.root)?;
    layout.replace_file(&folder, OWNER_ID.as_ref(), format!("{owner}\n").as_bytes())
}

fn read_id(root: &Path, name: &str) -> Result<Option<Uuid>> {
    let folder = match Folder::open_named(root) {
        Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        opened => opened?,
    };
    let file = match folder.open_file(name.as_ref()) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    let path = folder.path_of(name);
    file.take(64).read_to_string(&mut text).map_err(failed("reading", &path))?;
    let id = text.trim().parse().map_err(|bad: uuid::Error| io::Error::other(bad.to_string()));
    id.map(Some).map_err(failed("reading", &path))
}

/// The same; an id is made if there is none.
pub(super) fn make_data_id(layout: &Layout) -> Result<Uuid> {
    if let Some(known) = data_id(&layout.root)? {
        return Ok(known);
    }
    let id = Uuid::new_v4();
    let folder = Folder::open_named(&layout.root)?;
    layout.replace_file(&folder, DATA_ID.as_ref(), format!("{id}\n").as_bytes())?;
    Ok(id)
}

/// Remembers this instead.
pub(super) fn write(layout: &Layout, known: &KnownArchives) -> Result<()> {
    let json = serde_json::to_vec(known).expect("numbers are valid JSON");
    layout.replace_file(&Folder::open_named(&layout.root)?, layout::ARCHIVES_ID.as_ref(), &json)
}
