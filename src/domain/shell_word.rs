//! Names and paths as words of a shell command, for commands that people type.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

/// The text as one word of a shell command, whatever it contains.
pub fn shell_word(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    match text.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) if !text.contains(char::is_control) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let mut word = String::from("$'");
            for byte in text.as_bytes() {
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
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_it_contains() {
        for (path, word) in
            [("/srv/a-b.c", "/srv/a-b.c"), ("/a b", "'/a b'"), ("/it's", r"'/it'\''s'"), ("", "''")]
        {
            assert_eq!(shell_word(path), word);
        }
        let raw = OsStr::from_bytes(b"/a \xff'\n");
        assert_eq!(shell_word(raw), r"$'/a \xff\x27\x0a'");
    }
}
