//! `file://` URLs of paths, byte for byte: a path need not be UTF-8.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PLAIN_IN_PATH: AsciiSet = PLAIN.remove(b'/');

/// The URL of an absolute path.
pub(super) fn of_path(path: &Path) -> String {
    format!("file://{}", percent_encode(path.as_os_str().as_bytes(), &PLAIN_IN_PATH))
}

/// The path that a `file://` URL of this machine names; `None` if it is none.
pub(super) fn to_path(url: &str) -> Option<PathBuf> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, _path) = rest.split_once('/')?;
    let is_local = host.is_empty() || host.eq_ignore_ascii_case("localhost");
    if !scheme.eq_ignore_ascii_case("file") || !is_local || rest.contains(['?', '#']) {
        return None;
    }
    let path = rest.get(host.len()..)?.as_bytes();
    // The decoder would leave a `%` that begins no code as it is.
    let mut codes = path.split(|byte| *byte == b'%').skip(1);
    let are_complete = codes
        .all(|code| code.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    are_complete.then(|| {
        let bytes: Vec<u8> = percent_decode(path).collect();
        PathBuf::from(OsStr::from_bytes(&bytes))
    })
}

/// Text as one file name: everything but letters, digits, `-`, `.`, `_` and `~` becomes `%XX`.
pub(super) fn as_file_name(text: &str) -> String {
    percent_encode(text.as_bytes(), &PLAIN).to_string()
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
    }

    #[test]
    fn other_urls_and_incomplete_codes_name_no_path() {
        for bad in ["", "/a", "http://localhost/a", "file:/a", "file://", "file://host/a"] {
            assert_eq!(to_path(bad), None, "{bad}");
        }
        for bad in ["file:///a%", "file:///a%4", "file:///a%zz", "file:///a?b", "file:///a#b"] {
            assert_eq!(to_path(bad), None, "{bad}");
        }
    }
}
