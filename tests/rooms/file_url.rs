//! `file://` URLs of paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use coffer::file_url::{of_path, to_path};

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
