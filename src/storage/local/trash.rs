//! Removed archives and instances, kept for a while. The time of removal is in the name, `<unix
//! seconds>.<what it was>`, so that a file keeps its own times.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::folder::{Folder, failed};
use super::layout::Layout;
use super::listing;
use super::opened_path::OpenedPath;
use crate::disk::rename_to_free_name;
use crate::domain::{Location, Timestamp};
use crate::failpoint;
use crate::file_url;
use crate::storage::{Result, StoredArchive};

/// The longest label in a name. With time and number it stays below the 255 bytes of a file name.
const LONGEST_LABEL: usize = 200;

/// Moves what `path` leads to into the trash, durably, unless it does not exist. `check` says whether it may
/// be moved; `text` is its path for the label. Returns its name in the trash.
pub(super) fn discard(
    layout: &Layout,
    path: &OpenedPath<'_>,
    text: &str,
    check: impl Fn(&Metadata, &Path) -> Result<()>,
) -> Result<Option<OsString>> {
    let Some(metadata) = path.folder.metadata(path.name)? else {
        // An earlier try may have renamed it and stopped before this sync.
        return path.folder.sync().map(|()| None);
    };
    check(&metadata, &path.path())?;
    let trash = Folder::open(&layout.trash)?;
    if metadata.is_dir() {
        // A folder that may not be written cannot be moved.
        path.folder.open_writable_folder(path.name)?;
    }
    failpoint::at("discard-before-rename");
    let (seconds, label) = (layout.now_seconds(), label_of(text));
    let numbered = (1_u32..).map(|number| format!("{seconds}.{label}.{number}"));
    let names = std::iter::once(format!("{seconds}.{label}")).chain(numbered);
    let name = path.folder.move_to(path.name, &trash, names)?;
    failpoint::at("discard-after-rename");
    trash.sync()?;
    path.folder.sync().map(|()| Some(name))
}

/// Removes what was just discarded under this name.
pub(super) fn remove_now(layout: &Layout, name: &OsStr) -> Result<()> {
    let trash = Folder::open(&layout.trash)?;
    trash.remove_tree(name)?;
    trash.sync()
}

/// Moves what was discarded last from `text` back to `path`. False: it is not in the trash any more.
pub(super) fn bring_back(layout: &Layout, path: &OpenedPath<'_>, text: &str) -> Result<bool> {
    if path.folder.metadata(path.name)?.is_some() {
        return Ok(true);
    }
    let (trash, label) = (Folder::open(&layout.trash)?, label_of(text));
    let mut newest = None;
    for name in trash.names()? {
        let name = name?;
        if has_label(&name, &label) {
            newest = newest.max(discarded_at(&name).map(|at| (at, name)));
        }
    }
    let Some((_at, name)) = newest else { return Ok(false) };
    rename_to_free_name((&trash, &name), (&path.folder, path.name))
        .map_err(failed("moving", &trash.path_of(&name)))?;
    path.folder.sync()?;
    trash.sync().map(|()| true)
}

/// An archive in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// What it was, where it was.
    pub stored: StoredArchive,
    /// When it was put there.
    pub at: Timestamp,
    name: OsString,
}

/// The archives in the trash, each as it was discarded last. One whose path is too long for its name is passed over.
pub(super) fn archives(layout: &Layout) -> Result<Vec<Discarded>> {
    let trash = Folder::open(&layout.trash)?;
    let mut found = BTreeMap::<Location, Discarded>::new();
    for name in trash.names()? {
        let name = name?;
        let Some((seconds, location)) = archive_of(&name) else { continue };
        let Some(metadata) = trash.metadata(&name)?.filter(Metadata::is_file) else { continue };
        let micros = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let at = Timestamp::from_micros(micros);
        let newer = found.get(&location).is_none_or(|it| (it.at, &it.name) < (at, &name));
        if newer {
            let stored = listing::stored_archive(location.clone(), &metadata);
            found.insert(location, Discarded { stored, at, name });
        }
    }
    Ok(found.into_values().collect())
}

/// Opens an archive in the trash.
pub(super) fn open(layout: &Layout, discarded: &Discarded) -> Result<File> {
    Folder::open(&layout.trash)?.open_file(&discarded.name)
}

/// When the archive with this name was discarded, and from where.
fn archive_of(name: &OsStr) -> Option<(u64, Location)> {
    let (_seconds, label) = name.to_str()?.split_once('.')?;
    let end = label.find(".zst").map(|at| at + ".zst".len())?;
    let is_encrypted = label.get(end..).is_some_and(|it| it.starts_with(".age"));
    let end = if is_encrypted { end + ".age".len() } else { end };
    let number = label.get(end..)?;
    let text = label.get(..end).filter(|it| it.len() < LONGEST_LABEL)?;
    let is_numbered = number.is_empty() || number.starts_with('.');
    let text = String::from_utf8(file_url::percent_decoded(text)?).ok()?;
    let location =
        text.parse().ok().filter(|_| is_numbered && has_label(name, &label_of(&text)))?;
    Some((discarded_at(name)?, location))
}

/// Whether a name in the trash is that of something with this label, with or without a number.
fn has_label(name: &OsStr, label: &str) -> bool {
    let rest = name.to_str().and_then(|name| name.split_once('.')).map(|(_seconds, rest)| rest);
    rest.and_then(|rest| rest.strip_prefix(label)).is_some_and(|number| {
        number.is_empty()
            || number.strip_prefix('.').is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()))
    })
}

/// A path as part of a file name; the end of a long one.
fn label_of(text: &str) -> String {
    let mut name = file_url::as_file_name(text);
    name.drain(..name.len().saturating_sub(LONGEST_LABEL));
    name
}

/// When something with this name was put into the trash; `None`: Coffer did not put it there.
fn discarded_at(name: &OsStr) -> Option<u64> {
    let (seconds, _label) = name.to_str()?.split_once('.')?;
    seconds.bytes().all(|byte| byte.is_ascii_digit()).then(|| seconds.parse().ok())?
}

/// Removes what was discarded at least `window` ago; returns how many bytes the files had. What cannot be
/// removed does not keep the others: the first error is returned at the end.
pub(super) fn empty(layout: &Layout, window: Duration) -> Result<u64> {
    let trash = Folder::open(&layout.trash)?;
    let now = layout.now_seconds();
    let (mut bytes, mut result) = (0_u64, Ok(()));
    for name in trash.names()? {
        let name = name?;
        let done = match discarded_at(&name) {
            None => Ok(0),
            Some(at) if at > now => redate(&trash, &name, now).map(|()| 0),
            Some(at) if now - at < window.as_secs() => Ok(0),
            Some(_at) => trash.remove_tree(&name),
        };
        result = result.and(done.map(|more| bytes = bytes.saturating_add(more)));
    }
    result.map(|()| bytes)
}

/// Dates something that a clock which was ahead dated: it would stay for years.
fn redate(trash: &Folder, name: &OsStr, now: u64) -> Result<()> {
    let label = name.as_bytes().iter().position(|byte| *byte == b'.');
    let label = label.and_then(|dot| name.as_bytes().get(dot..)).unwrap_or_default();
    let mut dated = OsString::from(now.to_string());
    dated.push(OsStr::from_bytes(label));
    match rename_to_free_name((trash, name), (trash, &dated)) {
        // If the new name is taken, the next time tries another second.
        Ok(()) | Err(Errno::EXIST | Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("renaming", &trash.path_of(name))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_trash_has_its_time_and_fits_the_filesystem() {
        let long = format!("{}/{}.tar.zst", "ü/".repeat(300), "x".repeat(100));
        for (text, end) in [("p/i/b.tar.zst", "p%2Fi%2Fb.tar.zst"), (&long, "xxx.tar.zst")] {
            let label = label_of(text);
            assert!(label.len() <= LONGEST_LABEL && label.ends_with(end), "{label}");
            assert_eq!(discarded_at(format!("17.{label}").as_ref()), Some(17));
            for (name, same) in [("", true), (".2", true), (".x", false), ("x", false)] {
                assert_eq!(has_label(format!("17.{label}{name}").as_ref(), &label), same, "{name}");
            }
        }
        let kept = "p/i/018f3c4e-7b1a-7c2d-8e3f-0123456789ab.tar.zst";
        for kept in [kept, &format!("{kept}.age")] {
            for number in ["", ".1", ".12"] {
                let name = format!("17.{}{number}", label_of(kept));
                let (at, location) = archive_of(name.as_ref()).unwrap();
                assert_eq!((at, location.as_str()), (17, kept));
            }
        }
        for other in ["17.p%2Fx.tar.zst.proof", "17.p%2Fx.db", "x.p%2Fx.tar.zst", "17.p%2"] {
            assert_eq!(archive_of(other.as_ref()), None, "{other}");
        }
        for foreign in ["17", "x.y", "-1.x", "+1.x", "1e3.x", ".x", "99999999999999999999999.x"] {
            assert_eq!(discarded_at(foreign.as_ref()), None, "{foreign}");
        }
    }
}
