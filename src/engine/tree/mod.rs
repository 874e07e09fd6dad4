//! Writes entries into a new tree, for restores.
//!
//! Archives can be hostile: nothing is ever written through a link an earlier entry made, because every
//! folder is opened component by component from the root of the new tree, following none. Folders get
//! their modes and times last, deepest first; files when their last byte is written, so that a tree of
//! any number of files needs memory for its folders only.

mod beneath;
mod load;
mod metadata;
mod place;
mod staging;

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, mkdirat, openat, symlinkat};
use rustix::io::Errno;

pub(super) use self::beneath::{open_folder, split};
pub(super) use self::load::{FolderLoad, path_of};
use self::metadata::{Metadata, Tally, adorn_link};
use self::place::FilePlace;
pub(super) use self::staging::Staging;
use super::look::look;
use super::{EngineError, printable};
use crate::domain::{Entry, EntryKind, EntryPath, WriteAt};
use crate::early_sync::EarlySync;

/// How many files are remembered as being written before those that are done are forgotten.
const FORGET_AT: usize = 256;

/// A tree that is being written. Dropped without [`Tree::finish`] it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    staging: Staging,
    folders: Vec<(EntryPath, Metadata)>,
    open: Vec<Weak<FilePlace>>,
    forget_at: usize,
    parent: Option<(Vec<u8>, OwnedFd)>,
    tally: Arc<Tally>,
    early: Arc<Mutex<EarlySync>>,
}

impl Tree {
    /// An empty tree in `staging`.
    pub(super) fn new(staging: Staging) -> Result<Self, EngineError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(staging.path(), flags, Mode::empty())
            .map_err(|error| EngineError::target("opening", staging.path(), error))?;
        Ok(Self {
            root,
            staging,
            folders: Vec::new(),
            open: Vec::new(),
            forget_at: FORGET_AT,
            parent: None,
            tally: Arc::default(),
            early: Arc::default(),
        })
    }

    /// Makes the entry; for a file that is not empty, gives the place for its content.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        let metadata = Metadata::of(entry).ok_or_else(|| {
            EngineError::archive(format!(
                "the time of {} in the archive is out of range",
                printable(&entry.path)
            ))
        })?;
        if entry.path.is_root() {
            return self.root_entry(entry, metadata);
        }
        let (folder, name) = split(entry.path.as_bytes());
        let place = match &entry.kind {
            EntryKind::Directory => {
                let parent = self.parent(folder)?;
                mkdirat(parent, OsStr::from_bytes(name), Mode::RWXU)
                    .map_err(|error| self.failed(&entry.path, error))?;
                self.folders.push((entry.path.clone(), metadata));
                None
            }
            EntryKind::File { size, .. } => self.file(&entry.path, *size, metadata)?,
            EntryKind::Symlink { target } => {
                let (name, tally) = (OsStr::from_bytes(name), Arc::clone(&self.tally));
                let parent = self.parent(folder)?;
                symlinkat(OsStr::from_bytes(target), parent, name)
                    .and_then(|()| adorn_link(parent, name, &metadata, &tally))
                    .map_err(|error| self.failed(&entry.path, error))?;
                None
            }
            EntryKind::HardLink { to } => {
                self.hard_link(&entry.path, to)?;
                None
            }
        };
        Ok(place)
    }

    /// Everything is written: sets what is still to be set and makes it durable.
    pub(super) fn finish(mut self) -> Result<Staging, EngineError> {
        for place in self.open.drain(..).filter_map(|place| place.upgrade()) {
            place.seal();
        }
        // An engine may open the files next: no thread may close one of them then, and with it SQLite's locks.
        let ended = self.early.lock().unwrap_or_else(PoisonError::into_inner).end();
        ended.map_err(|error| EngineError::target("syncing", self.staging.path(), error))?;
        if let Some((path, error)) = self.tally.take_failure() {
            return Err(EngineError::target("restoring", &path, error));
        }
        // Children come after their folder, so backwards means deepest first.
        for (path, metadata) in self.folders.drain(..).rev() {
            let shown = self.staging.path().join(path.as_path());
            open_folder(self.root.as_fd(), path.as_bytes(), OFlags::RDONLY)
                .and_then(|folder| metadata.adorn(folder.as_fd(), &self.tally))
                .map_err(|error| EngineError::target("restoring", &shown, error))?;
        }
        rustix::fs::syncfs(&self.root)
            .map_err(|error| EngineError::target("syncing", self.staging.path(), error))?;
        self.tally.report();
        Ok(self.staging)
    }

    fn root_entry(
        &mut self,
        entry: &Entry,
        metadata: Metadata,
    ) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        if entry.kind != EntryKind::Directory || !self.folders.is_empty() {
            return Err(EngineError::archive("the archive's root is not one folder"));
        }
        self.folders.push((EntryPath::root(), metadata));
        Ok(None)
    }

    fn file(
        &mut self,
        path: &EntryPath,
        size: u64,
        metadata: Metadata,
    ) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        let (folder, name) = split(path.as_bytes());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = self.parent(folder)?;
        let file = openat(parent, OsStr::from_bytes(name), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| self.failed(path, error))?;
        let shown = self.shown(path);
        let shared = (Arc::clone(&self.tally), Arc::clone(&self.early));
        let place = FilePlace::new(file, shown, size, metadata, shared)
            .map_err(|error| EngineError::target("making", &self.shown(path), error))?;
        if size == 0 {
            return Ok(None);
        }
        let place = Arc::new(place);
        if self.open.len() >= self.forget_at {
            self.open.retain(|place| place.strong_count() > 0);
            self.forget_at = FORGET_AT.max(self.open.len() * 2);
        }
        self.open.push(Arc::downgrade(&place));
        Ok(Some(place))
    }

    /// Links only to a regular file of this tree: a link to a link would let a later one leave it.
    fn hard_link(&mut self, path: &EntryPath, to: &EntryPath) -> Result<(), EngineError> {
        let (folder, name) = split(to.as_bytes());
        let from_name = OsStr::from_bytes(name);
        let from = open_folder(self.root.as_fd(), folder, OFlags::PATH)
            .and_then(|from| Ok((look(from.as_fd(), from_name)?.kind, from)));
        let from = match from {
            Ok((FileType::RegularFile, from)) => from,
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                return Err(EngineError::archive(format!(
                    "{} is a hard link to {}, which is no file that came before it",
                    printable(path),
                    printable(to)
                )));
            }
            Err(error) => return Err(self.failed(to, error)),
        };
        let (folder, name) = split(path.as_bytes());
        let parent = self.parent(folder)?;
        linkat(from, from_name, parent, OsStr::from_bytes(name), AtFlags::empty())
            .map_err(|error| self.failed(path, error))
    }

    /// The open folder an entry goes into. Entries come folder by folder, so it is often the last one.
    fn parent(&mut self, folder: &[u8]) -> Result<BorrowedFd<'_>, EngineError> {
        let known = self.parent.as_ref().is_some_and(|(path, _)| path == folder);
        if !known {
            let opened = open_folder(self.root.as_fd(), folder, OFlags::PATH);
            let opened = opened.map_err(|error| match error {
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP => EngineError::archive(format!(
                    "the archive puts something into {}, which is not a folder in it",
                    String::from_utf8_lossy(folder)
                )),
                other => EngineError::target("opening a folder in", self.staging.path(), other),
            })?;
            self.parent = Some((folder.to_vec(), opened));
        }
        Ok(self.parent.as_ref().map_or(self.root.as_fd(), |(_, folder)| folder.as_fd()))
    }

    fn failed(&self, path: &EntryPath, error: Errno) -> EngineError {
        match error {
            Errno::EXIST => {
                EngineError::archive(format!("the archive holds {} twice", printable(path)))
            }
            Errno::NAMETOOLONG | Errno::INVAL => EngineError::archive(format!(
                "{} cannot be made on this filesystem: {error}",
                printable(path)
            )),
            other => EngineError::target("making", &self.shown(path), other),
        }
    }

    fn shown(&self, path: &EntryPath) -> PathBuf {
        self.staging.path().join(path.as_path())
    }
}
