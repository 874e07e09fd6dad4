//! Headers of tar members, as GNU tar writes and reads them.

use tar::{EntryType, Header};

use super::bytes::wide;
use super::error::ArchiveError;
use super::sparse;
use crate::domain::{Entry, EntryKind, Extent};

/// Tar's unit.
pub(super) const BLOCK: usize = 512;
/// Names longer than this need a member of their own.
const LONGEST_NAME: usize = 100;
const NANOS: i128 = 1_000_000_000;

/// The start of a member: everything in front of its data.
#[derive(Debug)]
pub(super) struct Member {
    /// Headers, and the map of a file with holes.
    pub(super) head: Vec<u8>,
    /// How many bytes of data follow, without filling.
    pub(super) data_bytes: u64,
}

/// How many zeros fill this many bytes up to a whole block.
pub(super) fn filling(data_bytes: u64) -> usize {
    usize::try_from(data_bytes.next_multiple_of(wide(BLOCK)) - data_bytes).unwrap_or(0)
}

/// The start of a member with this name and content, of Coffer's own.
pub(super) fn own_member(name: &str, length: usize) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    finish(header, EntryType::Regular, name.as_bytes(), wide(length))
}

/// The start of the member for this entry, below `data/`.
pub(super) fn member(entry: &Entry) -> Result<Member, ArchiveError> {
    let path = below_data(entry.path.as_bytes());
    let mut out = Vec::new();
    let mut pax = Pax::default();
    let mut map = Vec::new();
    let (kind, mut name, link, data_bytes) = match &entry.kind {
        EntryKind::File { size, extents: None } => (EntryType::Regular, path, Vec::new(), *size),
        EntryKind::File { size, extents: Some(extents) } => {
            map = sparse::map(extents, *size);
            pax.sparse(&path, *size);
            (EntryType::Regular, sparse_name(&entry.path), Vec::new(), data_of(extents))
        }
        EntryKind::Directory => (EntryType::Directory, path, Vec::new(), 0),
        EntryKind::Symlink { target } => (EntryType::Symlink, path, target.clone(), 0),
        EntryKind::HardLink { to } => (EntryType::Link, path, below_data(to.as_bytes()), 0),
    };
    if kind == EntryType::Directory && !name.ends_with(b"/") {
        name.push(b'/');
    }
    // GNU tar takes a sparse file of format 1.0 for one only behind a POSIX magic.
    let is_sparse = !map.is_empty();
    let mut header = if is_sparse { Header::new_ustar() } else { Header::new_gnu() };
    header.set_mode(entry.mode & 0o7777);
    header.set_uid(u64::from(entry.uid));
    header.set_gid(u64::from(entry.gid));
    header.set_mtime(pax.mtime(entry.mtime_ns));
    pax.xattrs(&entry.xattrs);
    let stored = wide(map.len())
        .checked_add(data_bytes)
        .ok_or_else(|| ArchiveError::TooLarge(format!("{} is too long", entry.path)))?;
    pax.write(&mut out);
    for (long, mark) in [(&link, EntryType::GNULongLink), (&name, EntryType::GNULongName)] {
        if long.len() > LONGEST_NAME && !is_sparse {
            long_text(&mut out, long, mark);
        }
    }
    let cut = link.get(..LONGEST_NAME).unwrap_or(&link);
    if let Some(field) = header.as_old_mut().linkname.get_mut(..cut.len()) {
        field.copy_from_slice(cut);
    }
    out.extend_from_slice(&finish(header, kind, &name, stored));
    out.extend_from_slice(&map);
    Ok(Member { head: out, data_bytes })
}

fn data_of(extents: &[Extent]) -> u64 {
    extents.iter().fold(0, |sum, extent| sum.saturating_add(extent.length))
}

fn below_data(path: &[u8]) -> Vec<u8> {
    [b"data/", path].concat()
}

/// The name that a tar without an idea of sparse files would restore to; others take it from `pax`.
fn sparse_name(path: &crate::domain::EntryPath) -> Vec<u8> {
    let whole = below_data(path.as_bytes());
    let at = whole.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (folder, name) = whole.split_at_checked(at).unwrap_or((&[], &whole));
    [folder, b"GNUSparseFile.0/", name].concat()
}

/// Fills in what is left of a header.
fn finish(mut header: Header, kind: EntryType, name: &[u8], length: u64) -> Vec<u8> {
    header.set_entry_type(kind);
    header.set_size(length);
    let cut = name.get(..LONGEST_NAME).unwrap_or(name);
    if let Some(field) = header.as_old_mut().name.get_mut(..cut.len()) {
        field.copy_from_slice(cut);
    }
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A member that only tells the next one's long name or link target.
fn long_text(out: &mut Vec<u8>, text: &[u8], mark: EntryType) {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    out.extend_from_slice(&finish(header, mark, b"././@LongLink", wide(text.len()) + 1));
    out.extend_from_slice(text);
    out.push(0);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// Records of a pax extended header (POSIX.1-2001), for what does not fit a header.
#[derive(Debug, Default)]
struct Pax(Vec<u8>);

impl Pax {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        // The length in front counts itself.
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

    fn sparse(&mut self, path: &[u8], size: u64) {
        self.push(b"GNU.sparse.major", b"1");
        self.push(b"GNU.sparse.minor", b"0");
        self.push(b"GNU.sparse.name", path);
        self.push(b"GNU.sparse.realsize", size.to_string().as_bytes());
    }

    /// The whole seconds for the header; adds a record if that loses something.
    fn mtime(&mut self, mtime_ns: i128) -> u64 {
        let (seconds, nanos) = (mtime_ns.div_euclid(NANOS), mtime_ns.rem_euclid(NANOS));
        let plain = u64::try_from(seconds).ok().filter(|seconds| *seconds < 1 << 33);
        if nanos != 0 || plain.is_none() {
            let sign = if mtime_ns < 0 { "-" } else { "" };
            let (whole, part) =
                (mtime_ns.unsigned_abs() / 1_000_000_000, mtime_ns.unsigned_abs() % 1_000_000_000);
            self.push(b"mtime", format!("{sign}{whole}.{part:09}").as_bytes());
        }
        plain.unwrap_or(0)
    }

    fn xattrs(&mut self, xattrs: &[(Vec<u8>, Vec<u8>)]) {
        for (name, value) in xattrs {
            self.push(&[b"SCHILY.xattr.", keyword(name).as_slice()].concat(), value);
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let length = wide(self.0.len());
        out.extend_from_slice(&finish(header, EntryType::XHeader, b"././@PaxHeader", length));
        out.extend_from_slice(&self.0);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
}

/// The name of an attribute in a record's keyword, which ends at the first `=`: as GNU tar writes it.
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
    fn a_pax_record_counts_its_own_length() {
        let mut pax = Pax::default();
        pax.push(b"path", b"x");
        assert_eq!(pax.0, b"9 path=x\n");
        let mut pax = Pax::default();
        pax.push(b"k", &[b'v'; 93]);
        assert_eq!(pax.0.len(), 99);
        let mut pax = Pax::default();
        pax.push(b"k", &[b'v'; 94]);
        assert!(pax.0.starts_with(b"101 k=") && pax.0.len() == 101);
    }

    #[test]
    fn an_attribute_with_an_equals_sign_in_its_name_keeps_it() {
        assert_eq!(keyword(b"user.a=b%3D"), b"user.a%3Db%253D");
    }

    #[test]
    fn a_time_before_1970_or_between_seconds_needs_a_record() {
        let mut pax = Pax::default();
        assert_eq!(pax.mtime(5_000_000_000), 5);
        assert!(pax.0.is_empty());
        assert_eq!(pax.mtime(-1_500_000_000), 0);
        assert_eq!(pax.0, b"22 mtime=-1.500000000\n");
    }
}
