//! `file://` URLs of paths, byte for byte: a path need not be UTF-8.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const SCHEME: &str = "file://";

/// The URL of an absolute path.
pub(super) fn of_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let mut url = String::with_capacity(SCHEME.len() + bytes.len());
    url.push_str(SCHEME);
    encode_into(&mut url, bytes, is_plain_in_path);
    url
}

/// The URL of a folder, up to what lies in it.
pub(super) fn of_folder(path: &Path) -> String {
    let mut url = of_path(path);
    url.push('/');
    url
}

/// What follows a folder's URL: a path below it.
pub(super) fn of_place(place: &str) -> Cow<'_, str> {
    // Nearly every path needs nothing, and every line of every list has one: the loop has no way out, so
    // that the machine looks at many bytes at once.
    if place.bytes().fold(true, |plain, byte| plain & is_plain_in_path(byte)) {
        return Cow::Borrowed(place);
    }
    let mut url = String::with_capacity(place.len() * 3);
    encode_into(&mut url, place.as_bytes(), is_plain_in_path);
    Cow::Owned(url)
}

/// The path a `file://` URL of this machine names; `None` if it is none.
pub(super) fn to_path(url: &str) -> Option<PathBuf> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, _path) = rest.split_once('/')?;
    let local = host.is_empty() || host.eq_ignore_ascii_case("localhost");
    if !scheme.eq_ignore_ascii_case("file") || !local || rest.contains(['?', '#']) {
        return None;
    }
    let bytes = decode(rest.get(host.len()..)?.as_bytes())?;
    Some(PathBuf::from(OsStr::from_bytes(&bytes)))
}

/// `bytes` with everything but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    encode_into(&mut text, bytes, is_plain);
    text
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_' || byte == b'~'
}

const fn is_plain_in_path(byte: u8) -> bool {
    is_plain(byte) || byte == b'/'
}

fn encode_into(text: &mut String, bytes: &[u8], is_plain: impl Fn(u8) -> bool) {
    for &byte in bytes {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hex::encode_upper([byte]));
        }
    }
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let mut decoded = [0];
            hex::decode_to_slice([*rest.next()?, *rest.next()?], &mut decoded).ok()?;
            bytes.extend(decoded);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_reads_back_from_its_url() {
        let odd = Path::new(OsStr::from_bytes(b"/a b/%41/\xff\xc3\xa9?#\n"));
        let url = of_path(odd);
        assert_eq!(url, "file:///a%20b/%2541/%FF%C3%A9%3F%23%0A");
        assert_eq!(to_path(&url).unwrap(), odd);
        assert_eq!(to_path("FILE://localhost/a").unwrap(), Path::new("/a"));
        for place in ["c/d.zst", "c d/é"] {
            let parts = [of_folder(Path::new("/a b")), of_place(place).into_owned()];
            assert_eq!(parts.concat(), of_path(&Path::new("/a b").join(place)));
        }
    }

    #[test]
    fn what_is_not_a_local_file_url_is_none() {
        for bad in ["", "/a", "http://localhost/a", "file:/a", "file://", "file://host/a"] {
            assert_eq!(to_path(bad), None, "{bad}");
        }
        for bad in ["file:///a%", "file:///a%4", "file:///a%zz", "file:///a?b", "file:///a#b"] {
            assert_eq!(to_path(bad), None, "{bad}");
        }
    }
}
