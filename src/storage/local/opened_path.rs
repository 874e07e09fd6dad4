//! The path of a file in the data directory, opened folder by folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::folder::{Folder, failed};
use super::ownership;
use crate::storage::{Result, StorageError};

/// The open folder that holds a file, and the file's name.
#[derive(Debug)]
pub(super) struct OpenedPath<'a> {
    /// The folders above the last one, the root first.
    above: Vec<Folder>,
    pub(super) folder: Folder,
    pub(super) name: &'a OsStr,
}

impl<'a> OpenedPath<'a> {
    fn open(
        root: Folder,
        text: &'a str,
        step: impl Fn(&Folder, &OsStr) -> Result<Option<Folder>>,
    ) -> Result<Option<Self>> {
        let (folders, name) = text.rsplit_once('/').unwrap_or(("", text));
        let mut path = Self { above: Vec::new(), folder: root, name: name.as_ref() };
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            let Some(next) = step(&path.folder, part.as_ref())? else { return Ok(None) };
            path.above.push(std::mem::replace(&mut path.folder, next));
        }
        Ok(Some(path))
    }

    /// Opens the folders of `text` below `root`; `None`: one of them certainly does not exist.
    pub(super) fn find(root: &Path, text: &'a str) -> Result<Option<Self>> {
        Self::find_from(Folder::open(root)?, text)
    }

    /// The same below an open folder.
    pub(super) fn find_in(root: &Folder, text: &'a str) -> Result<Option<Self>> {
        Self::find_from(root.again()?, text)
    }

    fn find_from(root: Folder, text: &'a str) -> Result<Option<Self>> {
        Self::open(root, text, |folder, name| match folder.open_folder(name) {
            Ok(next) => Ok(Some(next)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let what = folder.path_of(name).display().to_string();
                let why =
                    "this is no folder, or a symbolic link, which Coffer does not follow here";
                Err(StorageError::NotAFile { what, why })
            }
            Err(error) => Err(failed("opening", &folder.path_of(name))(error)),
        })
    }

    /// Opens the folders of `text` below `root`, and makes those that are missing, durably. One that others may write to
    /// is refused: they could replace what is put there.
    pub(super) fn make(root: &Path, text: &'a str) -> Result<Self> {
        Self::make_from(Folder::open(root)?, text)
    }

    /// The same below an open folder.
    pub(super) fn make_in(root: &Folder, text: &'a str) -> Result<Self> {
        Self::make_from(root.again()?, text)
    }

    fn make_from(root: Folder, text: &'a str) -> Result<Self> {
        let path = Self::open(root, text, |folder, name| {
            let inner = folder.make_folder(name)?;
            ownership::check_inner(folder, &inner)?;
            Ok(Some(inner))
        })?;
        Ok(path.expect("a folder that is missing was made"))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path_of(self.name)
    }

    /// Removes the folders on the path that are empty now, the deepest first. Nothing depends on it: a folder
    /// that stays is used by the next archive.
    pub(super) fn remove_empty_folders(mut self) {
        while let Some(above) = self.above.pop() {
            let name = self.folder.path().file_name().map(ToOwned::to_owned);
            if name.is_none_or(|name| above.remove_folder(&name).is_err()) {
                return;
            }
            self.folder = above;
        }
    }
}
