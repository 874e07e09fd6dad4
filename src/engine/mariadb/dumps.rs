//! The dumps of a backup, before they are loaded into a server.

use std::fs::File;
use std::io::Read as _;

use super::database_file::{ACCOUNTS, DATABASES, SERVER, VIEWS, database_at, path_in};
use super::script::Script;
use crate::domain::{Entry, EntryKind};
use crate::engine::tree::Staging;
use crate::engine::{EngineError, Result, printable};

/// The statement that creates the database is within the first bytes of a dump.
const HEAD_BYTES: u64 = 64 << 10;

/// A line near the beginning of each dump of a server whose names of tables are in small letters, however statements
/// write them. Triggers are dumped as they were written.
pub(super) const IGNORES_CASE: &str = "-- lower_case_table_names=1";

/// Complete dumps in a staging folder, which is removed with this value unless it is taken.
#[derive(Debug)]
pub(super) struct Dumps {
    pub(super) staging: Staging,
    names: Vec<String>,
}

/// Fails if `entry` does not belong in an archive of dumps.
pub(super) fn require_dump(entry: &Entry) -> Result<()> {
    let path = printable(&entry.path);
    let belongs = match entry.kind {
        EntryKind::Directory => [DATABASES, VIEWS].contains(&path.as_str()),
        EntryKind::File { .. } => {
            let is_of =
                |folder| database_at(folder, &path).is_some_and(|it| path_in(folder, &it) == path);
            [ACCOUNTS, SERVER].contains(&path.as_str()) || is_of(DATABASES) || is_of(VIEWS)
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
    pub(super) fn new(staging: Staging) -> Result<Self> {
        let folder = staging.path().join(DATABASES);
        let failed = |error| EngineError::unread(&folder, error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            names
                .extend(database_at(DATABASES, &format!("{DATABASES}/{}", file.to_string_lossy())));
        }
        names.sort();
        Ok(Self { staging, names })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// What is loaded before any database: plugins, functions, servers, time zones.
    pub(super) fn server(&self) -> Option<Script> {
        self.script("the plugins, servers and time zones", SERVER)
    }

    pub(super) fn accounts(&self) -> Option<Script> {
        self.script("the accounts", ACCOUNTS)
    }

    /// The tables, rows, triggers, routines and events of each database.
    pub(super) fn databases(&self) -> Vec<Script> {
        self.scripts(DATABASES, "")
    }

    /// The views of each database that has some, to be loaded after all databases. Older archives hold them with the
    /// database.
    pub(super) fn views(&self) -> Vec<Script> {
        self.scripts(VIEWS, "the views of ")
    }

    fn scripts(&self, folder: &str, of: &str) -> Vec<Script> {
        let script = |name: &String| self.script(&format!("{of}{name:?}"), &path_in(folder, name));
        self.names.iter().filter_map(script).collect()
    }

    fn script(&self, name: &str, file: &str) -> Option<Script> {
        let path = self.staging.path().join(file);
        path.exists().then(|| Script { name: name.to_owned(), path })
    }

    /// The statement that creates a database, made to fail if the database exists.
    pub(super) fn create_statement(&self, database: &str) -> Result<String> {
        create_statement(self.open(database)?)
    }

    /// Whether the server's names of tables were in small letters.
    pub(super) fn ignore_case(&self) -> Result<bool> {
        let Some(first) = self.names.first() else { return Ok(false) };
        let head = head(self.open(first)?)?;
        let mut before = head.lines().take_while(|line| !line.starts_with("CREATE DATABASE "));
        Ok(before.any(|line| line == IGNORES_CASE))
    }

    fn open(&self, database: &str) -> Result<File> {
        let path = self.staging.path().join(path_in(DATABASES, database));
        File::open(&path).map_err(|error| EngineError::unread(&path, error))
    }
}

fn head(dump: File) -> Result<String> {
    let mut head = Vec::new();
    dump.take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(|error| EngineError::target("reading", "a dump".as_ref(), error))?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn create_statement(dump: File) -> Result<String> {
    let head = head(dump)?;
    let line = head.lines().find(|line| line.starts_with("CREATE DATABASE "));
    line.map(|line| line.replacen("/*!32312 IF NOT EXISTS*/", "", 1))
        .filter(|line| !line.contains("IF NOT EXISTS"))
        .ok_or_else(|| EngineError::archive("a dump in it does not create its database"))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

    use super::*;

    #[test]
    fn the_statement_that_creates_a_database_fails_if_it_exists() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"-- x\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n")
            .unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let sql = create_statement(file).unwrap();
        assert_eq!(sql, "CREATE DATABASE  `a` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;");
        assert!(create_statement(tempfile::tempfile().unwrap()).is_err());
    }
}
