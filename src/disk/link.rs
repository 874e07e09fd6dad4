//! Symbolic links that are made, or replaced by another one, in one step.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, RenameFlags, renameat, renameat_with, symlinkat, unlinkat};
use rustix::io::Errno;

use super::rename_to_free_name;

/// Makes `at` a link with the text `new`, durably: a free name if `old` is `None`, else the link there with the text `old`,
/// which is replaced. Anything else there stays as it is, and is an error of the kind `AlreadyExists`. `beside` is a free
/// name for the new link until then, on the same filesystem.
pub fn replace_link(at: &Path, old: Option<&OsStr>, new: &OsStr, beside: &Path) -> io::Result<()> {
    symlinkat(new, CWD, beside)?;
    let moved = match old {
        None => rename_to_free_name((CWD, beside), (CWD, at)),
        Some(old) => exchange(at, old, beside),
    };
    // What was there, or what was not needed.
    if let Err(error) = remove_link(beside) {
        log::warn!("{} is left over: {error}", beside.display());
    }
    moved?;
    [at, beside].into_iter().filter_map(Path::parent).try_for_each(|it| File::open(it)?.sync_all())
}

/// Removes a link, or nothing if it is not there.
pub fn remove_link(path: &Path) -> io::Result<()> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Exchanges the link at `at` with that at `beside`, if it has this text.
fn exchange(at: &Path, old: &OsStr, beside: &Path) -> Result<(), Errno> {
    if !is_link_to(at, old) {
        return Err(Errno::EXIST);
    }
    let swap = || renameat_with(CWD, beside, CWD, at, RenameFlags::EXCHANGE);
    match swap() {
        // Another program may have put something else there meanwhile.
        Ok(()) if is_link_to(beside, old) => Ok(()),
        Ok(()) => swap().and(Err(Errno::EXIST)),
        // A filesystem that cannot exchange two names.
        Err(Errno::INVAL | Errno::NOSYS) => renameat(CWD, beside, CWD, at),
        Err(error) => Err(error),
    }
}

fn is_link_to(path: &Path, text: &OsStr) -> bool {
    std::fs::read_link(path).is_ok_and(|found| found.as_os_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_link_that_is_expected_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let (at, beside) = (place.path().join("at"), place.path().join("beside"));
        let replace = |old: Option<&str>, new: &str| {
            replace_link(&at, old.map(OsStr::new), OsStr::new(new), &beside)
        };
        let found = || std::fs::read_link(&at).unwrap();
        replace(None, "one").unwrap();
        replace(Some("one"), "two").unwrap();
        assert_eq!(found(), Path::new("two"));
        for old in [None, Some("one")] {
            let refused = replace(old, "three").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(found(), Path::new("two"));
        std::fs::remove_file(&at).unwrap();
        File::create_new(&at).unwrap();
        replace(Some("two"), "three").unwrap_err();
        assert!(std::fs::symlink_metadata(&at).unwrap().is_file());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside");
    }
}
