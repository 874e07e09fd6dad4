//! The data directory, its filesystem, and the clock.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, StatVfs, flock, statvfs};
use rustix::io::Errno;

use crate::cli::terminal::human;
use crate::config::Config;
use crate::disk::Mount;
use crate::domain::{Clock as _, SystemClock, Timestamp, shell_word};
use crate::engine;
use crate::server::{self, user_name};
use crate::storage::{Local, StorageError};

use super::catalog::RUN_AS_COFFER;
use super::finding::Findings;
use super::service_view::ServiceView;

const CHECK: &str = "data directory";
/// Archives are published by renaming them from `tmp/`, so these have to be on one filesystem.
const FOLDERS: [&str; 4] = ["archives", "tmp", "trash", "restored"];
/// Backups need few inodes, but restoring a tree may need many.
const FEW_INODES: u64 = 10_000;
/// Free space below this, beyond the configured headroom, is a warning.
const LITTLE_SPACE: u64 = 256 << 20;

/// Whether the data directory can do what publishing an archive needs.
pub(super) fn data_dir(config: &Config, findings: &mut Findings) {
    let folder = &config.data_dir;
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_other) => {
            let advice = "set data_dir to a folder";
            return findings.problem(CHECK, format!("{shown} is not a folder"), advice);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return missing(config, findings),
        Err(error) => {
            let mend = server::mended_by(folder, true);
            return findings.problem(CHECK, format!("{shown}: {error}"), mend);
        }
    };
    match probe(folder) {
        Ok(()) => findings
            .ok(CHECK, format!("{shown}: writing, fsync, rename without replacing and flock work")),
        Err((step, error)) => {
            let advice = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem => {
                    "see in the kernel's log why (dmesg), and mount it for writing again; until then backups can be \
                     verified, exported and restored elsewhere"
                        .to_owned()
                }
                io::ErrorKind::PermissionDenied => server::mended_by(folder, true),
                _ => "put data_dir on a local filesystem (ext4, xfs, btrfs, zfs)".to_owned(),
            };
            findings.problem(CHECK, format!("{shown}: {step}: {error}"), advice);
        }
    }
    match Local::check_ownership(folder) {
        Err(StorageError::Untrusted { what, why, mend }) => {
            findings.problem(CHECK, format!("{what} {why}; the server does not start"), mend);
        }
        Err(error) => findings.problem(CHECK, error.to_string(), RUN_AS_COFFER),
        Ok(()) => {}
    }
    left_by_restores(config, findings);
    ownership_and_mode(config, &metadata, findings);
    one_filesystem(folder, findings);
}

/// What restores left that were killed, in the folders where it is likely: those of the sources, the current one, and that
/// of temporary files. The next restore to the same target removes it.
fn left_by_restores(config: &Config, findings: &mut Findings) {
    let sources = config.instances.iter().filter_map(|it| it.source.text("path"));
    let beside = sources.filter_map(|path| Path::new(path).parent()).map(Path::to_owned);
    let mut folders: Vec<PathBuf> = beside.chain([std::env::temp_dir()]).collect();
    folders.extend(std::env::current_dir().ok());
    folders.sort();
    folders.dedup();
    for left in folders.iter().flat_map(|folder| engine::left_by_restores_in(folder)) {
        let shown = left.display();
        findings.warning(
            "restores",
            format!("{shown} is left of a restore that was killed"),
            format!("make that restore again, which removes it, or: rm -rf {}", shell_word(left)),
        );
    }
}

/// The first start makes the data directory, if its nearest existing ancestor allows it.
fn missing(config: &Config, findings: &mut Findings) {
    let shown = config.data_dir.display();
    if let Err(other) = server::require_known(config) {
        let advice = "mount its disk, or set data_dir to where it is";
        return findings.problem(CHECK, other.to_string(), advice);
    }
    let ancestor = config.data_dir.ancestors().skip(1).find(|path| path.exists());
    let ancestor = ancestor.unwrap_or(Path::new("/"));
    match tempfile::Builder::new().prefix(".coffer-doctor-").tempfile_in(ancestor) {
        Ok(_removed_at_once) => {
            findings.ok(CHECK, format!("{shown} does not exist yet; the first start makes it"));
        }
        Err(error) => findings.problem(
            CHECK,
            format!("{shown} does not exist and cannot be made in {}: {error}", ancestor.display()),
            format!(
                "as root: install -d -m 0700 -o coffer {}; or choose another data_dir",
                shell_word(&config.data_dir)
            ),
        ),
    }
}

/// Does with a small file what is done with an archive. An error says at which step.
fn probe(folder: &Path) -> Result<(), (&'static str, io::Error)> {
    let at = |step| move |error: io::Error| (step, error);
    let mut file = tempfile::Builder::new()
        .prefix(".coffer-doctor-")
        .tempfile_in(folder)
        .map_err(at("making a file"))?;
    file.write_all(b"probe").map_err(at("writing a file"))?;
    file.as_file().sync_all().map_err(at("fsync"))?;
    let renamed = file.path().with_extension("renamed");
    let file = file.persist_noclobber(&renamed).map_err(|error| error.error);
    let file = file.map_err(at("renaming a file"))?;
    let locked = lock_excludes(&file, &renamed).map_err(at("flock"));
    fs::remove_file(&renamed).map_err(at("removing a file"))?;
    locked?;
    let directory = File::open(folder).map_err(at("opening the folder"))?;
    directory.sync_all().map_err(at("fsync of the folder"))
}

/// Fails unless a lock on the file excludes a second one.
fn lock_excludes(file: &File, path: &Path) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    match flock(&File::open(path)?, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(io::Error::other("it does not keep a second process out")),
    }
}

fn ownership_and_mode(config: &Config, metadata: &Metadata, findings: &mut Findings) {
    let shown = config.data_dir.display();
    let user = rustix::process::geteuid();
    // For root, the sources are checked with the rights of the server that runs.
    let is_checked = user.is_root() && ServiceView::of_server(config).is_some();
    if metadata.uid() != user.as_raw() && !is_checked {
        let name = |id: u32| user_name(id).unwrap_or_else(|| format!("#{id}"));
        let (owner, user) = (name(metadata.uid()), name(user.as_raw()));
        findings.warning(
            CHECK,
            format!("{shown} belongs to {owner}, and this is {user}, who may read other sources than {owner}"),
            format!("start the server first, or run this as its user: sudo -u {} coffer doctor", shell_word(&owner)),
        );
    }
    if metadata.mode() & 0o077 != 0 {
        findings.warning(
            CHECK,
            format!("{shown} is open to others (mode {:o})", metadata.mode() & 0o7777),
            format!("archives hold whole databases: chmod 0700 {}", shell_word(&config.data_dir)),
        );
    }
}

fn one_filesystem(folder: &Path, findings: &mut Findings) {
    let Ok(mount) = Mount::of(folder) else { return };
    for inner in FOLDERS.map(|name| folder.join(name)) {
        if Mount::of(&inner).is_ok_and(|inner| inner != mount) {
            findings.problem(
                CHECK,
                format!("{} is on another filesystem than {}", inner.display(), folder.display()),
                "archives are published by renaming: put all of data_dir on one filesystem",
            );
        }
    }
}

/// Checks free space and inodes; returns the bytes that backups may still take.
pub(super) fn disk_space(config: &Config, findings: &mut Findings) -> Option<u64> {
    const CHECK: &str = "free space";
    let existing = config.data_dir.ancestors().find(|path| path.exists())?;
    let vfs = match statvfs(existing) {
        Ok(vfs) => vfs,
        Err(error) => {
            let advice = "check that its filesystem is mounted and sound";
            findings.problem(CHECK, format!("{}: {error}", existing.display()), advice);
            return None;
        }
    };
    let free = crate::disk::free_bytes(&vfs);
    let usable = free.saturating_sub(config.storage.headroom_bytes());
    inodes(&vfs, findings);
    let found = format!("{} free, {} of them for archives", human(free), human(usable));
    if usable == 0 {
        let advice =
            "free some space: the next backup fails, as it may not use storage.headroom_mib";
        findings.problem(CHECK, found, advice);
    } else if usable < LITTLE_SPACE {
        findings.warning(CHECK, found, "free some space, or delete old backups");
    } else {
        findings.ok(CHECK, found);
    }
    Some(usable)
}

fn inodes(vfs: &StatVfs, findings: &mut Findings) {
    // Filesystems that make inodes as needed report a total of 0.
    if vfs.f_files == 0 || vfs.f_favail >= FEW_INODES {
        return;
    }
    let found = format!("{} of {} are free", vfs.f_favail, vfs.f_files);
    let advice = "remove files that are not needed";
    if vfs.f_favail == 0 {
        findings.problem("inodes", format!("{found}: no file can be made"), advice);
    } else {
        findings.warning("inodes", found, advice);
    }
}

/// Whether the time is plausible: ids and the order of backups depend on it.
pub(super) fn clock(findings: &mut Findings) {
    let now = SystemClock.now();
    let found = format!("{} UTC", now.to_wire());
    if now < Timestamp::EARLIEST {
        let advice = "set it (timedatectl set-ntp true): backups are ordered by their time";
        findings.problem("clock", found, advice);
    } else {
        findings.ok("clock", found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        probe(folder.path()).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn the_probe_says_at_which_step_it_failed() {
        let (step, error) = probe(Path::new("/proc/self")).unwrap_err();
        assert_eq!(step, "making a file", "{error}");
    }

    #[test]
    fn the_earliest_time_is_the_start_of_2026() {
        assert_eq!(Timestamp::EARLIEST.to_wire(), "2026-01-01T00:00:00");
    }
}
