//! Finding PostgreSQL's programs, which Debian keeps in one folder for each version.
//!
//! Those folders come first: the wrappers of the same names in `/usr/bin` choose a version by their own rules. A
//! client tool must be at least as new as its server; a server starts only data directories of its own major
//! version.

use std::path::{Path, PathBuf};

use super::options::KIND;
use crate::domain::{Cancel, FailureCode, Source};
use crate::engine::tool::{Finder, ToolError, major_and_minor, version_text};
use crate::engine::{EngineError, Result};

/// Where distributions put a version's programs: the text before and after the version.
const VERSION_FOLDERS: [(&str, &str, &str); 3] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
];

/// Which versions of a program are suitable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    AtLeast(u32),
    Exactly(u32),
}

impl Wanted {
    const fn matches(self, version: u32) -> bool {
        match self {
            Self::AtLeast(wanted) => version >= wanted,
            Self::Exactly(wanted) => version == wanted,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// `source.tools`: if set, the only folder that is searched.
    folder: Option<PathBuf>,
    /// The versions installed on this machine and their folders, newest first.
    versions: Vec<(u32, PathBuf)>,
}

impl Programs {
    /// For a backup whose instance may not be known.
    pub(super) fn of(source: Option<&Source>) -> Self {
        Self::in_folder(KIND.finder(source).folder)
    }

    /// `folder` is `source.tools`.
    pub(super) fn in_folder(folder: Option<PathBuf>) -> Self {
        let mut versions: Vec<(u32, PathBuf)> =
            VERSION_FOLDERS.iter().flat_map(installed).collect();
        versions.sort_by(|one, other| other.cmp(one));
        Self { folder, versions }
    }

    /// `psql` of any version: every server understands Coffer's queries.
    pub(super) fn psql(&self) -> Result<PathBuf> {
        self.finder(|_version| true).find("psql", "postgresql-client")
    }

    /// A client tool for a server of version `major`.
    pub(super) fn client(&self, name: &str, major: u32) -> Result<PathBuf> {
        self.find(name, Wanted::AtLeast(major), &format!("postgresql-client-{major}"))
    }

    /// The tool that dumps a server of version `major`: of that version if possible, as an older server may not know what
    /// a newer tool writes, or else a newer one.
    pub(super) fn dumper(&self, name: &str, major: u32) -> Result<PathBuf> {
        let same = self.find(name, Wanted::Exactly(major), "");
        same.or_else(|_error| self.client(name, major))
    }

    /// The server program for a data directory of version `major`.
    pub(super) fn server(&self, name: &str, major: u32) -> Result<PathBuf> {
        self.find(name, Wanted::Exactly(major), &format!("postgresql-{major}"))
    }

    /// The server program for dumps of version `major`: that version if possible, or else a newer one.
    pub(super) fn server_for_dumps(&self, name: &str, major: u32) -> Result<PathBuf> {
        let newer = || self.find(name, Wanted::AtLeast(major), &format!("postgresql-{major}"));
        self.server(name, major).or_else(|_error| newer())
    }

    fn find(&self, name: &str, wanted: Wanted, package: &str) -> Result<PathBuf> {
        let path = self.finder(|version| wanted.matches(version)).find(name, package)?;
        let version = version_of(&path)?;
        if wanted.matches(version) {
            return Ok(path);
        }
        let (server, newer) = match wanted {
            Wanted::AtLeast(server) => (server, " or newer"),
            Wanted::Exactly(server) => (server, ""),
        };
        Err(EngineError::known(
            FailureCode::Tool,
            format!(
                "{} is version {version}, but the server is version {server}: {name} {server}{newer} is \
                 needed: apt install {package}, or set source.tools to its folder",
                path.display(),
            ),
        ))
    }

    fn finder(&self, matches: impl Fn(u32) -> bool) -> Finder {
        let suitable = self.versions.iter().filter(|(version, _)| matches(*version));
        Finder {
            folder: self.folder.clone(),
            usual: suitable.map(|(_, folder)| folder.clone()).collect(),
        }
    }
}

fn installed((parent, before, after): &(&str, &str, &str)) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(before)?.parse().ok()?;
            Some((version, entry.path().join(after)))
        })
        .collect()
}

/// The major version that a program reports.
pub(super) fn version_of(program: &Path) -> Result<u32> {
    let text = version_text(program, &["--version"], &Cancel::default())?;
    let (major, _) = major_and_minor(&text)
        .ok_or_else(|| ToolError::answer(&program.display().to_string(), &text))?;
    Ok(major)
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
        let programs = Programs::in_folder(Some(folder.path().to_owned()));
        assert!(programs.client("pg_basebackup", 14).is_ok());
        assert!(programs.client("pg_basebackup", 13).is_ok());
        let message = programs.client("pg_basebackup", 16).unwrap_err().to_string();
        assert!(message.contains("14") && message.contains("postgresql-client-16"), "{message}");
        fake(folder.path(), "postgres", "14.2");
        assert!(programs.server("postgres", 14).is_ok());
        assert!(programs.server("postgres", 13).is_err());
        let message = programs.client("pg_dump", 14).unwrap_err().to_string();
        assert!(
            message.contains("pg_dump") && message.contains("postgresql-client-14"),
            "{message}"
        );
    }

    #[test]
    fn dumps_are_made_by_the_servers_own_version_and_all_else_by_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let versions =
            [99, 97].map(|version: u32| (version, folder.path().join(version.to_string())));
        for (version, folder) in &versions {
            std::fs::create_dir(folder).unwrap();
            fake(folder, "pg_dump", &format!("{version}.1"));
        }
        let programs = Programs { folder: None, versions: versions.to_vec() };
        let [newest, same] = versions.map(|(_, folder)| folder.join("pg_dump"));
        assert_eq!(programs.client("pg_dump", 97).unwrap(), newest);
        assert_eq!(programs.dumper("pg_dump", 97).unwrap(), same);
        assert_eq!(programs.dumper("pg_dump", 98).unwrap(), newest);
        assert!(programs.dumper("pg_dump", 100).is_err());
    }
}
