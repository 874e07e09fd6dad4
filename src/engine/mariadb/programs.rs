//! The programs of MariaDB and MySQL: where they are, whose they are, of which version.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Brand;
use crate::domain::Cancel;
use crate::engine::EngineError;
use crate::engine::tool::{Finder, Tool};

/// How long a program may take to say its version.
const VERSION_WAIT: Duration = Duration::from_secs(5);

/// Whose a program is: their options differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    MariaDb,
    MySql,
}

/// Looks for the programs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) brand: Brand,
    pub(super) finder: Finder,
}

impl Programs {
    /// Where a shell finds them.
    pub(super) fn usual(brand: Brand) -> Self {
        Self { brand, finder: Finder { folder: None, usual: Vec::new() } }
    }

    /// The command line client.
    pub(super) fn client(&self) -> Result<PathBuf, EngineError> {
        self.named(["mariadb", "mysql"], self.client_package())
    }

    /// The program that writes dumps.
    pub(super) fn dumper(&self) -> Result<PathBuf, EngineError> {
        self.named(["mariadb-dump", "mysqldump"], self.client_package())
    }

    /// The program that copies a running server's files.
    pub(super) fn backup(&self) -> Result<PathBuf, EngineError> {
        self.finder.find_any(&["mariadb-backup", "mariabackup"], "mariadb-backup")
    }

    /// The server.
    pub(super) fn server(&self) -> Result<PathBuf, EngineError> {
        self.named(["mariadbd", "mysqld"], "mariadb-server")
    }

    /// The program that makes a new data directory.
    pub(super) fn installer(&self) -> Result<PathBuf, EngineError> {
        self.finder.find_any(&["mariadb-install-db", "mysql_install_db"], "mariadb-server")
    }

    const fn client_package(&self) -> &'static str {
        match self.brand {
            Brand::MariaDb => "mariadb-client",
            Brand::MySql => "default-mysql-client",
        }
    }

    /// On a machine with both servers' programs, those of the right one.
    fn named(&self, names: [&str; 2], package: &str) -> Result<PathBuf, EngineError> {
        let [mariadb, mysql] = names;
        let names = match self.brand {
            Brand::MariaDb => [mariadb, mysql],
            Brand::MySql => [mysql, mariadb],
        };
        self.finder.find_any(&names, package)
    }
}

/// What tells that a program is the same file, not written to since.
type Identity = [i64; 5];

/// What programs said of their version: asking one takes as long as a small table's copy.
static SAID: Mutex<BTreeMap<PathBuf, (Identity, String)>> = Mutex::new(BTreeMap::new());

/// What a program says when asked for its version, in one line. It is asked once, and again when it is another
/// file: the database is upgraded while Coffer runs. Some say it on their standard error.
pub(super) fn version_text(program: &Path, cancel: &Cancel) -> Result<String, EngineError> {
    let identity =
        identity(program).map_err(|error| EngineError::io("looking at", program, error))?;
    let said = || SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, text)) = said().get(program)
        && *known == identity
    {
        return Ok(text.clone());
    }
    let asked = Tool::new(Path::new("/bin/sh"))
        .args(["-c", "exec \"$0\" --no-defaults --version 2>&1"])
        .arg(program)
        .within(VERSION_WAIT)
        .output(cancel)?;
    let text = String::from_utf8_lossy(&asked).trim().to_owned();
    said().insert(program.to_owned(), (identity, text.clone()));
    Ok(text)
}

fn identity(program: &Path) -> io::Result<Identity> {
    let found = program.metadata()?;
    let (inode, size) = (found.ino().cast_signed(), found.size().cast_signed());
    Ok([inode, size, found.mtime(), found.ctime(), found.ctime_nsec()])
}

/// Whose the program with this version is.
pub(super) fn maker(version: &str) -> Maker {
    if version.contains("MariaDB") { Maker::MariaDb } else { Maker::MySql }
}

/// The release series in a version, `(10, 11)` of `mariadb-backup based on MariaDB server 10.11.6-MariaDB`:
/// that of the first word of three numbers.
pub(super) fn series(version: &str) -> Option<(u32, u32)> {
    version.split(|it: char| it.is_whitespace() || it == ',').find_map(|word| {
        let mut numbers = word.splitn(3, '.');
        let (major, minor, patch) = (numbers.next()?, numbers.next()?, numbers.next()?);
        patch.starts_with(|it: char| it.is_ascii_digit()).then_some(())?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_series_is_that_of_the_server_and_not_the_programs_own_count() {
        for (text, expected) in [
            ("mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu", (10, 11)),
            ("mariadb-dump  Ver 10.19 Distrib 11.4.2-MariaDB, for debian-linux-gnu", (11, 4)),
            ("mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", (8, 0)),
            ("10.11.19-MariaDB-0+deb12u1", (10, 11)),
        ] {
            assert_eq!(series(text), Some(expected), "{text}");
        }
        assert_eq!(series("mariadb-dump Ver 10.19"), None);
        assert_eq!(maker("mysql  Ver 15.1 Distrib 10.11.19-MariaDB"), Maker::MariaDb);
        assert_eq!(maker("mysql  Ver 8.0.36 for Linux"), Maker::MySql);
    }

    #[test]
    fn a_program_that_says_its_version_on_the_standard_error_is_heard() {
        let program = Programs::usual(Brand::MariaDb).backup().unwrap();
        let said = version_text(&program, &Cancel::default()).unwrap();
        assert!(series(&said).is_some(), "{said}");
    }

    #[test]
    fn a_program_that_was_replaced_is_asked_again_and_the_same_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (program, asked) = (folder.path().join("mariadb"), folder.path().join("asked"));
        let put = |version: &str| {
            let text = format!("#!/bin/sh\necho x >> '{}'\necho {version}\n", asked.display());
            let fresh = folder.path().join("fresh");
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            std::fs::write(&fresh, text).unwrap();
            std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            std::fs::rename(&fresh, &program).unwrap();
        };
        for (version, times) in [("10.11.1", 2), ("10.11.22", 4)] {
            put(version);
            for _twice in 0..2 {
                assert_eq!(version_text(&program, &Cancel::default()).unwrap(), version);
            }
            let asked = std::fs::read_to_string(&asked).unwrap();
            assert_eq!(asked.len(), times, "{asked}");
        }
    }
}
