//! The dumps of an archive, before they are loaded into a server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::database_file::{ACCOUNTS, FOLDER, database_at};
use crate::domain::{Entry, EntryKind, WriteAt};
use crate::engine::{EngineError, printable};

/// The statement that creates the database is within the first bytes of a dump.
const HEAD_BYTES: u64 = 64 << 10;

/// A dump in an unnamed file, whose space is freed in any case.
#[derive(Debug)]
struct DumpFile(File);

impl WriteAt for DumpFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

#[derive(Debug)]
pub(super) struct Dumps {
    folder: PathBuf,
    accounts: Option<Arc<DumpFile>>,
    databases: BTreeMap<String, Arc<DumpFile>>,
}

impl Dumps {
    /// Dumps will be kept in `folder`.
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder, accounts: None, databases: BTreeMap::new() }
    }

    /// Adds an entry of the archive.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        let path = printable(&entry.path);
        let foreign =
            || EngineError::archive(format!("{path} does not belong in an archive of dumps"));
        let size = match entry.kind {
            EntryKind::Directory if path == FOLDER => return Ok(None),
            EntryKind::File { size, .. } => size,
            _ => return Err(foreign()),
        };
        let file = tempfile::tempfile_in(&self.folder)
            .map_err(|error| EngineError::target("writing a dump in", &self.folder, error))?;
        let file = Arc::new(DumpFile(file));
        let kept = Arc::clone(&file);
        let earlier = if path == ACCOUNTS {
            self.accounts.replace(kept)
        } else {
            self.databases.insert(database_at(&path).ok_or_else(foreign)?, kept)
        };
        if earlier.is_some() {
            return Err(EngineError::archive(format!("{path} is in the archive twice")));
        }
        Ok((size > 0).then_some(file))
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.databases.keys().map(String::as_str).collect()
    }

    /// Each database's name and its dump.
    pub(super) fn databases(&self) -> impl Iterator<Item = Result<(&str, File), EngineError>> {
        self.databases.iter().map(|(name, file)| Ok((name.as_str(), self.reopened(file)?)))
    }

    pub(super) fn accounts(&self) -> Result<Option<File>, EngineError> {
        self.accounts.as_ref().map(|file| self.reopened(file)).transpose()
    }

    fn reopened(&self, file: &DumpFile) -> Result<File, EngineError> {
        let again = file.0.try_clone().and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        again.map_err(|error| EngineError::target("reading a dump in", &self.folder, error))
    }
}

/// The statement in a dump that creates its database, made to fail if the database exists.
pub(super) fn create_statement(dump: &mut File) -> Result<String, EngineError> {
    let mut head = Vec::new();
    let read = dump.by_ref().take(HEAD_BYTES).read_to_end(&mut head);
    read.and_then(|_| dump.seek(SeekFrom::Start(0)))
        .map_err(|error| EngineError::io("reading", "a dump".as_ref(), error))?;
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().find(|line| line.starts_with("CREATE DATABASE "));
    line.map(|line| line.replacen("/*!32312 IF NOT EXISTS*/", "", 1))
        .filter(|line| !line.contains("IF NOT EXISTS"))
        .ok_or_else(|| EngineError::archive("a dump in it does not create its database"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_statement_that_creates_a_database_fails_if_it_exists() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"-- x\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n")
            .unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let sql = create_statement(&mut file).unwrap();
        assert_eq!(sql, "CREATE DATABASE  `a` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;");
        assert!(create_statement(&mut tempfile::tempfile().unwrap()).is_err());
    }
}
