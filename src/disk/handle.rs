//! What is at a name, by itself and never what a link there leads to. Where others may write, a name can lead elsewhere
//! from one moment to the next; the handle stays with what was there.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chmod, chownat, openat};

/// A file, folder or link, whatever its permissions are.
#[derive(Debug)]
pub struct Handle(File);

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Handle {
    /// What is at `name` in an open folder; a symbolic link there is opened itself.
    pub fn open(folder: impl AsFd, name: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(folder, name.as_ref(), OFlags::empty())
    }

    /// The same, if it is a folder.
    pub fn open_folder(folder: impl AsFd, name: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(folder, name.as_ref(), OFlags::DIRECTORY)
    }

    fn open_with(folder: impl AsFd, name: &Path, more: OFlags) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        Ok(Self(File::from(openat(folder, name, flags, Mode::empty())?)))
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        // No other call changes the mode of what is open in this way.
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        Ok(chmod(path.as_str(), Mode::from_raw_mode(mode))?)
    }

    /// Sets the owner, the group or both.
    pub fn set_owner(&self, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
        let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
        Ok(chownat(&self.0, "", user, group, AtFlags::EMPTY_PATH)?)
    }

    /// Opens the folder that this is, to list it and for names in it.
    pub fn list(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&self.0, ".", flags, Mode::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn a_link_is_never_followed_and_what_it_leads_to_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let (target, link) = (place.path().join("target"), place.path().join("link"));
        std::fs::create_dir(&target).unwrap();
        std::fs::set_permissions(&target, Permissions::from_mode(0o755)).unwrap();
        symlink(&target, &link).unwrap();
        let before = std::fs::metadata(&target).unwrap();
        Handle::open_folder(CWD, &link).unwrap_err();
        let handle = Handle::open(CWD, &link).unwrap();
        assert!(handle.metadata().unwrap().is_symlink());
        handle.set_mode(0o700).unwrap_or_default();
        handle.set_owner(Some(1), Some(1)).unwrap_or_default();
        let after = std::fs::metadata(&target).unwrap();
        let owner_and_mode = |it: &Metadata| (it.uid(), it.gid(), it.mode());
        assert_eq!(owner_and_mode(&after), owner_and_mode(&before));
    }

    #[test]
    fn the_name_may_lead_elsewhere_meanwhile() {
        let place = tempfile::tempdir().unwrap();
        let (folder, away) = (place.path().join("folder"), place.path().join("away"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::create_dir(folder.join("inside")).unwrap();
        let handle = Handle::open_folder(CWD, &folder).unwrap();
        rustix::fs::rename(&folder, &away).unwrap();
        symlink("/", &folder).unwrap();
        handle.set_mode(0o711).unwrap();
        assert_eq!(std::fs::metadata(&away).unwrap().mode() & 0o7777, 0o711);
        assert!(Handle::open(handle.list().unwrap(), "inside").is_ok());
    }
}
