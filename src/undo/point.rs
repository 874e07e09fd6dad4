//! One undo point: made, exchanged with its target, and removed.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::error::{Result, UndoError, failed, is_unknown};
use super::look::bytes_below;
use super::mounts;
use super::record::{Holds, Identity, PREFIX, Record, sync};
use crate::disk;
use crate::domain::BackupId;
use crate::failpoint;

/// A locked undo point. Dropped before anything was exchanged, it leaves nothing behind.
#[derive(Debug)]
pub struct UndoPoint {
    folder: PathBuf,
    record: Record,
    /// Whether an exchange was under way when it was opened, and was ended or taken back.
    was_settled: bool,
    /// Holds the lock.
    _lock: File,
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest first.
    pub points: Vec<UndoPoint>,
    /// Why others cannot be read.
    pub unreadable: Vec<UndoError>,
}

/// The undo points of what is at `target`.
pub fn beside(target: &Path) -> Result<Found> {
    let target = resolved(target)?;
    let name = target.file_name().unwrap_or_default();
    let mut found = within(&parent_of(&target))?;
    found.points.retain(|it| it.record.name.as_bytes() == name.as_encoded_bytes());
    Ok(found)
}

/// The undo points in a folder. What a process left in the middle of an exchange is ended or taken back, and what one
/// left before that is removed. One that another command works on is passed over.
pub fn within(folder: &Path) -> Result<Found> {
    let mut found = Found::default();
    for entry in fs::read_dir(folder).map_err(failed("listing", folder))?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        match UndoPoint::open(&entry.path()) {
            Ok(Some(point)) if point.is_left_over() => {
                found.unreadable.extend(point.forget().err());
            }
            Ok(Some(point)) => found.points.push(point),
            Ok(None) => {}
            Err(error) => found.unreadable.push(error),
        }
    }
    found.points.sort_by(|a, b| (&b.record.made, &b.folder).cmp(&(&a.record.made, &a.folder)));
    Ok(found)
}

impl UndoPoint {
    /// Makes the folder beside `target`, which must exist, for a restore of this backup that will replace it. `companions`
    /// are the endings of the files that belong to it.
    pub fn make(
        target: &Path,
        backup: BackupId,
        made: String,
        companions: &[&str],
    ) -> Result<Self> {
        let target = resolved(target)?;
        let not_replaceable = |why| UndoError::NotReplaceable { path: target.clone(), why };
        let name = target.file_name().ok_or_else(|| not_replaceable("it has no name"))?;
        let name = name.to_str().ok_or_else(|| not_replaceable("its name is not UTF-8"))?;
        let parent = parent_of(&target);
        let (own, above) = (metadata(&target)?, metadata(&parent)?);
        if own.dev() != above.dev() {
            return Err(not_replaceable(
                "it is a mount point, which cannot be replaced: restore to another path",
            ));
        }
        mounts::require_none_below(&target)?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent);
        let folder = folder.map_err(failed("making an undo point in", &parent))?;
        let lock = lock(folder.path())?
            .ok_or_else(|| UndoError::Busy { path: folder.path().to_owned() })?;
        let record = Record::new(name.to_owned(), backup, made, companions);
        record.write(folder.path())?;
        let point = Self { folder: folder.keep(), record, was_settled: false, _lock: lock };
        point.make_slot(1)?;
        Ok(point)
    }

    /// Opens and locks one. `None`: it is none, or another command works on it.
    fn open(folder: &Path) -> Result<Option<Self>> {
        if !fs::symlink_metadata(folder).is_ok_and(|it| it.is_dir()) {
            return Ok(None);
        }
        let Some(lock) = lock(folder)? else { return Ok(None) };
        let Some(record) = Record::read(folder)? else { return Ok(None) };
        let was_settled = record.incoming.is_some();
        let mut point = Self { folder: folder.to_owned(), record, was_settled, _lock: lock };
        point.settle()?;
        Ok(Some(point))
    }

    /// Its short name, for commands.
    pub fn id(&self) -> &str {
        let name = self.folder.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        name.strip_prefix(PREFIX).unwrap_or(name)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it belongs to.
    pub fn target(&self) -> PathBuf {
        parent_of(&self.folder).join(&self.record.name)
    }

    /// The backup that was restored.
    pub const fn backup(&self) -> BackupId {
        self.record.backup
    }

    /// When that restore began.
    pub fn made(&self) -> &str {
        &self.record.made
    }

    /// Whether an exchange was under way when it was opened, and was ended or taken back.
    pub const fn was_settled(&self) -> bool {
        self.was_settled
    }

    pub const fn holds(&self) -> Holds {
        self.record.holds
    }

    /// The endings of the files that belong to what is restored.
    pub fn companions(&self) -> Vec<&str> {
        self.record.companions.iter().map(String::as_str).collect()
    }

    /// Where to restore to, before the exchange; and what it holds, after it.
    pub fn held(&self) -> PathBuf {
        self.in_slot(self.record.slot, "")
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> u64 {
        bytes_below(&self.folder)
    }

    /// Exchanges what it holds with what is at the target. Afterwards it holds that.
    pub fn exchange(&mut self) -> Result<()> {
        let (target, held) = (self.target(), self.held());
        let Some(incoming) = identity(&held)? else {
            return Err(UndoError::Empty { path: self.folder.clone() });
        };
        let to = self.record.slot.saturating_add(1);
        self.record.incoming = Some(incoming);
        self.record.write(&self.folder)?;
        failpoint::at("undo-recorded");
        self.make_slot(to)?;
        for ending in &self.record.companions {
            move_if_there(&beside_path(&target, ending), &self.in_slot(to, ending))?;
        }
        self.sync_all()?;
        failpoint::at("undo-companions-moved");
        match renameat_with(CWD, &held, CWD, &target, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            // Somebody has removed it.
            Err(Errno::NOENT) => disk::rename_to_free_name((CWD, &held), (CWD, &target))
                .map_err(failed("placing", &target))?,
            Err(error) => {
                self.settle()?;
                return Err(if is_unknown(error) {
                    UndoError::NoExchange { path: target }
                } else {
                    failed("exchanging", &target)(error)
                });
            }
        }
        self.sync_all()?;
        failpoint::at("undo-exchanged");
        self.settle()
    }

    /// Ends an exchange that is under way, or takes it back if it was not made. May be done again.
    fn settle(&mut self) -> Result<()> {
        let Some(incoming) = self.record.incoming else { return Ok(()) };
        let target = self.target();
        let (from, to) = (self.record.slot, self.record.slot.saturating_add(1));
        if identity(&target)? == Some(incoming) {
            for ending in &self.record.companions {
                move_if_there(&self.in_slot(from, ending), &beside_path(&target, ending))?;
            }
            move_if_there(&self.in_slot(from, ""), &self.in_slot(to, ""))?;
            self.sync_all()?;
            failpoint::at("undo-joined");
            self.remove_slot(from)?;
            self.record.slot = to;
            self.record.holds = match self.record.holds {
                Holds::Replaced => Holds::Restored,
                Holds::Unfinished | Holds::Restored | Holds::Discarded => Holds::Replaced,
            };
        } else {
            for ending in &self.record.companions {
                move_if_there(&self.in_slot(to, ending), &beside_path(&target, ending))?;
            }
            self.remove_slot(to)?;
        }
        self.sync_all()?;
        self.record.incoming = None;
        self.record.write(&self.folder)
    }

    /// Removes it with everything that it holds.
    pub fn forget(mut self) -> Result<()> {
        mounts::require_none_below(&self.folder)?;
        self.record.holds = Holds::Discarded;
        self.record.write(&self.folder)?;
        failpoint::at("undo-discarded");
        disk::remove_tree(&self.folder).map_err(failed("removing", &self.folder))?;
        sync(&parent_of(&self.folder))
    }

    /// Whether nothing of it is of use.
    fn is_left_over(&self) -> bool {
        matches!(self.record.holds, Holds::Unfinished | Holds::Discarded)
    }

    fn slot(&self, number: u32) -> PathBuf {
        self.folder.join(number.to_string())
    }

    fn in_slot(&self, number: u32, ending: &str) -> PathBuf {
        beside_path(&self.slot(number).join(&self.record.name), ending)
    }

    fn make_slot(&self, number: u32) -> Result<()> {
        let slot = self.slot(number);
        match DirBuilder::new().mode(0o700).create(&slot) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(failed("making", &slot)(error))
            }
            _exists => sync(&self.folder),
        }
    }

    /// Removes an empty slot.
    fn remove_slot(&self, number: u32) -> Result<()> {
        let slot = self.slot(number);
        match fs::remove_dir(&slot) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("removing", &slot)(error))
            }
            _gone => Ok(()),
        }
    }

    /// Makes the names durable of everything that is moved.
    fn sync_all(&self) -> Result<()> {
        let slots = [self.record.slot, self.record.slot.saturating_add(1)];
        for slot in slots.map(|it| self.slot(it)).iter().filter(|it| it.exists()) {
            sync(slot)?;
        }
        sync(&self.folder)?;
        sync(&parent_of(&self.folder))
    }
}

impl Drop for UndoPoint {
    fn drop(&mut self) {
        if self.record.holds == Holds::Unfinished
            && self.record.incoming.is_none()
            && let Err(error) = disk::remove_tree(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("{} could not be removed: {error}", self.folder.display());
        }
    }
}

/// The path without links, so that what is replaced is what a program opens by it.
fn resolved(target: &Path) -> Result<PathBuf> {
    // Of what was removed, the folder that it was in.
    match fs::canonicalize(target) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = parent_of(target);
            let name = target.file_name().unwrap_or_default();
            let found = fs::canonicalize(&parent);
            found
                .map(|it| it.join(name))
                .map_err(|_gone| UndoError::NothingThere { path: target.to_owned() })
        }
        Err(error) => Err(failed("finding", target)(error)),
    }
}

fn metadata(path: &Path) -> Result<Metadata> {
    fs::symlink_metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => UndoError::NothingThere { path: path.to_owned() },
        _ => failed("inspecting", path)(error),
    })
}

/// What is at the path, whatever it is; `None`: certainly nothing.
fn identity(path: &Path) -> Result<Option<Identity>> {
    match metadata(path) {
        Ok(found) => Ok(Some(Identity { device: found.dev(), inode: found.ino() })),
        Err(UndoError::NothingThere { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn move_if_there(from: &Path, to: &Path) -> Result<()> {
    match disk::rename_to_free_name((CWD, from), (CWD, to)) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("moving", from)(error)),
    }
}

fn beside_path(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Locks a folder of this user's as long as the file is open. `None`: another process has it, or it is gone.
fn lock(folder: &Path) -> Result<Option<File>> {
    let opened = match disk::open_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("opening", folder))?,
    };
    let found = opened.metadata().map_err(failed("inspecting", folder))?;
    if found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(UndoError::Foreign { path: folder.to_owned(), owner: found.uid() });
    }
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(opened)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed("locking", folder)(error)),
    }
}
