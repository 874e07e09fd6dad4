//! Notices from outside which files of a tree are read, with inotify.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::support::wait_until;

/// Watches the folders of a tree.
pub(crate) struct Watch {
    queue: OwnedFd,
    folders: HashMap<i32, PathBuf>,
}

impl Watch {
    /// From now on, reads of the files in these folders are noted.
    pub(crate) fn over(folders: &[&Path]) -> Self {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let watch = |folder: &&Path| {
            let number = inotify::add_watch(&queue, *folder, WatchFlags::ACCESS).unwrap();
            (number, folder.to_path_buf())
        };
        let folders = folders.iter().map(watch).collect();
        Self { queue, folders }
    }

    /// The files of which content was read since the last call.
    pub(crate) fn read_files(&self) -> BTreeSet<PathBuf> {
        let mut room = vec![MaybeUninit::uninit(); 1 << 16];
        let mut reader = Reader::new(&self.queue, &mut room);
        let mut found = BTreeSet::new();
        loop {
            let event = match reader.next() {
                Err(Errno::AGAIN) => return found,
                other => other.unwrap(),
            };
            assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW), "too much at once");
            if event.events().contains(ReadFlags::ISDIR) {
                continue;
            }
            if let Some(name) = event.file_name() {
                let name = OsStr::from_bytes(name.to_bytes());
                found.insert(self.folders[&event.wd()].join(name));
            }
        }
    }

    /// Waits until somebody has begun to read this file.
    pub(crate) fn wait_for_read(&self, path: &Path) {
        wait_until("the file to be read", || self.read_files().contains(path).then_some(()));
    }
}
