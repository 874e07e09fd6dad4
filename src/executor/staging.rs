//! The place that is refreshed for staging. It is a link, and what it leads to lies beside it:
//!
//! ```text
//! /srv/staging/shop.db                              → .shop.db.coffer/01a2…/shop.db
//!              .shop.db.coffer/<instance>.staging     says whose it is
//!                              <generation>/shop.db   what was restored
//! ```
//!
//! A link is replaced in one step, so that at any instant the old or the new one is there, complete. What belongs to a
//! database, such as SQLite's `-wal`, lies beside the file itself and goes with it: it is never applied to another one.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::process::geteuid;

use crate::disk::{Handle, free_bytes, remove_link, remove_tree, replace_link};
use crate::domain::{FailureCode, InstanceId, RunId, shell_word};
use crate::engine::EngineError;
use crate::storage::StorageError;
use crate::undo::look_for_users;

use super::{JobError, Result};

/// How the names of links begin that are not in their place yet.
const LINK: &str = "link-";

/// Where one instance is refreshed.
#[derive(Debug)]
pub(super) struct StagingPlace {
    to: PathBuf,
    parent: PathBuf,
    name: OsString,
    /// The folder of what was restored.
    keeper: PathBuf,
    /// The generation that the link leads to.
    current: Option<String>,
}

impl StagingPlace {
    /// Checks that `to` is free, or what Coffer put there for this instance, and that nothing runs on it where it is the
    /// data directory of a server. Makes the folder beside it.
    pub(super) fn open(to: &Path, instance: InstanceId, of_server: bool) -> Result<Self> {
        let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
            return Err(JobError::Bug("a place for staging without a name"));
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".coffer");
        let keeper = parent.join(&hidden);
        let current = current(to, &hidden, name)?;
        let place = Self {
            to: to.to_owned(),
            parent: parent.to_owned(),
            name: name.to_owned(),
            keeper,
            current,
        };
        place.take(instance)?;
        if of_server {
            place.require_no_server()?;
        }
        place.sweep();
        Ok(place)
    }

    /// Makes the folder, or checks that it is this instance's.
    fn take(&self, instance: InstanceId) -> Result<()> {
        let above = self.inspect_parent()?;
        match DirBuilder::new().mode(0o700).create(&self.keeper) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("creating", &self.keeper)(error).into()),
        }
        let found = std::fs::symlink_metadata(&self.keeper);
        let found = found.map_err(failed("inspecting", &self.keeper))?;
        let marker = self.keeper.join(format!("{instance}.staging"));
        let is_own = found.is_dir() && found.uid() == geteuid().as_raw();
        let is_empty = || self.members().is_ok_and(|names| names.is_empty());
        if !is_own || !marker.exists() && !is_empty() {
            return Err(occupied(&self.keeper, "is not what Coffer made for this instance"));
        }
        // Others may pass, as through the folder it is in, but only this user writes here.
        let mode = above.mode() & 0o755 | 0o700;
        prepare(&self.keeper, mode, (None, above.gid()))
            .map_err(failed("preparing", &self.keeper))?;
        match File::create_new(&marker) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(failed("creating", &marker)(error).into())
            }
            Ok(_) | Err(_) => sync(&self.keeper).and_then(|()| sync(&self.parent)),
        }
    }

    fn inspect_parent(&self) -> Result<Metadata> {
        Ok(std::fs::metadata(&self.parent).map_err(failed("inspecting", &self.parent))?)
    }

    fn members(&self) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(&self.keeper)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Fails while a server runs on what is there: its data would be removed under it.
    fn require_no_server(&self) -> Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        let folder = self.keeper.join(current).join(&self.name);
        let named = running_server(&folder).map(|it| format!("a server runs on it (process {it})"));
        let Some(why) = named.or_else(|| used_by(&folder)) else { return Ok(()) };
        let text = format!(
            "{} is not replaced: {why}; stop it before the time of staging.schedule",
            self.to.display()
        );
        Err(EngineError::known(FailureCode::TargetOccupied, text).into())
    }

    /// Fails unless `needed` bytes fit beside what is there, and `headroom` more stay free.
    pub(super) fn require_room(&self, needed: u64, headroom: u64) -> Result<()> {
        let found = rustix::fs::statvfs(&self.parent);
        let free =
            free_bytes(&found.map_err(|error| failed("inspecting", &self.parent)(error.into()))?);
        let needed = needed.saturating_add(headroom);
        if needed > free {
            let what = self.parent.display().to_string();
            return Err(StorageError::Full { what, needed, free }.into());
        }
        Ok(())
    }

    /// Removes what is not in use: older generations, and those of restores that did not end.
    fn sweep(&self) {
        if let Err(error) = self.remove_but(self.current.as_deref()) {
            log::warn!("{} holds more than it needs to: {error}", self.keeper.display());
        }
    }

    fn remove_but(&self, kept: Option<&str>) -> io::Result<()> {
        let mut result = Ok(());
        for name in self.members()? {
            let Some(name) = name.to_str() else { continue };
            let path = self.keeper.join(name);
            let removed = if name.starts_with(LINK) {
                remove_link(&path)
            } else if name.parse::<RunId>().is_ok() && Some(name) != kept {
                remove_tree(&path)
            } else {
                continue;
            };
            result = result.and(removed);
        }
        result
    }

    /// Makes a folder for what is restored now.
    pub(super) fn begin(&self) -> Result<Generation<'_>> {
        let id = RunId::generate().to_string();
        let folder = self.keeper.join(&id);
        let above = self.inspect_parent()?;
        DirBuilder::new().mode(0o700).create(&folder).map_err(failed("creating", &folder))?;
        let generation = Generation { place: self, id, folder, is_published: false };
        // Who may write beside the target may write beside what it leads to: SQLite's files are there.
        let (folder, mode) = (&generation.folder, above.mode() & 0o7777 | 0o700);
        prepare(folder, mode, (Some(above.uid()), above.gid()))
            .map_err(failed("preparing", folder))?;
        Ok(generation)
    }

    /// Removes what the link led to before.
    pub(super) fn remove_older(&self) {
        let now = current(&self.to, self.keeper.file_name().unwrap_or_default(), &self.name);
        if let Ok(Some(now)) = now
            && let Err(error) = self.remove_but(Some(&now))
        {
            log::warn!("{}: what was replaced is left over: {error}", self.keeper.display());
        }
    }

    fn link_to(&self, generation: &str) -> OsString {
        let hidden = self.keeper.file_name().unwrap_or_default();
        Path::new(hidden).join(generation).join(&self.name).into_os_string()
    }
}

/// Sets owner, group and mode of a folder that this user made. Where the first two cannot be set, they stay this user's.
fn prepare(folder: &Path, mode: u32, (user, group): (Option<u32>, u32)) -> io::Result<()> {
    // By what is there and not by its name, which could be a link by now.
    let found = Handle::open_folder(CWD, folder)?;
    if found.metadata()?.uid() != geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    drop(found.set_owner(user, Some(group)));
    found.set_mode(mode)
}

/// What is being restored. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Generation<'a> {
    place: &'a StagingPlace,
    id: String,
    folder: PathBuf,
    is_published: bool,
}

impl Generation<'_> {
    /// Where to restore to.
    pub(super) fn target(&self) -> PathBuf {
        self.folder.join(&self.place.name)
    }

    /// Puts it in the place of what is there, in one step and durably.
    pub(super) fn publish(mut self) -> Result<()> {
        let StagingPlace { to, keeper, current, .. } = self.place;
        sync(&self.folder).and_then(|()| sync(keeper))?;
        let (old, new) =
            (current.as_ref().map(|it| self.place.link_to(it)), self.place.link_to(&self.id));
        let beside = keeper.join(format!("{LINK}{}", self.id));
        replace_link(to, old.as_deref(), &new, &beside).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                not_ours(to)
            } else {
                failed("replacing", to)(error).into()
            }
        })?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Generation<'_> {
    fn drop(&mut self) {
        if !self.is_published
            && let Err(error) = remove_tree(&self.folder)
        {
            log::warn!("{} is left over: {error}", self.folder.display());
        }
    }
}

/// The generation that the link at `to` leads to; `None`: there is nothing. Anything else there is not Coffer's.
fn current(to: &Path, hidden: &OsStr, name: &OsStr) -> Result<Option<String>> {
    let found = match std::fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(failed("inspecting", to))?,
    };
    if !found.is_symlink() {
        return Err(not_ours(to));
    }
    let link = std::fs::read_link(to).map_err(failed("reading", to))?;
    let mut parts = link.iter();
    let (first, second, third, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let generation = second.and_then(OsStr::to_str).filter(|it| it.parse::<RunId>().is_ok());
    match generation {
        Some(found) if first == Some(hidden) && third == Some(name) && more.is_none() => {
            Ok(Some(found.to_owned()))
        }
        _ => Err(not_ours(to)),
    }
}

fn not_ours(to: &Path) -> JobError {
    occupied(to, "exists, and Coffer did not put it there")
}

fn occupied(path: &Path, why: &str) -> JobError {
    let mut away = path.as_os_str().to_owned();
    away.push(".old");
    let text = format!(
        "{} {why}; it is not replaced. Move it away: mv -nT {} {}; or name another place in staging.to",
        path.display(),
        shell_word(path),
        shell_word(&away),
    );
    EngineError::known(FailureCode::TargetOccupied, text).into()
}

/// The process whose id a file of this data directory names, as those of database servers do, if it runs.
fn running_server(folder: &Path) -> Option<u32> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let files = entries.filter(|it| it.path().extension().is_some_and(|it| it == "pid"));
    files.map(|it| it.path()).find_map(|path| {
        let mut text = String::new();
        File::open(path).ok()?.take(16).read_to_string(&mut text).ok()?;
        let process: u32 = text.lines().next()?.trim().parse().ok()?;
        Path::new("/proc").join(process.to_string()).exists().then_some(process)
    })
}

/// Who uses this data directory, as far as this user may see: Redis writes no such file, and others may write it elsewhere.
fn used_by(folder: &Path) -> Option<String> {
    let found = look_for_users(folder, &[]).programs;
    (!found.is_empty()).then(|| format!("it is used by {}", found.join(", ")))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    move |error| EngineError::target(action, path, error)
}

fn sync(folder: &Path) -> Result<()> {
    Ok(File::open(folder).and_then(|it| it.sync_all()).map_err(failed("syncing", folder))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, symlink};
    use std::process::Command;

    use super::*;

    /// A place in a folder, with its instance.
    fn place() -> (tempfile::TempDir, PathBuf, InstanceId) {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("shop");
        (folder, to, InstanceId::generate())
    }

    fn refresh(to: &Path, instance: InstanceId, pid: &str) -> Result<()> {
        let place = StagingPlace::open(to, instance, true)?;
        let generation = place.begin()?;
        DirBuilder::new().create(generation.target()).unwrap();
        let file = File::create_new(generation.target().join("postmaster.pid")).unwrap();
        file.write_all_at(pid.as_bytes(), 0).unwrap();
        generation.publish()?;
        place.remove_older();
        Ok(())
    }

    fn code(result: Result<()>) -> FailureCode {
        result.unwrap_err().failure().code
    }

    #[test]
    fn what_another_instance_or_somebody_else_put_there_is_not_replaced() {
        let (folder, to, instance) = place();
        refresh(&to, instance, "").unwrap();
        refresh(&to, instance, "").unwrap();
        let other = refresh(&to, InstanceId::generate(), "");
        assert_eq!(code(other), FailureCode::TargetOccupied);
        let link = std::fs::read_link(&to).unwrap();
        std::fs::remove_file(&to).unwrap();
        for target in [link.join("more"), "elsewhere".into(), link.with_file_name("other")] {
            symlink(&target, &to).unwrap();
            assert_eq!(code(refresh(&to, instance, "")), FailureCode::TargetOccupied);
            assert_eq!(std::fs::read_link(&to).unwrap(), target);
            std::fs::remove_file(&to).unwrap();
        }
        refresh(&to, instance, "").unwrap();
        let left = std::fs::read_dir(folder.path().join(".shop.coffer")).unwrap().count();
        assert_eq!(left, 2, "one generation, and the file that says whose it is");
    }

    #[test]
    fn the_data_of_a_server_that_runs_is_not_replaced() {
        let (_folder, to, instance) = place();
        let own = std::process::id().to_string();
        refresh(&to, instance, &own).unwrap();
        let refused = refresh(&to, instance, "").unwrap_err();
        assert!(refused.to_string().contains(&own), "{refused}");
        std::fs::remove_file(to.join("postmaster.pid")).unwrap();
        refresh(&to, instance, "").unwrap();
    }

    #[test]
    fn the_data_of_a_server_that_leaves_no_file_with_its_process_is_not_replaced_either() {
        let (_folder, to, instance) = place();
        refresh(&to, instance, "").unwrap();
        // Like Redis, which changes into its folder.
        let mut server = Command::new("sleep").arg("600").current_dir(&to).spawn().unwrap();
        let refused = refresh(&to, instance, "");
        server.kill().unwrap();
        server.wait().unwrap();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(&server.id().to_string()), "{refused}");
        refresh(&to, instance, "").unwrap();
    }

    #[test]
    fn a_restore_that_does_not_fit_is_not_begun() {
        let (_folder, to, instance) = place();
        let place = StagingPlace::open(&to, instance, false).unwrap();
        place.require_room(0, 0).unwrap();
        let full = place.require_room(u64::MAX / 2, 0).unwrap_err();
        assert_eq!(full.failure().code, FailureCode::DiskFull);
    }
}
