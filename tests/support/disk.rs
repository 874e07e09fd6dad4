//! A small filesystem of a test's own.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::process::succeed;

/// A filesystem in memory; unmounted with this value.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Mounts one of this size. Only root may: without that right the test fails, it does not skip.
    #[track_caller]
    pub(crate) fn mounted(mib: usize) -> Self {
        Self::mounted_with(&format!("size={mib}m"))
    }

    /// The same, for so many files and folders.
    #[track_caller]
    pub(crate) fn for_files(mib: usize, inodes: usize) -> Self {
        Self::mounted_with(&format!("size={mib}m,nr_inodes={inodes}"))
    }

    #[track_caller]
    fn mounted_with(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        succeed(mount.args(["-t", "tmpfs", "-o", options, "coffer-test"]).arg(folder.path()));
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        let facts = rustix::fs::statvfs(self.path()).unwrap();
        facts.f_bavail * facts.f_frsize
    }

    /// Leaves so many bytes free: a file takes the rest.
    pub(crate) fn fill(&self, left: u64) {
        let path = self.path().join("filling");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        while self.free_bytes() > left {
            let chunk = (self.free_bytes() - left).min(1 << 20);
            if file.write(&vec![1; usize::try_from(chunk).unwrap()]).is_err() {
                break;
            }
        }
        assert!(self.free_bytes() <= left, "{} bytes are still free", self.free_bytes());
    }

    /// Removes what [`Disk::fill`] wrote.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.path().join("filling")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        succeed(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}
