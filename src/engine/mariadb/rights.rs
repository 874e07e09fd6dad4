//! Whether the account has the rights that a backup needs.

use super::advice::{grant_statement, needed, quoted_account};
use super::client::quoted_name;
use super::facts::Facts;
use super::options::{Method, Options};
use crate::domain::FailureCode;
use crate::engine::{EngineError, Result};

/// Fails if a right is missing, with the statement that grants it. Rights that come with a role cannot always be
/// seen; then the tool reports what is missing.
pub(super) fn check(options: &Options, facts: &Facts) -> Result<()> {
    if facts.grants.iter().any(|grant| !grant.contains(" ON ")) && !facts.is_mariadb() {
        return Ok(());
    }
    let (user, host) = facts.user.rsplit_once('@').unwrap_or((&facts.user, "localhost"));
    let account = quoted_account(user, host);
    let granted: Vec<&str> = facts.grants.iter().filter_map(|it| applying(options, it)).collect();
    let missing: Vec<&str> = needed(options.server.method)
        .iter()
        .filter(|names| !names.iter().any(|name| granted.iter().any(|it| includes(it, name))))
        .filter_map(|names| names.first())
        .copied()
        .collect();
    let (lacks, statement) = if !missing.is_empty() {
        (missing.join(", "), grant_statement(options, &account))
    } else if options.server.method == Method::Logical && !sees_routines(facts) {
        let right = if facts.is_mariadb() { "SELECT ON mysql.proc" } else { "SHOW_ROUTINE ON *.*" };
        let lacks = "the right to see routines, which the dump would silently leave out".to_owned();
        (lacks, format!("GRANT {right} TO {account};"))
    } else {
        return Ok(());
    };
    Err(EngineError::known(
        FailureCode::SourceDenied,
        format!("{}: the account {account} lacks {lacks}: {statement}", options.shown()),
    ))
}

/// Whether the account can read the routines of other accounts.
fn sees_routines(facts: &Facts) -> bool {
    facts.grants.iter().filter_map(|grant| parts(grant)).any(|(privileges, on)| {
        let of_server = ["SELECT", "SHOW_ROUTINE", "SHOW CREATE ROUTINE"];
        match on {
            "*.*" => of_server.iter().any(|name| includes(privileges, name)),
            "`mysql`.*" | "`mysql`.`proc`" => includes(privileges, "SELECT"),
            _ => {
                includes(privileges, "SHOW CREATE ROUTINE")
                    && !privileges.contains("ALL PRIVILEGES")
            }
        }
    })
}

/// The privileges in a line of `SHOW GRANTS`, if they apply to what is backed up.
fn applying<'grant>(options: &Options, grant: &'grant str) -> Option<&'grant str> {
    let (privileges, on) = parts(grant)?;
    // A pattern (`shop%`) is assumed to match the database: if it does not, the tool says so.
    let applies = on == "*.*"
        || options.server.database.as_deref().is_some_and(|name| {
            on == format!("{}.*", quoted_name(name)) || on.contains(['%', '_'])
        });
    applies.then_some(privileges)
}

/// The privileges of a grant, and what they are on.
fn parts(grant: &str) -> Option<(&str, &str)> {
    let (privileges, rest) = grant.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let (on, _) = rest.split_once(" TO ")?;
    Some((privileges, on))
}

fn includes(privileges: &str, name: &str) -> bool {
    privileges.split(',').any(|it| it.trim() == name || it.trim() == "ALL PRIVILEGES")
}
