//! Writes the entries of an archive into a staging folder.
//!
//! Folders get their metadata last, the deepest first; files as soon as their content is complete, so that only the
//! metadata of folders is kept in memory.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::beneath::{Folders, split};
use super::file::{RestoredFile, Shared};
use super::metadata::Metadata;
use super::staging::Staging;
use crate::domain::{Entry, EntryKind, EntryPath, WriteAt};
use crate::engine::file_stat::stat_at;
use crate::engine::{EngineError, Owners, Result, printable};

/// How many files may be in the list of those being written before closed ones are removed from it.
const PRUNE_AT: usize = 256;

/// A tree that is being written. Dropped without [`Tree::finish`] it leaves nothing behind.
#[derive(Debug)]
pub(in crate::engine) struct Tree {
    staging: Staging,
    /// Whether what is lost of the archive's metadata matters.
    owners: Owners,
    opened: Folders,
    folders: Vec<(EntryPath, Metadata)>,
    files: Vec<Weak<RestoredFile>>,
    prune_at: usize,
    shared: Arc<Shared>,
}

impl Tree {
    pub(in crate::engine) fn new(staging: Staging, owners: Owners) -> Result<Self> {
        let root = staging.opened()?;
        Ok(Self {
            opened: Folders::below(root),
            staging,
            owners,
            folders: Vec::new(),
            files: Vec::new(),
            prune_at: PRUNE_AT,
            shared: Arc::default(),
        })
    }

    /// Creates the entry. Returns a file that is not empty, to be written.
    pub(in crate::engine) fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
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
        let file = match &entry.kind {
            EntryKind::Directory => {
                let parent = self.parent(folder)?;
                mkdirat(parent, OsStr::from_bytes(name), Mode::RWXU)
                    .map_err(|error| self.failed(&entry.path, error))?;
                self.folders.push((entry.path.clone(), metadata));
                None
            }
            EntryKind::File { size, .. } => self.file(&entry.path, *size, metadata)?,
            EntryKind::Symlink { target } => {
                let (name, shared) = (OsStr::from_bytes(name), Arc::clone(&self.shared));
                let parent = self.parent(folder)?;
                symlinkat(OsStr::from_bytes(target), parent, name)
                    .and_then(|()| metadata.apply_to_link(parent, name, &shared.problems))
                    .map_err(|error| self.failed(&entry.path, error))?;
                None
            }
            EntryKind::HardLink { to } => {
                self.hard_link(&entry.path, to)?;
                None
            }
        };
        Ok(file)
    }

    /// Sets the remaining metadata, and makes everything durable. The content must be complete.
    pub(in crate::engine) fn finish(mut self) -> Result<Staging> {
        for file in self.files.drain(..).filter_map(|file| file.upgrade()) {
            file.complete();
        }
        // Waits until the background syncs have closed their files: the engine may open one next, and closing it then
        // would release SQLite's locks.
        let small = self.shared.small_files.lock().finish();
        let large = self.shared.large_files.lock().finish();
        small
            .and(large)
            .map_err(|error| EngineError::target("syncing", self.staging.path(), error))?;
        if let Some((path, error)) = self.shared.problems.take_failure() {
            return Err(EngineError::target("restoring", &path, error));
        }
        // Members come after their folder, so the reverse order is deepest first.
        for (path, metadata) in self.folders.drain(..).rev() {
            let shown = self.staging.path().join(path.as_path());
            self.opened
                .opened(path.as_bytes())
                .and_then(|folder| metadata.apply(folder.as_fd(), &self.shared.problems))
                .map_err(|error| EngineError::target("restoring", &shown, error))?;
        }
        self.opened
            .at(b"")
            .and_then(rustix::fs::syncfs)
            .map_err(|error| EngineError::target("syncing", self.staging.path(), error))?;
        if self.owners == Owners::FromArchive {
            self.staging.lost = self.shared.problems.lost();
        }
        Ok(self.staging)
    }

    fn root_entry(
        &mut self,
        entry: &Entry,
        metadata: Metadata,
    ) -> Result<Option<Arc<dyn WriteAt>>> {
        if entry.kind != EntryKind::Directory || !self.folders.is_empty() {
            return Err(EngineError::archive("the archive's root is not a single folder"));
        }
        self.folders.push((EntryPath::root(), metadata));
        Ok(None)
    }

    fn file(
        &mut self,
        path: &EntryPath,
        size: u64,
        metadata: Metadata,
    ) -> Result<Option<Arc<dyn WriteAt>>> {
        let (folder, name) = split(path.as_bytes());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = self.parent(folder)?;
        let file = openat(parent, OsStr::from_bytes(name), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| self.failed(path, error))?;
        let shown = self.shown(path);
        let file = RestoredFile::new(file, shown, size, metadata, Arc::clone(&self.shared))
            .map_err(|error| EngineError::target("creating", &self.shown(path), error))?;
        if size == 0 {
            return Ok(None);
        }
        let file = Arc::new(file);
        if self.files.len() >= self.prune_at {
            self.files.retain(|file| file.strong_count() > 0);
            self.prune_at = PRUNE_AT.max(self.files.len() * 2);
        }
        self.files.push(Arc::downgrade(&file));
        Ok(Some(file))
    }

    /// Removes a file that was created.
    pub(super) fn remove(&mut self, path: &EntryPath) -> Result<()> {
        let (folder, name) = split(path.as_bytes());
        let parent = self.parent(folder)?;
        unlinkat(parent, OsStr::from_bytes(name), AtFlags::empty())
            .map_err(|error| EngineError::target("removing", &self.shown(path), error))
    }

    /// Links only to a file or symbolic link of this tree. The latter is not followed.
    fn hard_link(&mut self, path: &EntryPath, to: &EntryPath) -> Result<()> {
        let (folder, name) = split(to.as_bytes());
        let from_name = OsStr::from_bytes(name);
        let from = self.opened.at(folder).and_then(|from| {
            let kind = stat_at(from, from_name)?.kind;
            Ok((kind, from.try_clone_to_owned().map_err(|_error| Errno::MFILE)?))
        });
        let from = match from {
            Ok((FileType::RegularFile | FileType::Symlink, from)) => from,
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                return Err(EngineError::archive(format!(
                    "{} is a hard link to {}, which is not an earlier file",
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

    fn parent(&mut self, folder: &[u8]) -> Result<BorrowedFd<'_>> {
        let staging = self.staging.path();
        self.opened.at(folder).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => EngineError::archive(format!(
                "the archive has an entry in {}, which is not a folder of the archive",
                String::from_utf8_lossy(folder)
            )),
            other => EngineError::target("opening a folder in", staging, other),
        })
    }

    fn failed(&self, path: &EntryPath, error: Errno) -> EngineError {
        match error {
            Errno::EXIST => {
                EngineError::archive(format!("the archive holds {} twice", printable(path)))
            }
            Errno::NAMETOOLONG | Errno::INVAL => EngineError::archive(format!(
                "{} cannot be created on this filesystem: {error}",
                printable(path)
            )),
            other => EngineError::target("creating", &self.shown(path), other),
        }
    }

    fn shown(&self, path: &EntryPath) -> PathBuf {
        self.staging.path().join(path.as_path())
    }
}
