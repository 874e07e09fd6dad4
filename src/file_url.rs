//! `file://` URLs of paths, byte for byte: a path need not be UTF-8.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PLAIN_IN_PATH: AsciiSet = PLAIN.remove(b'/');

const SCHEME: &str = "file://";

/// The URL of an absolute path.
pub fn of_path(path: &Path) -> String {
    let path = percent_encode(path.as_os_str().as_bytes(), &PLAIN_IN_PATH);
    [SCHEME].into_iter().chain(path).collect()
}

/// The URL of what lies at `path` below the folder with this URL.
pub fn of_child(folder: &str, path: &str) -> String {
    let mut url = String::with_capacity(folder.len() + 1 + path.len());
    url.push_str(folder);
    url.push('/');
    url.extend(percent_encode(path.as_bytes(), &PLAIN_IN_PATH));
    url
}

/// The path that a `file://` URL of this machine names; `None` if it is none.
pub fn to_path(url: &str) -> Option<PathBuf> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, _path) = rest.split_once('/')?;
    let is_local = host.is_empty() || host.eq_ignore_ascii_case("localhost");
    if !scheme.eq_ignore_ascii_case("file") || !is_local || rest.contains(['?', '#']) {
        return None;
    }
    percent_decoded(rest.get(host.len()..)?).map(|path| OsString::from_vec(path).into())
}

/// The bytes that `text` stands for; `None` if a `%` is not followed by two hexadecimal digits.
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    // The decoder would leave a `%` that begins no code as it is.
    let mut codes = text.as_bytes().split(|byte| *byte == b'%').skip(1);
    codes
        .all(|code| code.get(..2).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit)))
        .then(|| percent_decode_str(text).collect())
}

/// Text as one file name: everything but letters, digits, `-`, `.`, `_` and `~` becomes `%XX`.
pub fn as_file_name(text: &str) -> String {
    percent_encode(text.as_bytes(), &PLAIN).to_string()
}
