//! Restoring what the frames of an archive hold.

use std::collections::HashSet;
use std::sync::Arc;

use super::members::{ENDS, Members, Next, Run};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::manifest::{MAX_MANIFEST_BYTES, Manifest};
use crate::archive::read::walk::{Counts, Lost};
use crate::domain::num::to_u64;
use crate::domain::{Cancel, Entry, EntryKind, EntryPath, Extent, ReadAt, WriteAt};

/// Why nothing vouches for a range.
const CUT: &str =
    "it is in the last piece of the archive, which is cut off in front of its checksum";

const MANIFEST: &str = ".coffer/manifest.json";
/// The longest `RESTORE.txt` that is read.
const MAX_ABOUT_BYTES: usize = 1 << 20;

/// What could be had of an archive without its index.
#[derive(Debug, Default)]
pub struct Unindexed {
    pub counts: Counts,
    /// Ranges of restored files that are zeros.
    pub lost: Vec<Lost>,
    /// Ranges of restored files that nothing vouches for, not even a checksum of zstd: the end of the archive cuts it off.
    pub unchecked: Vec<Lost>,
    /// Where members are missing whose names are not known: one sentence each.
    pub missing: Vec<String>,
    /// The archive's manifest, where it can be read.
    pub manifest: Option<Manifest>,
    /// The beginning of its `RESTORE.txt`, which says what it is.
    pub about: String,
    /// Whether it has frames as only incremental archives have them.
    pub has_patches: bool,
}

/// Restores what can be had of a full archive whose index cannot be read: whatever its frames hold, from the first on.
/// Nothing of it is compared with a hash of the source; zstd's checksum of each frame is, but of one that is cut. `make` is as in
/// [`Chain::restore`](super::super::Chain::restore); a folder whose own entry is lost is made too. `progress` is called
/// with the number of bytes of the file that are done.
pub fn salvage_unindexed<E: From<ArchiveError>>(
    file: Arc<dyn ReadAt>,
    make: impl FnMut(&Entry) -> Result<Option<Arc<dyn WriteAt>>, E>,
    cancel: &Cancel,
    progress: &dyn Fn(u64),
) -> Result<Unindexed, E> {
    let mut salvage = Salvage {
        members: Members::open(file, cancel)?,
        make,
        folders: HashSet::from([EntryPath::root()]),
        last: None,
        is_missed: false,
        found: Unindexed::default(),
    };
    while salvage.step()? {
        progress(salvage.members.frames.position());
    }
    let Salvage { members, mut found, .. } = salvage;
    found.has_patches = members.frames.has_patches;
    Ok(found)
}

struct Salvage<F> {
    members: Members,
    make: F,
    /// The folders that were made.
    folders: HashSet<EntryPath>,
    /// The last entry that was found.
    last: Option<EntryPath>,
    /// Whether it is said already that what came after it is missing.
    is_missed: bool,
    found: Unindexed,
}

impl<F> Salvage<F> {
    /// Takes the next member. Returns whether another may follow.
    fn step<E: From<ArchiveError>>(&mut self) -> Result<bool, E>
    where
        F: FnMut(&Entry) -> Result<Option<Arc<dyn WriteAt>>, E>,
    {
        match self.members.next()? {
            Next::Entry(entry) => self.entry(&entry).map(|()| true),
            Next::Own(name, length) if name == MANIFEST => {
                let json = self.read(length, MAX_MANIFEST_BYTES)?;
                self.found.manifest = json.and_then(|json| Manifest::parse(&json).ok());
                // It is the last member.
                Ok(false)
            }
            Next::Own(_, length) => {
                if let Some(text) = self.read(length, MAX_ABOUT_BYTES)? {
                    self.found.about = String::from_utf8_lossy(&text).into_owned();
                }
                Ok(true)
            }
            Next::Missing(why) => {
                self.miss(&why);
                Ok(true)
            }
            Next::End => {
                self.miss(ENDS);
                Ok(false)
            }
        }
    }

    fn miss(&mut self, why: &str) {
        if std::mem::replace(&mut self.is_missed, true) {
            return;
        }
        let place = match &self.last {
            Some(path) if !path.is_root() => format!("after {path}"),
            _ => "at the beginning".to_owned(),
        };
        self.found.missing.push(format!("whatever came {place}: {why}"));
    }

    fn entry<E: From<ArchiveError>>(&mut self, entry: &Entry) -> Result<(), E>
    where
        F: FnMut(&Entry) -> Result<Option<Arc<dyn WriteAt>>, E>,
    {
        self.make_folders_of(entry)?;
        self.last = Some(entry.path.clone());
        self.is_missed = false;
        let place = (self.make)(entry)?;
        self.found.counts.entries += 1;
        let EntryKind::File { size, extents } = &entry.kind else {
            if entry.kind == EntryKind::Directory {
                self.folders.insert(entry.path.clone());
            }
            return Ok(());
        };
        self.found.counts.files += 1;
        self.found.counts.bytes = self.found.counts.bytes.saturating_add(*size);
        let whole = [Extent { offset: 0, length: *size }];
        let ranges = extents.as_deref().unwrap_or(if *size > 0 { &whole } else { &[] });
        self.content(&entry.path, ranges, place.as_deref())?;
        Ok(())
    }

    /// Makes the folders above an entry that are not made yet, because their own entries are lost.
    fn make_folders_of<E: From<ArchiveError>>(&mut self, entry: &Entry) -> Result<(), E>
    where
        F: FnMut(&Entry) -> Result<Option<Arc<dyn WriteAt>>, E>,
    {
        let bytes = entry.path.as_bytes();
        let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (at, _) in slashes {
            let above = EntryPath::new(bytes.get(..at).unwrap_or_default());
            let Ok(path) = above else { continue };
            if self.folders.contains(&path) {
                continue;
            }
            let mode = 0o700;
            let folder = Entry {
                path: path.clone(),
                kind: EntryKind::Directory,
                mode,
                xattrs: Vec::new(),
                ..entry.clone()
            };
            (self.make)(&folder)?;
            self.found.missing.push(format!("the mode, owner and time of the folder {path}"));
            self.folders.insert(path);
        }
        Ok(())
    }

    /// Writes the content of a file, which is in these ranges.
    fn content(
        &mut self,
        path: &EntryPath,
        ranges: &[Extent],
        place: Option<&dyn WriteAt>,
    ) -> Result<()> {
        let (mut length, mut broken) = (0_u64, None);
        for range in ranges {
            length = length.saturating_add(range.length);
            let mut at = range.offset;
            let end = range.offset.saturating_add(range.length);
            while at < end && broken.is_none() {
                match self.members.content(end - at)? {
                    Run::Bytes(bytes) => {
                        if let Some(place) = place {
                            place.write_at(bytes, at).map_err(ArchiveError::Target)?;
                        }
                        let length = to_u64(bytes.len());
                        if self.members.frames.is_cut {
                            note(&mut self.found.unchecked, path, at, length, CUT.to_owned());
                        }
                        at = at.saturating_add(length);
                    }
                    Run::Lost(bytes, why) => {
                        note(&mut self.found.lost, path, at, bytes, why);
                        at = at.saturating_add(bytes);
                    }
                    Run::Broken(why) => broken = Some(why),
                }
            }
            if let Some(why) = broken.as_ref().filter(|_| at < end) {
                note(&mut self.found.lost, path, at, end - at, why.clone());
            }
        }
        match broken {
            None => self.members.skip_padding(length)?,
            Some(why) => {
                self.members.search();
                if why != ENDS {
                    self.miss(&why);
                }
            }
        }
        Ok(())
    }

    /// The content of a member that Coffer added, if all of it is there and it is not longer than `most`.
    fn read(&mut self, length: u64, most: usize) -> Result<Option<Vec<u8>>> {
        let (mut content, mut left) = (Vec::new(), length);
        let mut whole = length <= to_u64(most);
        while left > 0 {
            left -= match self.members.content(left)? {
                Run::Bytes(bytes) => {
                    if whole {
                        content.extend_from_slice(bytes);
                    }
                    to_u64(bytes.len())
                }
                Run::Lost(bytes, _) => {
                    whole = false;
                    bytes
                }
                Run::Broken(_) => return Ok(None),
            };
        }
        self.members.skip_padding(length)?;
        Ok(whole.then_some(content))
    }
}

/// Adds a lost range, to the one before if it is adjacent.
fn note(all: &mut Vec<Lost>, path: &EntryPath, offset: u64, bytes: u64, why: String) {
    match all.last_mut() {
        Some(last) if last.path == *path && last.offset.saturating_add(last.bytes) == offset => {
            last.bytes = last.bytes.saturating_add(bytes);
        }
        _ => all.push(Lost { path: path.clone(), offset, bytes, why }),
    }
}
