//! What several rooms ask of a local disk.

mod handle;
mod link;
mod socket;
mod tree;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, RenameFlags, StatVfs, StatxFlags, Uid, fchown, fstat, makedev,
    openat, statx,
};
use rustix::io::Errno;
use rustix::process::geteuid;

pub use handle::Handle;
pub use link::{remove_link, replace_link};
pub use socket::SocketFile;
pub use tree::{NotRemoved, remove_tree, remove_tree_in};

/// Bytes that an ordinary user may still write on a filesystem: none where no file can be made any more. Filesystems that
/// make inodes as they need them say that they have none at all.
pub fn free_bytes(filesystem: &StatVfs) -> u64 {
    let takes_files = filesystem.f_files == 0 || filesystem.f_ffree > 0 || filesystem.f_favail > 0;
    if takes_files { filesystem.f_bavail.saturating_mul(filesystem.f_frsize) } else { 0 }
}

/// The mount that a file is in. Nothing can be renamed from one to another, even if both show the same filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mount {
    Number(u64),
    /// Kernels before 5.8 say only this. Of an overlay it is not the same for a folder and for a file in it.
    Device(u64),
}

impl Mount {
    /// That of what `path` leads to.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::find(CWD, path, AtFlags::empty())
    }

    /// That of `name` in an open folder; of a link, where the link itself is.
    pub fn of_name(folder: impl AsFd, name: impl AsRef<Path>) -> io::Result<Self> {
        Self::find(folder, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// That of what is open.
    pub fn of_open(file: impl AsFd) -> io::Result<Self> {
        Self::find(file, Path::new(""), AtFlags::EMPTY_PATH)
    }

    /// Whether the two are not one mount, for certain.
    pub const fn is_other(self, than: Self) -> bool {
        matches!((self, than), (Self::Number(one), Self::Number(other)) if one != other)
    }

    fn find(folder: impl AsFd, path: &Path, flags: AtFlags) -> io::Result<Self> {
        let found = statx(folder, path, flags, StatxFlags::MNT_ID)?;
        if StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID) {
            return Ok(Self::Number(found.stx_mnt_id));
        }
        Ok(Self::Device(makedev(found.stx_dev_major, found.stx_dev_minor)))
    }
}

/// The longest file that is read whole without being asked how long it is: an id, a secret, a record.
const SMALL: u64 = 64 << 10;

/// The text of a small regular file. Anything else at `path`, and a longer file, is an error; nothing waits for it.
pub fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = open_regular(path, OpenOptions::new().read(true))?;
    file.take(SMALL + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= SMALL) {
        return Ok(text);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is far too long"))
}

/// Opens the regular file at `path` with these options. Anything else there is refused, without waiting for it: a device, a
/// pipe, and a symbolic link, which could lead to a file of somebody else's. Links on the way to it are followed.
pub fn open_regular(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.clone().custom_flags(flags).open(path).map_err(|error| {
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            let why = "it is a symbolic link, which Coffer does not follow here; remove the link";
            return io::Error::other(why);
        }
        error
    })?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// What root has made in a folder belongs to the folder's owner: a server that runs as that user could not use it otherwise.
/// Nothing changes for anybody else, and where not even root may do that, as on NFS and CIFS.
pub fn give_to_owner_of(folder: impl AsFd, made: impl AsFd) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = fstat(folder)?;
    if owner.st_uid == 0 {
        return Ok(());
    }
    match fchown(made, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid))) {
        Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens what is in a folder to read it, and leaves its access time alone if this user may.
pub fn open_quietly(folder: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    match openat(folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only its owner and root may.
        Err(Errno::PERM) => openat(folder, name, flags, Mode::empty()),
        other => other,
    }
}

/// Opens the folder at `path`, and no link to one.
pub fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Renames `from` to `to`, which must be free: `EEXIST` otherwise. Each is a name in an open folder.
///
/// A filesystem that cannot promise this in one step (NFS, old kernels) does it with a second link. A folder
/// cannot have one; there, `to` is looked up first, so the caller must be the only one that gives out names.
pub fn rename_to_free_name(
    (from_folder, from): (impl AsFd, impl AsRef<Path>),
    (to_folder, to): (impl AsFd, impl AsRef<Path>),
) -> Result<(), Errno> {
    let from = (from_folder.as_fd(), from.as_ref());
    let to = (to_folder.as_fd(), to.as_ref());
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => rename_by_link(from, to),
        other => other,
    }
}

fn rename_by_link(from: (BorrowedFd<'_>, &Path), to: (BorrowedFd<'_>, &Path)) -> Result<(), Errno> {
    match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(from.0, from.1, AtFlags::empty()).or_else(|error| {
            // The old name stays, so the new one must not, or the file would have both.
            rustix::fs::unlinkat(to.0, to.1, AtFlags::empty()).and(Err(error))
        }),
        Err(Errno::PERM) => match rustix::fs::statat(to.0, to.1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_taken) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rustix::fs::renameat(from.0, from.1, to.0, to.1),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_opened() {
        let place = tempfile::tempdir().unwrap();
        let (file, link) = (place.path().join("file"), place.path().join("link"));
        write(&file, "content");
        symlink(&file, &link).unwrap();
        let mut options = OpenOptions::new();
        options.read(true);
        assert!(open_regular(&file, &options).is_ok());
        let refused = open_regular(&link, &options).unwrap_err();
        assert!(refused.to_string().contains("symbolic link"), "{refused}");
        open_regular(place.path(), &options).unwrap_err();
    }

    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn neither_way_of_renaming_replaces_anything() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        for (from, to) in [("file", "taken"), ("folder", "taken-folder")] {
            if from == "file" {
                write(&place.path().join(from), "new");
                write(&place.path().join(to), "old");
            } else {
                std::fs::create_dir(place.path().join(from)).unwrap();
                std::fs::create_dir(place.path().join(to)).unwrap();
            }
            let by_link = |from: &str, to: &str| {
                rename_by_link((folder.as_fd(), Path::new(from)), (folder.as_fd(), Path::new(to)))
            };
            assert_eq!(rename_to_free_name((&folder, from), (&folder, to)), Err(Errno::EXIST));
            assert_eq!(by_link(from, to), Err(Errno::EXIST));
            assert_eq!(by_link(from, "x"), Ok(()));
            assert_eq!(rename_to_free_name((&folder, "x"), (&folder, from)), Ok(()));
        }
        assert_eq!(std::fs::read(place.path().join("taken")).unwrap(), b"old");
        assert_eq!(std::fs::read(place.path().join("file")).unwrap(), b"new");
    }
}
