//! Finding programs.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::domain::FailureCode;
use crate::engine::{EngineError, Result};

#[derive(Debug, Clone, Default)]
pub(crate) struct Finder {
    /// `source.tools`: if set, the only folder that is searched.
    pub(crate) folder: Option<PathBuf>,
    /// Folders to search before `PATH`, best first.
    pub(crate) usual: Vec<PathBuf>,
}

impl Finder {
    /// Finds the program `name`. If it is missing, the error names the Debian package that has it.
    pub(crate) fn find(&self, name: &str, package: &str) -> Result<PathBuf> {
        let found = match &self.folder {
            Some(folder) => find_in([folder.clone()], name),
            None => find_in(self.usual.iter().cloned(), name).or_else(|| find_in_path(name)),
        };
        found.ok_or_else(|| {
            let folder = self.folder.as_ref().map(|folder| format!(" in {}", folder.display()));
            EngineError::known(
                FailureCode::Tool,
                format!(
                    "the program {name} was not found{}: apt install {package}, or set source.tools to \
                     the folder it is in",
                    folder.unwrap_or_default()
                ),
            )
        })
    }

    /// Finds the first of several programs. If all are missing, the error names the first.
    pub(crate) fn find_any(&self, names: &[&str], package: &str) -> Result<PathBuf> {
        let mut found = names.iter().map(|name| self.find(name, package));
        let first = found.next().unwrap_or_else(|| self.find("", package));
        first.or_else(|error| found.find_map(Result::ok).ok_or(error))
    }
}

/// Finds a program in `PATH` and in the folders for administrators' programs, which `PATH` often lacks.
pub(super) fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    find_in(env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]), name)
}

fn find_in(folders: impl IntoIterator<Item = PathBuf>, name: &str) -> Option<PathBuf> {
    folders.into_iter().map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
