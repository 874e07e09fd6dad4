//! The files in an archive of dumps.

use std::fmt::Write as _;

use crate::file_url::percent_decoded;

/// The folder of the databases, without their views.
pub(super) const DATABASES: &str = "databases";

/// The folder of their views: a view may be on tables of any other database.
pub(super) const VIEWS: &str = "views";

pub(super) const ACCOUNTS: &str = "accounts.sql";

/// The plugins, functions of libraries, servers and time zones.
pub(super) const SERVER: &str = "server.sql";

const ENDING: &str = ".sql";

/// `databases/a%2Fb.sql` for the database `a/b`. Letters of other scripts are not encoded: a long name could become
/// longer than a file name may be.
pub(super) fn path_in(folder: &str, database: &str) -> String {
    let mut path = format!("{folder}/");
    for letter in database.chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' || letter == '-' || !letter.is_ascii() {
            path.push(letter);
        } else {
            write!(path, "%{:02X}", u32::from(letter)).expect("writing to a String cannot fail");
        }
    }
    path.push_str(ENDING);
    path
}

/// The database whose file in `folder` is at `path` in an archive.
pub(super) fn database_at(folder: &str, path: &str) -> Option<String> {
    let name = path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(ENDING)?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let database = String::from_utf8(percent_decoded(name)?).ok()?;
    (!database.contains('\0')).then_some(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_is_recovered_from_its_file_name() {
        for name in ["shop", "a/b", "..", "läden", "100%", "a b`c'd\"e", "-x", "日本", "a\\b"] {
            let path = path_in(DATABASES, name);
            assert_eq!(path.split('/').count(), 2, "{path}");
            assert_eq!(database_at(DATABASES, &path).as_deref(), Some(name));
        }
        assert_eq!(path_in(DATABASES, "a/b.c"), "databases/a%2Fb%2Ec.sql");
    }

    #[test]
    fn a_file_that_is_not_a_dump_has_no_database() {
        for path in [
            "accounts.sql",
            "databases",
            "databases/x",
            "databases/.sql",
            "databases/%0",
            "databases/%zz.sql",
        ] {
            assert_eq!(database_at(DATABASES, path), None, "{path}");
        }
    }
}
