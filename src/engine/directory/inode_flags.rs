//! Inode flags, as chattr(1) sets them. A backup does not keep them, so it names them.

use std::os::fd::BorrowedFd;

use rustix::fs::ioctl_getflags;

use crate::domain::EntryPath;

/// Those that a person chose, and the letters of lsattr(1) for them.
const LETTERS: [(u32, char); 19] = [
    (0x0000_0001, 's'),
    (0x0000_0002, 'u'),
    (0x0000_0008, 'S'),
    (0x0001_0000, 'D'),
    (0x0000_0010, 'i'),
    (0x0000_0020, 'a'),
    (0x0000_0040, 'd'),
    (0x0000_0080, 'A'),
    (0x0000_0004, 'c'),
    (0x0000_0800, 'E'),
    (0x0000_4000, 'j'),
    (0x0000_8000, 't'),
    (0x0002_0000, 'T'),
    (0x0080_0000, 'C'),
    (0x0200_0000, 'x'),
    (0x4000_0000, 'F'),
    (0x2000_0000, 'P'),
    (0x0010_0000, 'V'),
    (0x0000_0400, 'm'),
];

/// The flags of the folders that the walk is in. Members inherit flags from their folder.
#[derive(Debug, Default)]
pub(super) struct InodeFlags {
    folders: Vec<(EntryPath, u32)>,
}

impl InodeFlags {
    /// What is to be said of the flags of the open file or folder at `path`: nothing if it has none that were not named
    /// with a folder above it. Paths come in the order of the walk.
    pub(super) fn lost(
        &mut self,
        path: &EntryPath,
        file: BorrowedFd<'_>,
        is_folder: bool,
    ) -> Option<String> {
        // Not every filesystem has flags.
        let flags = ioctl_getflags(file).ok()?.bits();
        while self.folders.pop_if(|(folder, _)| !path.is_within(folder)).is_some() {}
        let named = self.folders.last().map_or(0, |(_, flags)| *flags);
        let letters: String =
            LETTERS.iter().filter(|(bit, _)| flags & !named & bit > 0).map(|(_, it)| it).collect();
        if letters.is_empty() {
            return None;
        }
        let mut text = format!("its inode flags (lsattr: {letters}) are not kept");
        if is_folder {
            self.folders.push((path.clone(), flags | named));
            text.push_str(", nor where they are inherited from it");
        }
        Some(text)
    }
}
