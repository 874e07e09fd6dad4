//! Filesystems that are mounted below a folder: they would move away with it, and be emptied when it is removed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::error::{Result, UndoError, failed};

/// Fails if another filesystem is mounted below `path`, which has no links in it.
pub(super) fn require_none_below(path: &Path) -> Result<()> {
    let list = Path::new("/proc/self/mountinfo");
    let text = fs::read(list).map_err(failed("reading", list))?;
    if mount_points(&text).iter().any(|it| it.starts_with(path)) {
        let why = "another filesystem is mounted at it or below it, which would be moved away and removed with it: \
                   restore to another path, or unmount it";
        return Err(UndoError::NotReplaceable { path: path.to_owned(), why });
    }
    Ok(())
}

/// The mount points in the text of `mountinfo`: the fifth word of each line, with blanks and the like as `\040`.
fn mount_points(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|byte| *byte == b'\n');
    let words = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    words.map(|word| PathBuf::from(OsString::from_vec(unescaped(word)))).collect()
}

fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|it| u8::from_str_radix(str::from_utf8(it).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        let text = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            40 22 0:35 / /srv/a\\040b\\134c rw shared:1 - tmpfs none rw\n\
            broken line\n";
        assert_eq!(mount_points(text), ["/", "/srv/a b\\c"].map(PathBuf::from));
    }

    #[test]
    fn what_has_a_mount_below_it_is_refused() {
        require_none_below(Path::new("/")).unwrap_err();
        require_none_below(Path::new("/proc")).unwrap_err();
        require_none_below(tempfile::tempdir().unwrap().path()).unwrap();
    }
}
