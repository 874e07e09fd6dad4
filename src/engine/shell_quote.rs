//! Paths as words of a shell command.

use std::path::Path;

/// The path as one word of a shell command, for instructions.
pub(super) fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_it_contains() {
        for (path, word) in
            [("/srv/a-b.c", "/srv/a-b.c"), ("/a b", "'/a b'"), ("/it's", r"'/it'\''s'")]
        {
            assert_eq!(shell_quoted(Path::new(path)), word);
        }
    }
}
