//! The folder that a stream is unpacked into.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Broken;
use super::chunk::malformed;
use crate::domain::EntryPath;

/// What is written, or left a hole, at a time: a block of the usual filesystems.
const BLOCK: usize = 4096;

/// What a server gives its own files and folders.
const FILE_MODE: u32 = 0o660;
const FOLDER_MODE: u32 = 0o700;

/// A folder, and the files in it that are not whole yet.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    root: &'a Path,
    original: &'a Path,
    open: HashMap<EntryPath, Open>,
}

/// A file between its first chunk and its end.
#[derive(Debug)]
pub(super) struct Open {
    file: File,
    path: PathBuf,
    holes: bool,
    length: u64,
}

impl Open {
    fn new(
        (root, original): (&Path, &Path),
        name: &EntryPath,
        replaces: bool,
    ) -> Result<Self, Broken> {
        let path = root.join(name.as_path());
        match create(&path, replaces) {
            Ok(file) => {
                let original = fs::metadata(original.join(name.as_path()));
                let holes = original.is_ok_and(|it| it.blocks().saturating_mul(512) < it.len());
                Ok(Self { file, path, holes, length: 0 })
            }
            Err(error) => Err(Broken::Folder(path, error)),
        }
    }

    /// Writes bytes where they belong.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Broken> {
        let end = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        // What was written before is not left to stand where zeros come now.
        let written = if self.holes && offset >= self.length {
            self.write_around_holes(bytes, offset)
        } else {
            self.file.write_all_at(bytes, offset)
        };
        self.length = self.length.max(end);
        written.map_err(|error| Broken::Folder(self.path.clone(), error))
    }

    fn write_around_holes(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        for (block, at) in bytes.chunks(BLOCK).zip((offset..).step_by(BLOCK)) {
            if block.iter().any(|byte| *byte != 0) {
                self.file.write_all_at(block, at)?;
            }
        }
        Ok(())
    }
}

impl<'a> Folder<'a> {
    /// `root` is empty; the files of `original` tell which are to have holes.
    pub(super) fn new(root: &'a Path, original: &'a Path) -> Self {
        Self { root, original, open: HashMap::new() }
    }

    /// The file that content is for.
    pub(super) fn file(&mut self, path: &EntryPath, replaces: bool) -> Result<&mut Open, Broken> {
        match self.open.entry(path.clone()) {
            Slot::Occupied(open) => Ok(open.into_mut()),
            Slot::Vacant(slot) => {
                Ok(slot.insert(Open::new((self.root, self.original), path, replaces)?))
            }
        }
    }

    /// A file is whole.
    pub(super) fn end(&mut self, path: &EntryPath) -> Result<(), Broken> {
        // One of no bytes had no content.
        let open = match self.open.remove(path) {
            Some(open) => open,
            None => Open::new((self.root, self.original), path, false)?,
        };
        // Behind the last block that was written there may be a hole.
        open.file.set_len(open.length).map_err(|error| Broken::Folder(open.path, error))
    }

    /// The server renamed a file. What was copied under its new name already stays.
    pub(super) fn rename(&self, from: &EntryPath, to: &EntryPath) -> Result<(), Broken> {
        let (from, to) = (self.closed(from)?, self.closed(to)?);
        let renamed = rustix::fs::rename(&from, to).map_err(io::Error::from);
        unless_absent(renamed).map_err(|error| Broken::Folder(from, error))
    }

    /// The server removed a file, a folder, or all files whose names begin so.
    pub(super) fn remove(&self, path: &EntryPath) -> Result<(), Broken> {
        let target = self.closed(path)?;
        let removed = if path.as_bytes().ends_with(b"*") {
            remove_alike(&target)
        } else if target.is_dir() {
            fs::remove_dir_all(&target)
        } else {
            fs::remove_file(&target)
        };
        unless_absent(removed).map_err(|error| Broken::Folder(target, error))
    }

    /// Where a file is that nothing is being written to.
    fn closed(&self, path: &EntryPath) -> Result<PathBuf, Broken> {
        if self.open.contains_key(path) {
            return Err(malformed(format!("{path} is renamed or removed before its end")).into());
        }
        Ok(self.root.join(path.as_path()))
    }

    /// The stream has ended: so must all files have.
    pub(super) fn finish(self) -> Result<(), Broken> {
        match self.open.keys().next() {
            None => Ok(()),
            Some(path) => {
                let what = format!("the stream ends in the middle of {path}");
                Err(io::Error::new(ErrorKind::UnexpectedEof, what).into())
            }
        }
    }
}

/// Makes the file, and the folders it is in.
fn create(path: &Path, replaces: bool) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(parent)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    if replaces {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path)
}

/// Removes the files beside `pattern` that begin like it, but for the `*` it ends with.
fn remove_alike(pattern: &Path) -> io::Result<()> {
    let name = pattern.file_name().map_or(&b""[..], OsStr::as_bytes);
    let begin = name.strip_suffix(b"*").unwrap_or(name);
    if begin.is_empty() {
        return Ok(());
    }
    for entry in fs::read_dir(pattern.parent().unwrap_or(pattern))? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(begin) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// It is as well if there was nothing to rename or remove: it was not copied yet.
fn unless_absent(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
