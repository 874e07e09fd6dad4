//! Which programs have a file or folder open, as far as this user may see.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::error::{Result, UndoError};

/// How many programs are named.
const NAMED: usize = 5;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InUse {
    /// The programs, each with its process id.
    pub programs: Vec<String>,
    /// Whether there may be others, of users whose files this user may not see.
    pub others_hidden: bool,
}

/// The programs that have `target` open, or a file beside it with one of these endings, or something in it if it is a
/// folder.
pub fn look_for_users(target: &Path, endings: &[&str]) -> InUse {
    let target = fs::canonicalize(target).unwrap_or_else(|_missing| target.to_owned());
    let wanted = Wanted::new(&target, endings);
    let mut found = InUse { others_hidden: !geteuid().is_root(), ..InUse::default() };
    let own = std::process::id();
    let Ok(processes) = fs::read_dir("/proc") else {
        return InUse { others_hidden: true, ..found };
    };
    for process in processes.flatten() {
        let id = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(id) = id.filter(|id| *id != own) else { continue };
        let folder = process.path();
        if !wanted.is_used_by(&folder) {
            continue;
        }
        if found.programs.len() == NAMED {
            found.programs.push("and others".to_owned());
            break;
        }
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        found.programs.push(format!("{} (process {id})", name.trim()));
    }
    found
}

/// Fails if a program that this user may see has it open.
pub fn require_unused(target: &Path, endings: &[&str]) -> Result<()> {
    let found = look_for_users(target, endings);
    if found.programs.is_empty() {
        return Ok(());
    }
    Err(UndoError::InUse { path: target.to_owned(), programs: found.programs.join(", ") })
}

struct Wanted {
    paths: Vec<PathBuf>,
    /// Device and inode, which are the same in a container with other paths.
    identities: Vec<(u64, u64)>,
    is_folder: bool,
}

impl Wanted {
    fn new(target: &Path, endings: &[&str]) -> Self {
        let beside = endings.iter().map(|ending| {
            let mut name = target.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        });
        let paths: Vec<PathBuf> = [target.to_owned()].into_iter().chain(beside).collect();
        let found = |path: &PathBuf| fs::symlink_metadata(path).ok();
        let identities = paths.iter().filter_map(found).map(|it| (it.dev(), it.ino())).collect();
        Self { paths, identities, is_folder: target.is_dir() }
    }

    fn is_used_by(&self, process: &Path) -> bool {
        let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let links = open.map(|it| it.path()).chain(["cwd", "root"].map(|it| process.join(it)));
        links.into_iter().any(|link| self.is_wanted(&link))
    }

    fn is_wanted(&self, link: &Path) -> bool {
        let Ok(path) = fs::read_link(link) else { return false };
        if self.is_folder && self.paths.iter().any(|folder| path.starts_with(folder)) {
            return true;
        }
        if self.paths.contains(&path) {
            return true;
        }
        // Only what has the name is asked for: a file of a server that does not answer is not touched.
        let is_named = self.paths.iter().any(|it| it.file_name() == path.file_name());
        is_named
            && fs::metadata(link).is_ok_and(|it| self.identities.contains(&(it.dev(), it.ino())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_has_a_file_open_is_named_and_this_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (file, log) = (folder.path().join("shop.db"), folder.path().join("shop.db-wal"));
        let _own = fs::File::create_new(&file).unwrap();
        let held = fs::File::create_new(&log).unwrap();
        assert_eq!(look_for_users(&file, &["-wal"]).programs, [""; 0]);
        let mut other = std::process::Command::new("sleep").arg("600").stdin(held).spawn().unwrap();
        let found = [look_for_users(&file, &["-wal"]), look_for_users(folder.path(), &[])];
        let without = look_for_users(&file, &[]);
        other.kill().unwrap();
        other.wait().unwrap();
        for found in found {
            assert!(
                found.programs.iter().any(|it| it.contains(&other.id().to_string())),
                "{found:?}"
            );
        }
        assert_eq!(without.programs, [""; 0]);
    }
}
