//! The versions of programs.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;

use super::Tool;
use crate::domain::Cancel;
use crate::engine::{EngineError, Result};

const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Inode, size and times of a program's file: if they are the same, the file is unchanged.
type Identity = [i64; 5];

/// The versions that programs reported: asking one takes as long as copying a small table.
static VERSIONS: Mutex<BTreeMap<PathBuf, (Identity, String)>> = Mutex::new(BTreeMap::new());

/// What a program says about its version. It is asked once, with these options, and again if its file changes: the
/// database may be upgraded while Coffer runs. Some programs answer on their standard error.
pub(crate) fn version_text(program: &Path, options: &[&str], cancel: &Cancel) -> Result<String> {
    let identity = identity(program).map_err(|error| EngineError::io("reading", program, error))?;
    if let Some((known, text)) = VERSIONS.lock().get(program)
        && *known == identity
    {
        return Ok(text.clone());
    }
    let mut tool = Tool::new(program).timeout(VERSION_TIMEOUT);
    tool.path = "/bin/sh".into();
    let output = tool
        .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
        .arg(program)
        .args(options.iter().copied())
        .output(cancel)?;
    let text = String::from_utf8_lossy(&output).trim().to_owned();
    VERSIONS.lock().insert(program.to_owned(), (identity, text.clone()));
    Ok(text)
}

fn identity(program: &Path) -> io::Result<Identity> {
    let found = program.metadata()?;
    let (inode, size) = (found.ino().cast_signed(), found.size().cast_signed());
    Ok([inode, size, found.mtime(), found.ctime(), found.ctime_nsec()])
}

/// The first two numbers of a version: `(15, 18)` in `pg_basebackup (PostgreSQL) 15.18`, `(7, 2)` in `v=7.2.4`.
pub(crate) fn major_and_minor(text: &str) -> Option<(u32, u32)> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let mut parts = text.get(start..)?.split(|letter: char| !letter.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|it| it.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_version_is_read_from_its_first_two_numbers() {
        for (text, numbers) in [
            ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some((15, 18))),
            ("redis-cli 7.0.15", Some((7, 0))),
            ("Redis server v=7.2.4 sha=0", Some((7, 2))),
            ("8", Some((8, 0))),
            ("none", None),
        ] {
            assert_eq!(major_and_minor(text), numbers, "{text}");
        }
    }

    #[test]
    fn a_program_is_asked_for_its_version_again_only_if_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (program, asked) = (folder.path().join("mariadb"), folder.path().join("asked"));
        let put = |version: &str| {
            let text = format!("#!/bin/sh\necho x >> '{}'\necho {version} >&2\n", asked.display());
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
                let text = version_text(&program, &["--version"], &Cancel::default());
                assert_eq!(text.unwrap(), version);
            }
            let asked = std::fs::read_to_string(&asked).unwrap();
            assert_eq!(asked.len(), times, "{asked}");
        }
    }
}
