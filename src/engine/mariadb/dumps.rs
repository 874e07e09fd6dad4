//! The dumps of a backup, before they are loaded into a server.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use super::database_file::{ACCOUNTS, FOLDER, database_at, path_of};
use crate::domain::{Entry, EntryKind};
use crate::engine::tree::Staging;
use crate::engine::{EngineError, printable};

/// The statement that creates the database is within the first bytes of a dump.
const HEAD_BYTES: u64 = 64 << 10;

/// Complete dumps in a staging folder, which is removed with this value unless it is taken.
#[derive(Debug)]
pub(super) struct Dumps {
    pub(super) staging: Staging,
    names: Vec<String>,
}

/// Fails if `entry` does not belong in an archive of dumps.
pub(super) fn require_dump(entry: &Entry) -> Result<(), EngineError> {
    let path = printable(&entry.path);
    let belongs = match entry.kind {
        EntryKind::Directory => path == FOLDER,
        EntryKind::File { .. } => {
            path == ACCOUNTS || database_at(&path).is_some_and(|name| path_of(&name) == path)
        }
        _ => false,
    };
    if belongs {
        return Ok(());
    }
    Err(EngineError::archive(format!("{path} does not belong in an archive of dumps")))
}

impl Dumps {
    /// `staging` holds only what [`require_dump`] lets pass.
    pub(super) fn new(staging: Staging) -> Result<Self, EngineError> {
        let folder = staging.path().join(FOLDER);
        let failed = |error| EngineError::archive(format!("the archive holds no dumps: {error}"));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            names.extend(database_at(&format!("{FOLDER}/{}", file.to_string_lossy())));
        }
        names.sort();
        Ok(Self { staging, names })
    }

    /// The databases, in order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Each database's name and its dump.
    pub(super) fn databases(&self) -> impl Iterator<Item = Result<(&str, File), EngineError>> {
        self.names.iter().map(|name| Ok((name.as_str(), self.open(&path_of(name))?)))
    }

    pub(super) fn accounts(&self) -> Result<Option<File>, EngineError> {
        let exists = self.staging.path().join(ACCOUNTS).exists();
        exists.then(|| self.open(ACCOUNTS)).transpose()
    }

    fn open(&self, path: &str) -> Result<File, EngineError> {
        let path = self.staging.path().join(path);
        File::open(&path).map_err(|error| EngineError::target("reading", &path, error))
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
