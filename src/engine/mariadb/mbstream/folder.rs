//! The folder into which a stream is unpacked.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::chunk::{UnpackError, malformed};
use crate::domain::{EntryPath, num};

/// The smallest hole: a block of most filesystems.
const BLOCK: usize = 4096;

/// The modes that a server gives its own files and folders.
pub(in crate::engine::mariadb) const FILE_MODE: u32 = 0o660;
const FOLDER_MODE: u32 = 0o700;

/// A folder, and the files in it that are not complete yet.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    root: &'a Path,
    original: &'a Path,
    open: HashMap<EntryPath, OpenFile>,
}

/// A file between its first chunk and its end.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    path: PathBuf,
    sparse: bool,
    length: u64,
}

impl OpenFile {
    fn new(
        (root, original): (&Path, &Path),
        name: &EntryPath,
        replaces: bool,
    ) -> Result<Self, UnpackError> {
        let path = root.join(name.as_path());
        match create(&path, replaces) {
            Ok(file) => {
                let original = fs::metadata(original.join(name.as_path()));
                let sparse = original.is_ok_and(|it| it.blocks().saturating_mul(512) < it.len());
                Ok(Self { file, path, sparse, length: 0 })
            }
            Err(error) => Err(UnpackError::Folder(path, error)),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), UnpackError> {
        let end = offset.saturating_add(num::to_u64(bytes.len()));
        // Over bytes that were written before, zeros must be written too.
        let written = if self.sparse && offset >= self.length {
            self.write_sparse(bytes, offset)
        } else {
            self.file.write_all_at(bytes, offset)
        };
        self.length = self.length.max(end);
        written.map_err(|error| UnpackError::Folder(self.path.clone(), error))
    }

    fn write_sparse(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        for (block, at) in bytes.chunks(BLOCK).zip((offset..).step_by(BLOCK)) {
            if block.iter().any(|byte| *byte != 0) {
                self.file.write_all_at(block, at)?;
            }
        }
        Ok(())
    }
}

impl<'a> Folder<'a> {
    /// `root` is empty. A file is made sparse if it is sparse in `original`.
    pub(super) fn new(root: &'a Path, original: &'a Path) -> Self {
        Self { root, original, open: HashMap::new() }
    }

    /// The file to write content to; `replaces` allows it to exist already.
    pub(super) fn file(
        &mut self,
        path: &EntryPath,
        replaces: bool,
    ) -> Result<&mut OpenFile, UnpackError> {
        match self.open.entry(path.clone()) {
            Slot::Occupied(open) => Ok(open.into_mut()),
            Slot::Vacant(slot) => {
                Ok(slot.insert(OpenFile::new((self.root, self.original), path, replaces)?))
            }
        }
    }

    pub(super) fn end(&mut self, path: &EntryPath) -> Result<(), UnpackError> {
        // An empty file had no content.
        let open = match self.open.remove(path) {
            Some(open) => open,
            None => OpenFile::new((self.root, self.original), path, false)?,
        };
        // The file may end with a hole.
        open.file.set_len(open.length).map_err(|error| UnpackError::Folder(open.path, error))
    }

    /// Renames a file, unless it was not copied yet.
    pub(super) fn rename(&self, from: &EntryPath, to: &EntryPath) -> Result<(), UnpackError> {
        let (from, to) = (self.closed(from)?, self.closed(to)?);
        let renamed = rustix::fs::rename(&from, to).map_err(io::Error::from);
        ignore_missing(renamed).map_err(|error| UnpackError::Folder(from, error))
    }

    /// Removes a file, a folder or, with `*` at the end, all files whose names begin so.
    pub(super) fn remove(&self, path: &EntryPath) -> Result<(), UnpackError> {
        let target = self.closed(path)?;
        let removed = if path.as_bytes().ends_with(b"*") {
            remove_matching(&target)
        } else if target.is_dir() {
            fs::remove_dir_all(&target)
        } else {
            fs::remove_file(&target)
        };
        ignore_missing(removed).map_err(|error| UnpackError::Folder(target, error))
    }

    /// The path of a file that is not being written.
    fn closed(&self, path: &EntryPath) -> Result<PathBuf, UnpackError> {
        if self.open.contains_key(path) {
            return Err(malformed(format!("{path} is renamed or removed before its end")).into());
        }
        Ok(self.root.join(path.as_path()))
    }

    /// At the end of the stream, all files must be complete.
    pub(super) fn finish(self) -> Result<(), UnpackError> {
        match self.open.keys().next() {
            None => Ok(()),
            Some(path) => {
                let problem = format!("the stream ends within {path}");
                Err(io::Error::new(ErrorKind::UnexpectedEof, problem).into())
            }
        }
    }
}

/// Creates the file and the folders above it.
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

/// Removes the files whose names begin like that of `pattern`, which ends with `*`.
fn remove_matching(pattern: &Path) -> io::Result<()> {
    let name = pattern.file_name().map_or(&b""[..], OsStr::as_bytes);
    let prefix = name.strip_suffix(b"*").unwrap_or(name);
    if prefix.is_empty() {
        return Ok(());
    }
    for entry in fs::read_dir(pattern.parent().unwrap_or(pattern))? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(prefix) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A file that was not copied yet need not be renamed or removed.
fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
