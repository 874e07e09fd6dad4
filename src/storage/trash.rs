//! What was discarded and waits for its end. The time is in the name, `<unix seconds>.<what it was>`:
//! a file keeps its own times, and nothing has to be written to remember more.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::StorageError;
use super::folder::{Folder, failed};
use super::moving::move_to_free_name;
use super::place::{Place, Way};
use super::removal;
use super::url;
use crate::failpoint;

/// Longest label in a name: with time and number it stays below the 255 bytes that filesystems take.
const LONGEST_LABEL: usize = 200;

/// Moves what lies at `text` below `root` into the trash, durably. `kind` goes in front of its name there.
/// What is not there is fine; `expect` says whether what is there may go.
pub(super) fn discard(
    place: &Place,
    root: &Path,
    text: &str,
    expect: impl Fn(&std::fs::Metadata, &Path) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let _tree = place.hold_tree();
    let Some(way) = Way::find(root, text)? else { return Ok(()) };
    let Some(metadata) = way.folder.look(way.name)? else {
        // An earlier try may have renamed it and stopped before this.
        return way.folder.sync();
    };
    expect(&metadata, &way.path())?;
    let trash = Folder::root(&place.trash)?;
    if metadata.is_dir() {
        // A folder that may not be written cannot be moved.
        way.folder.below_writable(way.name).map_err(failed("opening", &way.path()))?;
    }
    failpoint::reached("discard-before-rename");
    move_under_free_name(&way, &trash, place.now_seconds(), &label(text))?;
    failpoint::reached("discard-after-rename");
    trash.sync()?;
    way.folder.sync()?;
    way.remove_empty_folders();
    Ok(())
}

fn move_under_free_name(
    way: &Way<'_>,
    trash: &Folder,
    seconds: u64,
    label: &str,
) -> Result<(), StorageError> {
    for number in 0_u32.. {
        let end = if number == 0 { String::new() } else { format!(".{number}") };
        let name = OsString::from(format!("{seconds}.{label}{end}"));
        match move_to_free_name((&way.folder, way.name), (trash, &name)) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("discarding", &way.path())(error)),
        }
    }
    Err(failed("discarding", &way.path())(Errno::EXIST))
}

/// A location as part of a file name; of a long one, its end.
fn label(text: &str) -> String {
    let whole = url::encode(text.as_bytes());
    let cut = whole.len().saturating_sub(LONGEST_LABEL);
    whole.get(cut..).unwrap_or_default().to_owned()
}

/// When what has this name in the trash was put there; `None`: not by this store.
fn discarded_at(name: &OsStr) -> Option<u64> {
    let (seconds, _label) = name.to_str()?.split_once('.')?;
    seconds.bytes().all(|byte| byte.is_ascii_digit()).then(|| seconds.parse().ok())?
}

/// Removes what was discarded at least `window` ago. One that cannot be removed does not keep the others:
/// the first error is given back at the end. Gives back how many bytes the removed files were long.
pub(super) fn empty(place: &Place, window: Duration) -> Result<u64, StorageError> {
    let trash = Folder::root(&place.trash)?;
    let now = place.now_seconds();
    let mut bytes = 0_u64;
    let mut first_error = None;
    for name in trash.names()? {
        let name = name?;
        let done = match discarded_at(&name) {
            None => Ok(0),
            Some(when) if when > now => redate(&trash, &name, now).map(|()| 0),
            Some(when) if now - when < window.as_secs() => Ok(0),
            Some(when) => removal::remove(&trash, &name, &when.to_string()),
        };
        match done {
            Ok(more) => bytes = bytes.saturating_add(more),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    first_error.map_or(Ok(bytes), Err)
}

/// A clock that was ahead when something was discarded would keep it for years: its time begins now.
fn redate(trash: &Folder, name: &OsStr, now: u64) -> Result<(), StorageError> {
    let rest = name.as_bytes().iter().position(|byte| *byte == b'.');
    let rest = rest.and_then(|dot| name.as_bytes().get(dot..)).unwrap_or_default();
    let mut dated = OsString::from(now.to_string());
    dated.push(OsStr::from_bytes(rest));
    match move_to_free_name((trash, name), (trash, &dated)) {
        // Something else has that name: this one is looked at again a second later.
        Ok(()) | Err(Errno::EXIST | Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("renaming", &trash.path_of(name))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_trash_tells_its_time_and_fits_the_filesystem() {
        let long = format!("{}/{}.tar.zst", "ü/".repeat(300), "x".repeat(100));
        for (text, end) in [("p/i/b.tar.zst", "p%2Fi%2Fb.tar.zst"), (&long, "xxx.tar.zst")] {
            let label = label(text);
            assert!(label.len() <= LONGEST_LABEL && label.ends_with(end), "{label}");
            assert_eq!(discarded_at(format!("17.{label}").as_ref()), Some(17));
        }
        for foreign in ["17", "x.y", "-1.x", "+1.x", "1e3.x", ".x", "99999999999999999999999.x"] {
            assert_eq!(discarded_at(foreign.as_ref()), None, "{foreign}");
        }
    }
}
