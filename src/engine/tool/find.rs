//! Where a program is, and which version.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::domain::FailureCode;
use crate::engine::EngineError;

/// Looks for the programs of one database.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Finder {
    /// `source.tools`: only there, if given.
    pub(in crate::engine) folder: Option<PathBuf>,
    /// Where they usually are besides `PATH`, best first.
    pub(in crate::engine) usual: Vec<PathBuf>,
}

impl Finder {
    /// The program with this name, looked for in `source.tools`, else in the usual folders, else as a
    /// shell does.
    pub(in crate::engine) fn find(
        &self,
        name: &str,
        package: &str,
    ) -> Result<PathBuf, EngineError> {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = match &self.folder {
            Some(folder) => Some(folder.join(name)).filter(|path| is_program(path)),
            None => self
                .usual
                .iter()
                .cloned()
                .chain(env::split_paths(&path))
                .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
                .map(|folder| folder.join(name))
                .find(|path| is_program(path)),
        };
        found.ok_or_else(|| {
            let place = self
                .folder
                .as_ref()
                .map_or_else(String::new, |folder| format!(" in {}", folder.display()));
            EngineError::known(
                FailureCode::Tool,
                format!(
                    "the program {name} is not there{place}: apt install {package}, or name the folder \
                     it is in as source.tools"
                ),
            )
        })
    }

    /// The first of several names that is there.
    pub(in crate::engine) fn find_any(
        &self,
        names: &[&str],
        package: &str,
    ) -> Result<PathBuf, EngineError> {
        let mut found = names.iter().map(|name| self.find(name, package));
        let first = found.next().unwrap_or_else(|| self.find("", package));
        first.or_else(|error| found.find_map(Result::ok).ok_or(error))
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// The first whole number behind the first digit of a version: `15` of `pg_basebackup (PostgreSQL) 15.18`.
pub(in crate::engine) fn major_version(text: &str) -> Option<u32> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let digits: String = text.chars().skip(start).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
