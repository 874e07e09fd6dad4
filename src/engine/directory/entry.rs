//! A file's holes and extended attributes.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{SeekFrom, fgetxattr, flistxattr, seek};
use rustix::io::Errno;

use crate::domain::Extent;
use crate::engine::file_stat::FileStat;

/// A file with more extents is kept as if it had no holes.
const MAX_EXTENTS: usize = 65_536;

/// The kernel's limits (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const XATTR_BYTES: usize = 65_536;

/// Names and values.
type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Where an open file holds data; `None` if it has no holes or the filesystem does not say.
pub(super) fn extents(file: BorrowedFd<'_>, found: &FileStat) -> Option<Vec<Extent>> {
    if found.allocated >= found.size {
        return None;
    }
    let mut extents = Vec::new();
    let mut at = 0;
    while at < found.size {
        let offset = match seek(file, SeekFrom::Data(at)) {
            Ok(offset) => offset,
            Err(Errno::NXIO) => break,
            Err(_unknown) => return None,
        };
        let end = seek(file, SeekFrom::Hole(offset)).ok()?.min(found.size);
        // An extent without a length means that the file is changing.
        let length = end.checked_sub(offset).filter(|length| *length > 0);
        match length {
            None if offset >= found.size => break,
            None => return None,
            Some(length) => extents.push(Extent { offset, length }),
        }
        if extents.len() > MAX_EXTENTS {
            return None;
        }
        at = end;
    }
    let complete = [Extent { offset: 0, length: found.size }];
    (extents != complete).then_some(extents)
}

/// The extended attributes of an open file or folder, sorted by name. Attributes that are removed meanwhile or may
/// not be read are left out.
pub(super) fn xattrs(file: BorrowedFd<'_>) -> Result<Xattrs, Errno> {
    let list = match read_all(|buffer| flistxattr(file, buffer)) {
        Ok(list) => list,
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match read_all(|buffer| fgetxattr(file, OsStr::from_bytes(name), buffer)) {
            Ok(value) => found.push((name.to_vec(), value)),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort();
    Ok(found)
}

/// Reads into a small buffer, and if that is too small into one of the kernel's limit.
fn read_all(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0_u8; 512];
    match read(&mut small) {
        Ok(length) => return Ok(small.iter().take(length).copied().collect()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0_u8; XATTR_BYTES];
    let length = read(&mut large)?;
    large.truncate(length);
    Ok(large)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::engine::file_stat::stat_open;

    #[test]
    fn extents_show_the_holes_of_a_sparse_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(&[7; 4096], 5 << 20).unwrap();
        let found = stat_open(file.as_fd()).unwrap();
        let extents = extents(file.as_fd(), &found).unwrap();
        assert_eq!(extents, [Extent { offset: 5 << 20, length: 4096 }]);

        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let found = stat_open(file.as_fd()).unwrap();
        assert_eq!(super::extents(file.as_fd(), &found), Some(Vec::new()));
    }
}
