//! Headers of tar members, as GNU tar writes and reads them.

use tar::{EntryType, Header};

use crate::archive::error::{ArchiveError, Result};
use crate::archive::sparse;
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{Entry, EntryKind, EntryPath};

/// Tar's unit: headers take one block, and data is padded to whole blocks.
pub(super) const BLOCK_BYTES: usize = 512;
/// The longest name that fits a header.
const MAX_NAME_BYTES: usize = 100;
const NANOS: i128 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Member {
    /// Everything in front of the data: headers, and the map of a file with holes.
    pub(super) head: Vec<u8>,
    /// The length of the data that follows, without padding.
    pub(super) data_bytes: u64,
}

/// The number of zeros that pad this many bytes to whole blocks.
pub(super) fn padding(data_bytes: u64) -> usize {
    saturating_usize(data_bytes.next_multiple_of(to_u64(BLOCK_BYTES)) - data_bytes)
}

/// The header of a member that Coffer adds, of this name and length.
pub(super) fn own_member(name: &str, length: usize) -> Vec<u8> {
    finish(own_header(), EntryType::Regular, name.as_bytes(), to_u64(length))
}

/// The member `.coffer/RESTORE.txt`, complete.
pub(super) fn restore_txt(text: &str) -> Vec<u8> {
    let mut member = own_member(".coffer/RESTORE.txt", text.len());
    member.extend_from_slice(text.as_bytes());
    member.resize(member.len() + padding(to_u64(text.len())), 0);
    member
}

/// A header for what is not an entry of the source.
fn own_header() -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// The start of the member for this entry, below `data/`.
pub(super) fn member(entry: &Entry) -> Result<Member> {
    let path = below_data(entry.path.as_bytes());
    let mut out = Vec::new();
    let mut pax = PaxRecords::default();
    let mut map = Vec::new();
    let (kind, mut name, link, data_bytes) = match &entry.kind {
        EntryKind::File { size, extents: None } => (EntryType::Regular, path, Vec::new(), *size),
        EntryKind::File { size, extents: Some(extents) } => {
            map = sparse::tar_map(extents, *size);
            pax.add_sparse(&path, *size);
            let data = extents.iter().fold(0_u64, |sum, it| sum.saturating_add(it.length));
            (EntryType::Regular, sparse_name(&entry.path), Vec::new(), data)
        }
        EntryKind::Directory => (EntryType::Directory, path, Vec::new(), 0),
        EntryKind::Symlink { target } => (EntryType::Symlink, path, target.clone(), 0),
        EntryKind::HardLink { to } => (EntryType::Link, path, below_data(to.as_bytes()), 0),
    };
    if kind == EntryType::Directory && !name.ends_with(b"/") {
        name.push(b'/');
    }
    // GNU tar recognises a sparse file of format 1.0 only behind a POSIX magic.
    let is_sparse = !map.is_empty();
    let mut header = if is_sparse { Header::new_ustar() } else { Header::new_gnu() };
    header.set_mode(entry.mode & 0o7777);
    header.set_uid(u64::from(entry.uid));
    header.set_gid(u64::from(entry.gid));
    header.set_mtime(pax.add_mtime(entry.mtime_ns));
    pax.add_xattrs(&entry.xattrs);
    let stored = to_u64(map.len())
        .checked_add(data_bytes)
        .ok_or_else(|| ArchiveError::TooLarge(format!("{} is too long", entry.path)))?;
    pax.write(&mut out);
    for (text, kind) in [(&link, EntryType::GNULongLink), (&name, EntryType::GNULongName)] {
        if text.len() > MAX_NAME_BYTES && !is_sparse {
            put_long_text(&mut out, text, kind);
        }
    }
    let cut = link.get(..MAX_NAME_BYTES).unwrap_or(&link);
    if let Some(field) = header.as_old_mut().linkname.get_mut(..cut.len()) {
        field.copy_from_slice(cut);
    }
    out.extend_from_slice(&finish(header, kind, &name, stored));
    out.extend_from_slice(&map);
    Ok(Member { head: out, data_bytes })
}

fn below_data(path: &[u8]) -> Vec<u8> {
    [b"data/", path].concat()
}

/// The name to which a tar that does not know sparse files restores one. Others take the name from the pax records.
fn sparse_name(path: &EntryPath) -> Vec<u8> {
    let path = below_data(path.as_bytes());
    let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (folder, name) = path.split_at_checked(at).unwrap_or((&[], &path));
    [folder, b"GNUSparseFile.0/", name].concat()
}

fn finish(mut header: Header, kind: EntryType, name: &[u8], length: u64) -> Vec<u8> {
    header.set_entry_type(kind);
    header.set_size(length);
    let cut = name.get(..MAX_NAME_BYTES).unwrap_or(name);
    if let Some(field) = header.as_old_mut().name.get_mut(..cut.len()) {
        field.copy_from_slice(cut);
    }
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Appends a member that holds the long name or link target of the next one.
fn put_long_text(out: &mut Vec<u8>, text: &[u8], kind: EntryType) {
    let length = to_u64(text.len()) + 1;
    out.extend_from_slice(&finish(own_header(), kind, b"././@LongLink", length));
    out.extend_from_slice(text);
    out.push(0);
    out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
}

/// The records of a pax extended header (POSIX.1-2001), for what does not fit a plain header.
#[derive(Debug, Default)]
struct PaxRecords(Vec<u8>);

impl PaxRecords {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        // The length in front includes its own digits.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(length.to_string().as_bytes());
        for part in [&b" "[..], key, b"=", value, b"\n"] {
            self.0.extend_from_slice(part);
        }
    }

    fn add_sparse(&mut self, path: &[u8], size: u64) {
        self.add(b"GNU.sparse.major", b"1");
        self.add(b"GNU.sparse.minor", b"0");
        self.add(b"GNU.sparse.name", path);
        self.add(b"GNU.sparse.realsize", size.to_string().as_bytes());
    }

    /// Returns the seconds for the header, and adds a record if they are not all of the time.
    fn add_mtime(&mut self, mtime_ns: i128) -> u64 {
        let (seconds, nanos) = (mtime_ns.div_euclid(NANOS), mtime_ns.rem_euclid(NANOS));
        let fitting = u64::try_from(seconds).ok().filter(|seconds| *seconds < 1 << 33);
        if nanos != 0 || fitting.is_none() {
            let sign = if mtime_ns < 0 { "-" } else { "" };
            let size = mtime_ns.unsigned_abs();
            let (whole, fraction) = (size / NANOS.unsigned_abs(), size % NANOS.unsigned_abs());
            self.add(b"mtime", format!("{sign}{whole}.{fraction:09}").as_bytes());
        }
        fitting.unwrap_or(0)
    }

    fn add_xattrs(&mut self, xattrs: &[(Vec<u8>, Vec<u8>)]) {
        for (name, value) in xattrs {
            self.add(&[b"SCHILY.xattr.", keyword(name).as_slice()].concat(), value);
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        let length = to_u64(self.0.len());
        out.extend_from_slice(&finish(own_header(), EntryType::XHeader, b"././@PaxHeader", length));
        out.extend_from_slice(&self.0);
        out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
    }
}

/// The name of an attribute as part of a record's keyword, which the first `=` ends: escaped as GNU tar does it.
fn keyword(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'%' => out.extend_from_slice(b"%25"),
            b'=' => out.extend_from_slice(b"%3D"),
            other => out.push(*other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_pax_record_includes_its_own_digits() {
        let mut pax = PaxRecords::default();
        pax.add(b"path", b"x");
        assert_eq!(pax.0, b"9 path=x\n");
        let mut pax = PaxRecords::default();
        pax.add(b"k", &[b'v'; 93]);
        assert_eq!(pax.0.len(), 99);
        let mut pax = PaxRecords::default();
        pax.add(b"k", &[b'v'; 94]);
        assert!(pax.0.starts_with(b"101 k=") && pax.0.len() == 101);
    }

    #[test]
    fn an_equals_sign_in_the_name_of_an_attribute_is_escaped() {
        assert_eq!(keyword(b"user.a=b%3D"), b"user.a%3Db%253D");
    }

    #[test]
    fn a_time_before_1970_or_between_two_seconds_takes_a_record() {
        let mut pax = PaxRecords::default();
        assert_eq!(pax.add_mtime(5_000_000_000), 5);
        assert!(pax.0.is_empty());
        assert_eq!(pax.add_mtime(-1_500_000_000), 0);
        assert_eq!(pax.0, b"22 mtime=-1.500000000\n");
    }
}
