//! A list of everything in a tree, to compare two trees.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// A comparison that fails shows so many differences.
const MOST_SHOWN: usize = 20;

/// By path: all that a restore has to give back, on one line.
pub(crate) type Listing = BTreeMap<PathBuf, String>;

/// Kind, mode, owner, time, attributes, link targets, which names are one file, where a file has holes, and
/// its content. Sockets, pipes and devices are left out, as they are of a backup.
pub(crate) fn listing(root: &Path) -> Listing {
    let mut found = BTreeMap::new();
    let mut left = vec![PathBuf::new()];
    while let Some(path) = left.pop() {
        let whole = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        let metadata = std::fs::symlink_metadata(&whole).unwrap();
        if metadata.is_dir() {
            let names = std::fs::read_dir(&whole).unwrap();
            left.extend(names.map(|entry| path.join(entry.unwrap().file_name())));
        }
        let kind = metadata.file_type();
        if kind.is_file() || kind.is_dir() || kind.is_symlink() {
            found.insert(path, metadata);
        }
    }
    let mut names: HashMap<(u64, u64), Vec<PathBuf>> = HashMap::new();
    let linked = |metadata: &Metadata| !metadata.is_dir() && metadata.nlink() > 1;
    for (path, metadata) in found.iter().filter(|(_, metadata)| linked(metadata)) {
        names.entry((metadata.dev(), metadata.ino())).or_default().push(path.clone());
    }
    let tell = |(path, metadata): (PathBuf, Metadata)| {
        // A name outside of the tree is none of a backup's.
        let group = names.get(&(metadata.dev(), metadata.ino())).filter(|names| names.len() > 1);
        let first = group.and_then(|names| names.first());
        let line = format!("{} same as {first:?}", line(&root.join(&path), &metadata));
        (path, line)
    };
    found.into_iter().map(tell).collect()
}

fn line(path: &Path, found: &Metadata) -> String {
    let what = if found.is_symlink() {
        // A link has no mode.
        return format!(
            "link {}:{} {}.{:09} {:?} to {:?}",
            found.uid(),
            found.gid(),
            found.mtime(),
            found.mtime_nsec(),
            xattrs(path),
            std::fs::read_link(path).unwrap()
        );
    } else if found.is_dir() {
        "folder".to_owned()
    } else {
        let mut content = blake3::Hasher::new();
        content.update_reader(File::open(path).unwrap()).unwrap();
        let content = content.finalize().to_hex();
        format!("file {} {content} {:?}", found.size(), holes(path, found))
    };
    format!(
        "{:o} {}:{} {}.{:09} {:?} {what}",
        found.mode(),
        found.uid(),
        found.gid(),
        found.mtime(),
        found.mtime_nsec(),
        xattrs(path),
    )
}

/// Where a file that takes less room than its length holds data.
fn holes(path: &Path, found: &Metadata) -> Option<Vec<(u64, u64)>> {
    if found.blocks() * 512 >= found.size() {
        return None;
    }
    let file = File::open(path).unwrap();
    let mut data = Vec::new();
    let mut at = 0;
    while at < found.size() {
        let begin = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            other => other.unwrap(),
        };
        at = rustix::fs::seek(&file, SeekFrom::Hole(begin)).unwrap();
        data.push((begin, at));
    }
    Some(data)
}

fn xattrs(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut names = vec![0; 8192];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap();
    names.truncate(length);
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let read = |name: &[u8]| {
        let name = OsString::from_vec(name.to_vec());
        let mut value = vec![0; 8192];
        let length = rustix::fs::lgetxattr(path, name.as_bytes(), &mut value).unwrap();
        value.truncate(length);
        (name, value)
    };
    names.map(read).collect()
}

/// Fails with the first lines that differ, and only those.
#[track_caller]
pub(crate) fn assert_same(was: &Listing, is: &Listing, what: &str) {
    let mut faults = Vec::new();
    for (path, line) in was {
        match is.get(path) {
            None => faults.push(format!("{}: missing, was {line}", path.display())),
            Some(other) if other != line => {
                faults.push(format!("{}:\n  was {line}\n  is  {other}", path.display()));
            }
            Some(_) => {}
        }
    }
    for path in is.keys().filter(|path| !was.contains_key(*path)) {
        faults.push(format!("{}: was not there", path.display()));
    }
    assert!(!was.is_empty(), "{what}: nothing was compared");
    let count = faults.len();
    faults.truncate(MOST_SHOWN);
    assert!(count == 0, "{what}: {count} differ\n{}", faults.join("\n"));
}
