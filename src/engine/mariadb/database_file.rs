//! The name of a database as the name of its dump.

use std::fmt::Write as _;

/// Where the dumps are in an archive.
pub(super) const FOLDER: &str = "databases";

/// The accounts' file in an archive.
pub(super) const ACCOUNTS: &str = "accounts.sql";

const ENDING: &str = ".sql";

/// `databases/a%2Fb.sql` for the database `a/b`. Letters of other scripts stay as they are: encoded, a long
/// name would be longer than a file's may be.
pub(super) fn path_of(database: &str) -> String {
    let mut path = format!("{FOLDER}/");
    for letter in database.chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' || letter == '-' || !letter.is_ascii() {
            path.push(letter);
        } else {
            // Writing to text cannot fail.
            write!(path, "%{:02X}", u32::from(letter)).unwrap_or_default();
        }
    }
    path.push_str(ENDING);
    path
}

/// The database whose dump lies at `path` in an archive.
pub(super) fn database_at(path: &str) -> Option<String> {
    let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(ENDING)?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let mut found = String::new();
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once('%') {
        found.push_str(before);
        let (digits, behind) = behind.split_at_checked(2)?;
        let code = u8::from_str_radix(digits, 16).ok()?;
        found.push(code.is_ascii().then_some(char::from(code))?);
        rest = behind;
    }
    found.push_str(rest);
    (!found.contains('\0')).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_file_and_comes_back_from_it() {
        for name in ["shop", "a/b", "..", "läden", "100%", "a b`c'd\"e", "-x", "日本", "a\\b"] {
            let path = path_of(name);
            assert_eq!(path.split('/').count(), 2, "{path}");
            assert_eq!(database_at(&path).as_deref(), Some(name));
        }
        assert_eq!(path_of("a/b.c"), "databases/a%2Fb%2Ec.sql");
    }

    #[test]
    fn a_file_that_is_no_dump_has_no_database() {
        for path in [
            "accounts.sql",
            "databases",
            "databases/x",
            "databases/.sql",
            "databases/%0",
            "databases/%zz.sql",
        ] {
            assert_eq!(database_at(path), None, "{path}");
        }
    }
}
