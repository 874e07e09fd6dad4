//! What everything stands on: the data directory, its filesystem, the clock.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FlockOperation, RenameFlags, StatVfs, flock, renameat_with, statvfs, unlinkat,
};
use rustix::io::Errno;

use crate::cli::terminal::human;
use crate::config::Config;
use crate::domain::{Clock as _, SystemClock, Timestamp};

use super::Findings;

const DATA: &str = "data directory";
/// Archives are published by renaming from `tmp/`, so these have to be on one filesystem.
const FOLDERS: [&str; 4] = ["archives", "tmp", "trash", "restored"];
/// Few files are made, but a tree that is restored may need many.
const FEW_INODES: u64 = 10_000;
/// Free space below this, beyond the configured head-room, is worth a word.
const LITTLE_SPACE: u64 = 256 << 20;
/// 2026-01-01T00:00:00Z: the program is younger than any clock that shows less.
const EARLIEST: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// Whether the data directory can do what publishing an archive asks of it.
pub(super) fn data_dir(config: &Config, findings: &mut Findings) {
    let folder = &config.data_dir;
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_other) => {
            let advice = "name a folder as data_dir";
            return findings.problem(DATA, format!("{shown} is not a folder"), advice);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return missing(config, findings),
        Err(error) => {
            let advice = format!("let the user that runs Coffer into it: chown coffer {shown}");
            return findings.problem(DATA, format!("{shown}: {error}"), advice);
        }
    };
    match probe(folder) {
        Ok(()) => findings
            .ok(DATA, format!("{shown}: writing, fsync, rename without replacing and flock work")),
        Err((doing, error)) => {
            let advice = "run this as the user that runs Coffer, and put data_dir on a local \
                          filesystem (ext4, xfs, btrfs, zfs) that this user may write";
            findings.problem(DATA, format!("{shown}: {doing}: {error}"), advice);
        }
    }
    manners(folder, &metadata, findings);
}

/// It is made at the first start, if its nearest folder that is there allows it.
fn missing(config: &Config, findings: &mut Findings) {
    let shown = config.data_dir.display();
    let above = config.data_dir.ancestors().skip(1).find(|path| path.exists());
    let above = above.unwrap_or(Path::new("/"));
    match tempfile::Builder::new().prefix(".coffer-doctor-").tempfile_in(above) {
        Ok(_removed_at_once) => {
            findings.ok(DATA, format!("{shown} is not there yet; the first start makes it"));
        }
        Err(error) => findings.problem(
            DATA,
            format!("{shown} is not there, and cannot be made in {}: {error}", above.display()),
            format!("as root: install -d -m 0700 -o coffer {shown}; or choose another data_dir"),
        ),
    }
}

/// Does with a small file what is done with an archive. On an error says at which step.
fn probe(folder: &Path) -> Result<(), (&'static str, io::Error)> {
    let at = |doing| move |error: io::Error| (doing, error);
    let errno = |doing| move |error: Errno| (doing, io::Error::from(error));
    let mut file = tempfile::Builder::new()
        .prefix(".coffer-doctor-")
        .tempfile_in(folder)
        .map_err(at("making a file"))?;
    file.write_all(b"probe").map_err(at("writing a file"))?;
    file.as_file().sync_all().map_err(at("fsync"))?;
    let mut renamed = file.path().as_os_str().to_owned();
    renamed.push(".renamed");
    renameat_with(CWD, file.path(), CWD, &renamed, RenameFlags::NOREPLACE)
        .or_else(|error| without_flag(error, file.path(), Path::new(&renamed)))
        .map_err(errno("renaming a file"))?;
    let checked = locks(file.as_file(), Path::new(&renamed));
    unlinkat(CWD, &renamed, AtFlags::empty()).map_err(errno("removing a file"))?;
    checked?;
    let directory = fs::File::open(folder).map_err(at("opening the folder"))?;
    directory.sync_all().map_err(at("fsync of the folder"))
}

/// A filesystem that cannot rename without replacing can link and unlink, as the store does then.
fn without_flag(error: Errno, from: &Path, to: &Path) -> Result<(), Errno> {
    if error != Errno::INVAL && error != Errno::NOSYS {
        return Err(error);
    }
    rustix::fs::link(from, to)?;
    unlinkat(CWD, from, AtFlags::empty())
}

/// Whether a lock taken on a file keeps another one out.
fn locks(file: &fs::File, path: &Path) -> Result<(), (&'static str, io::Error)> {
    let doing = "flock";
    flock(file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| (doing, io::Error::from(error)))?;
    let other = fs::File::open(path).map_err(|error| (doing, error))?;
    match flock(&other, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err((doing, io::Error::from(error))),
        Ok(()) => Err((doing, io::Error::other("it does not keep a second process out"))),
    }
}

/// Its owner, its mode, and whether what is in it lies on one filesystem.
fn manners(folder: &Path, metadata: &Metadata, findings: &mut Findings) {
    let shown = folder.display();
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        findings.warning(
            DATA,
            format!("{shown} belongs to user {}, and this is user {me}", metadata.uid()),
            format!("run this as the user that runs Coffer: sudo -u '#{}' …", metadata.uid()),
        );
    }
    if metadata.mode() & 0o077 != 0 {
        findings.warning(
            DATA,
            format!("{shown} is open to others (mode {:o})", metadata.mode() & 0o7777),
            format!("archives hold whole databases: chmod 0700 {shown}"),
        );
    }
    for name in FOLDERS {
        let inner = folder.join(name);
        if fs::metadata(&inner).is_ok_and(|inner| inner.dev() != metadata.dev()) {
            findings.problem(
                DATA,
                format!("{} is on another filesystem than {shown}", inner.display()),
                "archives are published by renaming: put all of data_dir on one filesystem",
            );
        }
    }
}

/// Free space and inodes; gives the bytes that backups may still take.
pub(super) fn space(config: &Config, findings: &mut Findings) -> Option<u64> {
    let there = config.data_dir.ancestors().find(|path| path.exists())?;
    let vfs = match statvfs(there) {
        Ok(vfs) => vfs,
        Err(error) => {
            let advice = "look whether its filesystem is mounted and sound";
            findings.problem("free space", format!("{}: {error}", there.display()), advice);
            return None;
        }
    };
    let free = vfs.f_bavail.saturating_mul(vfs.f_frsize);
    let usable = free.saturating_sub(config.storage.headroom_bytes());
    inodes(&vfs, findings);
    let found = format!("{} free, {} of them for archives", human(free), human(usable));
    if usable == 0 {
        let advice = "make room: the next backup fails; storage.headroom_mib is never used up";
        findings.problem("free space", found, advice);
    } else if usable < LITTLE_SPACE {
        findings.warning("free space", found, "make room, or delete old backups");
    } else {
        findings.ok("free space", found);
    }
    Some(usable)
}

/// Filesystems that make inodes as they need them say 0 in all.
fn inodes(vfs: &StatVfs, findings: &mut Findings) {
    if vfs.f_files == 0 || vfs.f_favail >= FEW_INODES {
        return;
    }
    let found = format!("{} of {} are free", vfs.f_favail, vfs.f_files);
    if vfs.f_favail == 0 {
        findings.problem("inodes", found, "no file can be made: remove files that are not needed");
    } else {
        findings.warning("inodes", found, "remove files that are not needed");
    }
}

/// Whether the time is plausible: ids and the order of backups depend on it.
pub(super) fn clock(findings: &mut Findings) {
    let now = SystemClock.now();
    let found = format!("{} UTC", now.to_wire());
    if now < EARLIEST {
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
        let (doing, error) = probe(Path::new("/proc/self")).unwrap_err();
        assert_eq!(doing, "making a file", "{error}");
    }

    #[test]
    fn the_earliest_time_is_that_of_2026() {
        assert_eq!(EARLIEST.to_wire(), "2026-01-01T00:00:00");
    }
}
