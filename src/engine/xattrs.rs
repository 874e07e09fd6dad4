//! Extended attributes.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{fgetxattr, flistxattr, lgetxattr, llistxattr};
use rustix::io::Errno;

/// The kernel's limits (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const XATTR_BYTES: usize = 65_536;

pub(super) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Those of an open file or folder, sorted by name. Attributes that are removed meanwhile or may not be read are left
/// out.
pub(super) fn xattrs(file: BorrowedFd<'_>) -> Result<Xattrs, Errno> {
    collect(|list| flistxattr(file, list), |name, value| fgetxattr(file, name, value))
}

/// The same of what cannot or must not be opened. A symbolic link is not followed.
pub(super) fn xattrs_at(path: &Path) -> Result<Xattrs, Errno> {
    collect(|list| llistxattr(path, list), |name, value| lgetxattr(path, name, value))
}

fn collect(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&OsStr, &mut [u8]) -> Result<usize, Errno>,
) -> Result<Xattrs, Errno> {
    let list = match read_all(list) {
        Ok(list) => list,
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match read_all(|value| get(OsStr::from_bytes(name), value)) {
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
