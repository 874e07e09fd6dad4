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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Brand;
    use super::*;

    fn checked(source: Value, grants: &[&str]) -> Result<(), String> {
        let source = serde_json::from_value(source).unwrap();
        let options = Options::parse(Brand::MariaDb, &source).unwrap();
        let facts = Facts {
            user: "me@%".to_owned(),
            version: "10.11.6-MariaDB".to_owned(),
            grants: grants.iter().map(|it| (*it).to_owned()).collect(),
            ..Facts::default()
        };
        check(&options, &facts).map_err(|error| error.to_string())
    }

    #[test]
    fn a_missing_right_is_named_with_the_statement_that_grants_it() {
        let message = checked(
            json!({"socket": "/s"}),
            &["GRANT RELOAD, LOCK TABLES, BINLOG MONITOR ON *.* TO `me`@`%`"],
        )
        .unwrap_err();
        assert!(message.contains("lacks PROCESS:"), "{message}");
        assert!(
            message
                .contains("GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO 'me'@'%';"),
            "{message}"
        );
    }

    #[test]
    fn rights_on_everything_suffice_by_new_and_old_names() {
        for grant in [
            "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
            "GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO `me`@`%`",
        ] {
            assert_eq!(checked(json!({"socket": "/s"}), &[grant]), Ok(()));
        }
    }

    #[test]
    fn rights_on_one_database_suffice_for_a_dump_of_that_database_only() {
        let grant = [
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `shop`.* TO `me`@`%`",
            "GRANT SELECT ON `mysql`.`proc` TO `me`@`%`",
        ];
        let one = json!({"socket": "/s", "method": "logical", "database": "shop"});
        assert_eq!(checked(one.clone(), &grant), Ok(()));
        let blind = checked(one, &grant[..1]).unwrap_err();
        assert!(blind.contains("GRANT SELECT ON mysql.proc TO 'me'@'%';"), "{blind}");
        let other = json!({"socket": "/s", "method": "logical", "database": "till"});
        assert!(checked(other, &grant).unwrap_err().contains("ON `till`.* TO"));
        assert!(checked(json!({"socket": "/s", "method": "logical"}), &grant).is_err());
    }
}
