//! PostgreSQL's programs: Debian keeps those of each version in a folder of its own.
//!
//! What Debian puts into `/usr/bin` under the same names picks a version by its own rules, so those
//! folders come first. A client tool must be at least as new as its server; a server binary starts data
//! directories of its own major version only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::{Cancel, FailureCode};
use crate::engine::EngineError;
use crate::engine::tool::{Finder, Tool, major_version};

/// Where distributions put a version's programs: before and behind its number.
const HOMES: [(&str, &str, &str); 3] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
];

/// Asking a program for its version takes no longer.
const VERSION_WITHIN: Duration = Duration::from_secs(5);

/// Which versions of a program will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// This one or a newer one.
    AtLeast(u32),
    /// This one alone.
    Exactly(u32),
}

impl Fit {
    const fn takes(self, version: u32) -> bool {
        match self {
            Self::AtLeast(wanted) => version >= wanted,
            Self::Exactly(wanted) => version == wanted,
        }
    }

    const fn wanted(self) -> u32 {
        match self {
            Self::AtLeast(wanted) | Self::Exactly(wanted) => wanted,
        }
    }
}

/// Where to look for programs.
#[derive(Debug, Clone)]
pub(super) struct Toolbox {
    /// `source.tools`: only there, if given.
    folder: Option<PathBuf>,
    /// The folders of the versions on this machine, newest first.
    versions: Vec<(u32, PathBuf)>,
}

impl Toolbox {
    /// Looks in `folder` alone, if there is one.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let mut versions: Vec<(u32, PathBuf)> = HOMES.iter().flat_map(installed).collect();
        versions.sort_by(|one, other| other.cmp(one));
        Self { folder, versions }
    }

    /// `psql` of any version: what it asks, every server understands.
    pub(super) fn psql(&self) -> Result<PathBuf, EngineError> {
        self.finder(|_version| true).find("psql", "postgresql-client")
    }

    /// A client's program that fits a server of version `major`.
    pub(super) fn client(&self, name: &str, major: u32) -> Result<PathBuf, EngineError> {
        self.fitting(name, Fit::AtLeast(major), &format!("postgresql-client-{major}"))
    }

    /// The program of a server that starts a data directory of version `major`.
    pub(super) fn server(&self, name: &str, major: u32) -> Result<PathBuf, EngineError> {
        self.fitting(name, Fit::Exactly(major), &format!("postgresql-{major}"))
    }

    /// The program of a server that a backup of version `major` may go into: that version's, if it is here.
    pub(super) fn any_server(&self, name: &str, major: u32) -> Result<PathBuf, EngineError> {
        let package = format!("postgresql-{major}");
        self.server(name, major).or_else(|_error| self.fitting(name, Fit::AtLeast(major), &package))
    }

    fn fitting(&self, name: &str, fit: Fit, package: &str) -> Result<PathBuf, EngineError> {
        let path = self.finder(|version| fit.takes(version)).find(name, package)?;
        let version = version_of(&path)?;
        if fit.takes(version) {
            return Ok(path);
        }
        let (wanted, newer) = match fit {
            Fit::AtLeast(wanted) => (wanted, " or newer"),
            Fit::Exactly(wanted) => (wanted, ""),
        };
        Err(EngineError::known(
            FailureCode::Tool,
            format!(
                "{} is of version {version}, but the server is of version {}: {name} of version \
                 {wanted}{newer} is needed: apt install {package}, or name its folder as source.tools",
                path.display(),
                fit.wanted(),
            ),
        ))
    }

    fn finder(&self, takes: impl Fn(u32) -> bool) -> Finder {
        let fitting = self.versions.iter().filter(|(version, _)| takes(*version));
        Finder {
            folder: self.folder.clone(),
            usual: fitting.map(|(_, folder)| folder.clone()).collect(),
        }
    }
}

/// The versions below one home.
fn installed((home, before, behind): &(&str, &str, &str)) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(home) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(before)?.parse().ok()?;
            Some((version, entry.path().join(behind)))
        })
        .collect()
}

/// The major version that a program says it is of.
pub(super) fn version_of(program: &Path) -> Result<u32, EngineError> {
    let asked = Tool::new(program).arg("--version").within(VERSION_WITHIN);
    let said = String::from_utf8_lossy(&asked.output(&Cancel::default())?).into_owned();
    major_version(&said).ok_or_else(|| {
        EngineError::known(
            FailureCode::Tool,
            format!("{} does not tell its version; it said {:?}", program.display(), said.trim()),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn fake(folder: &Path, name: &str, version: &str) {
        let path = folder.join(name);
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(&path, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n"))
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_tool_older_than_its_server_is_refused_with_the_package_to_install() {
        let folder = tempfile::tempdir().unwrap();
        fake(folder.path(), "pg_basebackup", "14.2");
        let toolbox = Toolbox::new(Some(folder.path().to_owned()));
        assert!(toolbox.client("pg_basebackup", 14).is_ok());
        assert!(toolbox.client("pg_basebackup", 13).is_ok());
        let said = toolbox.client("pg_basebackup", 16).unwrap_err().to_string();
        assert!(said.contains("14") && said.contains("postgresql-client-16"), "{said}");
        fake(folder.path(), "postgres", "14.2");
        assert!(toolbox.server("postgres", 14).is_ok());
        assert!(toolbox.server("postgres", 13).is_err());
        let said = toolbox.client("pg_dump", 14).unwrap_err().to_string();
        assert!(said.contains("pg_dump") && said.contains("postgresql-client-14"), "{said}");
    }

    #[test]
    fn the_folder_of_the_newest_version_comes_first() {
        let toolbox = Toolbox::new(None);
        let found = toolbox.client("pg_dump", 13).unwrap();
        let newest = &toolbox.versions.first().unwrap().1;
        assert_eq!(found, newest.join("pg_dump"));
    }
}
