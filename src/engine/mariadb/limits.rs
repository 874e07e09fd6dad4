//! Settings of a server that would silently cut what its tools read, or forbid them to read it.

use super::client::{Client, Row};
use super::options::{Method, Options};
use crate::engine::source_path::invalid;
use crate::engine::{EngineError, Result};

const QUERY: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
     ('sql_select_limit', 'system_versioning_asof', 'max_join_size', 'sql_big_selects')";

/// With this a session may read as many rows as there are.
const MAY_READ_ALL: [&str; 2] = ["sql_big_selects", "ON"];

const MOST_ROWS: &str = "max_join_size";

/// With fewer rows in an answer, no tool gets all variables of the server.
const ROWS_OF_VARIABLES: u64 = 10_000;

/// Fails if the server has one of them. Tools cannot set them for their own sessions.
pub(super) fn check(client: &Client, options: &Options) -> Result<()> {
    let set = client.query(QUERY)?;
    let may_read_all = set.iter().any(|row| row == &MAY_READ_ALL);
    let is_of_effect = |row: &&Row| !may_read_all || row.first().is_none_or(|it| it != MOST_ROWS);
    match set.iter().filter(is_of_effect).find(|row| cuts(row, options.server.method)) {
        Some(row) => Err(refused(options, row)),
        None => Ok(()),
    }
}

/// Whether this variable makes a backup incomplete or impossible.
fn cuts(variable: &Row, method: Method) -> bool {
    let [name, value] = variable.as_slice() else { return false };
    match (name.as_str(), method) {
        ("sql_select_limit", _) => {
            let least = if method == Method::Logical { u64::MAX } else { ROWS_OF_VARIABLES };
            value.parse().is_ok_and(|limit: u64| limit < least)
        }
        (MOST_ROWS, _) => value.parse().is_ok_and(|most: u64| most < ROWS_OF_VARIABLES),
        ("system_versioning_asof", Method::Logical) => value != "DEFAULT",
        _ => false,
    }
}

fn refused(options: &Options, variable: &Row) -> EngineError {
    let (name, set) = (variable.first().map_or("", String::as_str), variable.join(" = "));
    let would = if name == MOST_ROWS {
        "not be allowed to read them"
    } else {
        "read only a part of the rows"
    };
    invalid(format!(
        "{} has {set} for every session: its tools would {would}. Run SET GLOBAL {name} = \
         DEFAULT, remove it from the option files, and set it only in the sessions that need it",
        options.shown()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Method::{Logical, Physical};

    #[test]
    fn only_settings_that_cut_what_is_read_are_refused() {
        let cut = |name: &str, value: &str, method| cuts(&vec![name.into(), value.into()], method);
        for (limit, logical, physical) in
            [("5", true, true), ("1000000", true, false), ("18446744073709551615", false, false)]
        {
            assert_eq!(cut("sql_select_limit", limit, Logical), logical, "{limit}");
            assert_eq!(cut("sql_select_limit", limit, Physical), physical, "{limit}");
        }
        for (most, is_cut) in [("20", true), ("1000000", false), ("18446744073709551615", false)] {
            assert_eq!(cut("max_join_size", most, Logical), is_cut, "{most}");
            assert_eq!(cut("max_join_size", most, Physical), is_cut, "{most}");
        }
        assert!(!cut("system_versioning_asof", "DEFAULT", Logical));
        assert!(cut("system_versioning_asof", "2000-01-01 00:00:00.000000", Logical));
        assert!(!cut("system_versioning_asof", "2000-01-01 00:00:00.000000", Physical));
    }
}
