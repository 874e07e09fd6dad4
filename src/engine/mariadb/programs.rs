//! Finding the programs of MariaDB and MySQL, and their makers and versions.

use std::path::{Path, PathBuf};

use super::Brand;
use crate::domain::{Cancel, Source};
use crate::engine::Result;
use crate::engine::tool::{self, Finder};

/// Who made a program: the options differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    MariaDb,
    MySql,
}

#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) brand: Brand,
    pub(super) finder: Finder,
}

impl Programs {
    /// For a backup whose instance may not be known.
    pub(super) fn of(brand: Brand, source: Option<&Source>) -> Self {
        Self { brand, finder: brand.kind().finder(source) }
    }

    pub(super) fn client(&self) -> Result<PathBuf> {
        self.find(["mariadb", "mysql"], self.client_package())
    }

    pub(super) fn dumper(&self) -> Result<PathBuf> {
        self.find(["mariadb-dump", "mysqldump"], self.client_package())
    }

    /// The program that copies the files of a running server.
    pub(super) fn backup(&self) -> Result<PathBuf> {
        self.finder.find_any(&["mariadb-backup", "mariabackup"], "mariadb-backup")
    }

    pub(super) fn server(&self) -> Result<PathBuf> {
        self.find(["mariadbd", "mysqld"], "mariadb-server")
    }

    /// The program that initialises a data directory.
    pub(super) fn installer(&self) -> Result<PathBuf> {
        self.finder.find_any(&["mariadb-install-db", "mysql_install_db"], "mariadb-server")
    }

    const fn client_package(&self) -> &'static str {
        match self.brand {
            Brand::MariaDb => "mariadb-client",
            Brand::MySql => "default-mysql-client",
        }
    }

    /// Prefers the brand's own program, for a machine that has both.
    fn find(&self, names: [&str; 2], package: &str) -> Result<PathBuf> {
        let [mariadb, mysql] = names;
        let names = match self.brand {
            Brand::MariaDb => [mariadb, mysql],
            Brand::MySql => [mysql, mariadb],
        };
        self.finder.find_any(&names, package)
    }
}

pub(super) fn version_text(program: &Path, cancel: &Cancel) -> Result<String> {
    tool::version_text(program, &["--no-defaults", "--version"], cancel)
}

pub(super) fn maker(version: &str) -> Maker {
    if version.contains("MariaDB") { Maker::MariaDb } else { Maker::MySql }
}

/// The release series in a version text, taken from its first word of three numbers: `(10, 11)` in
/// `mariadb-backup based on MariaDB server 10.11.6-MariaDB`.
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
    use super::*;

    #[test]
    fn the_series_is_that_of_the_server_and_not_of_the_program() {
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
    fn a_version_on_the_standard_error_is_read() {
        let program = Programs::of(Brand::MariaDb, None).backup().unwrap();
        let version = version_text(&program, &Cancel::default()).unwrap();
        assert!(series(&version).is_some(), "{version}");
    }
}
