//! Paths as words of a shell command.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The path as one word of a shell command, for instructions.
pub(crate) fn shell_quoted(path: &Path) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    match path.to_str() {
        Some(text) if text.chars().all(plain) => text.to_owned(),
        Some(text) if !text.contains(char::is_control) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let mut word = String::from("$'");
            for byte in path.as_os_str().as_bytes() {
                if plain(char::from(*byte)) || *byte == b' ' {
                    word.push(char::from(*byte));
                } else {
                    // Writing to a string cannot fail.
                    let _written = write!(word, "\\x{byte:02x}");
                }
            }
            word.push('\'');
            word
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_it_contains() {
        for (path, word) in
            [("/srv/a-b.c", "/srv/a-b.c"), ("/a b", "'/a b'"), ("/it's", r"'/it'\''s'")]
        {
            assert_eq!(shell_quoted(Path::new(path)), word);
        }
        let raw = Path::new(OsStr::from_bytes(b"/a \xff'\n"));
        assert_eq!(shell_quoted(raw), r"$'/a \xff\x27\x0a'");
    }
}
