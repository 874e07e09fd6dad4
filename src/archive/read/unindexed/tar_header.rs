//! Headers of tar members, as `write::tar_header` makes them.

use std::borrow::Cow;

use tar::{EntryType, Header};

use crate::domain::{Entry, EntryKind, EntryPath};

pub(super) const BLOCK_BYTES: usize = 512;
const NANOS: i128 = 1_000_000_000;

/// The prefix of what Coffer adds to a source, and that of what is in the source.
const OWN: &[u8] = b".coffer/";
const DATA: &[u8] = b"data/";
const PAX: &[u8] = b"././@PaxHeader";
const LONG_TEXT: &[u8] = b"././@LongLink";

/// What a header of these bytes begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Records for the next member.
    Pax,
    LongName,
    LongLink,
    /// A member that Coffer adds.
    Own,
    Data,
}

/// The header that these bytes are, if they are one that Coffer writes.
pub(super) fn parse(block: &[u8; BLOCK_BYTES]) -> Option<(Kind, Header)> {
    let header = Header::from_byte_slice(block).clone();
    let mut summed = header.clone();
    summed.set_cksum();
    if summed.cksum().ok()? != header.cksum().ok()? {
        return None;
    }
    let name = header.path_bytes();
    let kind = match header.entry_type() {
        EntryType::XHeader if *name == *PAX => Kind::Pax,
        EntryType::GNULongName if *name == *LONG_TEXT => Kind::LongName,
        EntryType::GNULongLink if *name == *LONG_TEXT => Kind::LongLink,
        EntryType::Regular if name.starts_with(OWN) => Kind::Own,
        EntryType::Regular | EntryType::Directory | EntryType::Symlink | EntryType::Link
            if name.starts_with(DATA) =>
        {
            Kind::Data
        }
        _ => return None,
    };
    Some((kind, header))
}

/// What comes in front of a member's own header.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    /// Records of a pax header: keyword and value.
    pub(super) records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Before {
    /// Whether the member is a file with holes, whose data begins with their map.
    pub(super) fn is_sparse(&self) -> bool {
        self.record(b"GNU.sparse.major").is_some()
    }

    fn record(&self, keyword: &[u8]) -> Option<&[u8]> {
        self.records.iter().find(|(name, _)| name == keyword).map(|(_, value)| value.as_slice())
    }

    /// The member's entry. If it is a file with holes, its extents are still to be read.
    pub(super) fn entry(self, header: &Header) -> Option<Entry> {
        let sparse_name = self.record(b"GNU.sparse.name").map(Cow::Borrowed);
        let name = sparse_name
            .or_else(|| self.name.as_deref().map(Cow::Borrowed))
            .unwrap_or_else(|| header.path_bytes());
        let path = below_data(&name)?;
        let linked = || match &self.link {
            Some(link) => Some(Cow::Borrowed(link.as_slice())),
            None => header.link_name_bytes(),
        };
        let kind = match header.entry_type() {
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink { target: linked()?.into_owned() },
            EntryType::Link => EntryKind::HardLink { to: below_data(&linked()?)? },
            _ if self.is_sparse() => {
                let size = text(self.record(b"GNU.sparse.realsize")?)?.parse().ok()?;
                EntryKind::File { size, extents: Some(Vec::new()) }
            }
            _ => EntryKind::File { size: header.entry_size().ok()?, extents: None },
        };
        let seconds = i128::from(header.mtime().ok()?);
        let mtime_ns = match self.record(b"mtime") {
            Some(value) => nanoseconds(value)?,
            None => seconds.checked_mul(NANOS)?,
        };
        Some(Entry {
            path,
            kind,
            mode: header.mode().ok()? & 0o7777,
            uid: header.uid().ok()?.try_into().ok()?,
            gid: header.gid().ok()?.try_into().ok()?,
            mtime_ns,
            xattrs: self.xattrs(),
            stamp: None,
        })
    }

    fn xattrs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let attribute = |(keyword, value): &(Vec<u8>, Vec<u8>)| {
            keyword.strip_prefix(b"SCHILY.xattr.").map(|name| (unescaped(name), value.clone()))
        };
        self.records.iter().filter_map(attribute).collect()
    }
}

fn below_data(name: &[u8]) -> Option<EntryPath> {
    let path = name.strip_prefix(DATA)?;
    EntryPath::new(path.strip_suffix(b"/").unwrap_or(path)).ok()
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// `-1.500000000` as nanoseconds.
fn nanoseconds(value: &[u8]) -> Option<i128> {
    let value = text(value)?;
    let (sign, size) = value.strip_prefix('-').map_or((1, value), |size| (-1, size));
    let (whole, fraction) = size.split_once('.').unwrap_or((size, "0"));
    let nanos: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(sign * (i128::from(whole.parse::<u64>().ok()?) * NANOS + nanos))
}

/// The name of an attribute from a keyword, in which `=` and `%` are escaped.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(name.len()), name);
    while let Some((first, after)) = rest.split_first() {
        let escaped = [(&b"%3D"[..], b'='), (b"%25", b'%')];
        let found =
            escaped.iter().find_map(|(escape, it)| Some((*it, rest.strip_prefix(*escape)?)));
        let (byte, left) = found.unwrap_or((*first, after));
        out.push(byte);
        rest = left;
    }
    out
}

/// The records of a pax header; those that cannot be read are passed over.
pub(super) fn records(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut found, mut rest) = (Vec::new(), body);
    while let Some((record, after)) = next_record(rest) {
        let equals = record.iter().position(|byte| *byte == b'=');
        if let Some((keyword, value)) = equals.and_then(|at| record.split_at_checked(at)) {
            found.push((keyword.to_vec(), value.get(1..).unwrap_or_default().to_vec()));
        }
        rest = after;
    }
    found
}

/// `KEYWORD=VALUE` of the first record, `LENGTH KEYWORD=VALUE\n`, and what follows it.
fn next_record(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = body.iter().position(|byte| *byte == b' ')?;
    let length: usize = text(body.get(..space)?)?.parse().ok()?;
    let (record, after) = body.split_at_checked(length)?;
    Some((record.get(space + 1..)?.strip_suffix(b"\n")?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_of_attributes_read_back() {
        assert_eq!(nanoseconds(b"5"), Some(5_000_000_000));
        assert_eq!(nanoseconds(b"-1.500000000"), Some(-1_500_000_000));
        assert_eq!(nanoseconds(b"x"), None);
        assert_eq!(unescaped(b"user.a%3Db%253D%"), b"user.a=b%3D%");
    }

    #[test]
    fn a_record_may_hold_the_end_of_a_line() {
        let found = records(b"12 k=a\nb=c\0\n9 path=x\n99 cut");
        assert_eq!(
            found,
            [(b"k".to_vec(), b"a\nb=c\0".to_vec()), (b"path".to_vec(), b"x".to_vec())]
        );
    }
}
