//! The rights a backup needs.

use super::Brand;
use super::facts::Facts;
use super::options::{Method, Options};
use crate::domain::FailureCode;
use crate::engine::EngineError;

/// What `mariadb-backup` needs, on everything. The names before MariaDB 10.5 do as well.
const PHYSICAL: &[&[&str]] =
    &[&["RELOAD"], &["PROCESS"], &["LOCK TABLES"], &["BINLOG MONITOR", "REPLICATION CLIENT"]];

/// What a dump needs.
const LOGICAL: &[&[&str]] = &[&["SELECT"], &["SHOW VIEW"], &["TRIGGER"], &["EVENT"]];

fn needed(method: Method) -> &'static [&'static [&'static str]] {
    match method {
        Method::Physical => PHYSICAL,
        Method::Logical => LOGICAL,
    }
}

/// The statement that grants what this way of backing up needs to `user`.
fn statement(options: &Options, user: &str) -> String {
    let names: Vec<&str> =
        needed(options.method).iter().filter_map(|names| names.first()).copied().collect();
    let on = options
        .server
        .database
        .as_deref()
        .map_or_else(|| "*.*".to_owned(), |name| format!("{}.*", super::client::quoted_name(name)));
    format!("GRANT {} ON {on} TO {user};", names.join(", "))
}

/// For whoever is not let in at all: how an account for Coffer is made.
pub(super) fn how_to_let_in(options: &Options) -> String {
    let name = options.server.user.as_deref().unwrap_or("coffer");
    let user = format!("'{}'@'localhost'", name.replace('\'', "''"));
    let by = match options.brand {
        Brand::MariaDb => "IDENTIFIED VIA unix_socket, or with a password",
        Brand::MySql => "with a password",
    };
    format!(
        "Correct source.user and source.password_file, or make the account ({by}): CREATE USER {user} \
         IDENTIFIED BY '…'; {}",
        statement(options, &user)
    )
}

/// Fails, with the statement that mends it, if a right is missing. A right that comes with a role cannot
/// always be seen: then the tool will say.
pub(super) fn check(options: &Options, facts: &Facts) -> Result<(), EngineError> {
    if facts.grants.iter().any(|grant| !grant.contains(" ON ")) && !facts.is_mariadb() {
        return Ok(());
    }
    let (name, host) = facts.user.rsplit_once('@').unwrap_or((&facts.user, "localhost"));
    let user = format!("'{}'@'{}'", name.replace('\'', "''"), host.replace('\'', "''"));
    let granted: Vec<&str> = facts.grants.iter().filter_map(|it| reaching(options, it)).collect();
    let missing: Vec<&str> = needed(options.method)
        .iter()
        .filter(|names| !names.iter().any(|name| granted.iter().any(|it| holds(it, name))))
        .filter_map(|names| names.first())
        .copied()
        .collect();
    let (lacks, statement) = if !missing.is_empty() {
        (missing.join(", "), statement(options, &user))
    } else if options.method == Method::Logical && !sees_routines(facts) {
        let right = if facts.is_mariadb() { "SELECT ON mysql.proc" } else { "SHOW_ROUTINE ON *.*" };
        let lacks = "the right to see routines, which would be missing without a word".to_owned();
        (lacks, format!("GRANT {right} TO {user};"))
    } else {
        return Ok(());
    };
    Err(EngineError::known(
        FailureCode::SourceDenied,
        format!("{}: the account {user} lacks {lacks}: {statement}", options.shown()),
    ))
}

/// Whether the account sees what routines of others say.
fn sees_routines(facts: &Facts) -> bool {
    facts.grants.iter().filter_map(|grant| parts(grant)).any(|(privileges, on)| {
        let of_server = ["SELECT", "SHOW_ROUTINE", "SHOW CREATE ROUTINE"];
        match on {
            "*.*" => of_server.iter().any(|name| holds(privileges, name)),
            "`mysql`.*" | "`mysql`.`proc`" => holds(privileges, "SELECT"),
            _ => holds(privileges, "SHOW CREATE ROUTINE") && !privileges.contains("ALL PRIVILEGES"),
        }
    })
}

/// The privileges a line of `SHOW GRANTS` gives on what is to be backed up.
fn reaching<'grant>(options: &Options, grant: &'grant str) -> Option<&'grant str> {
    let (privileges, on) = parts(grant)?;
    let one = options.server.database.as_deref();
    // A pattern (`shop%`) is taken to mean this database: if it does not, the tool says so.
    let reaches = on == "*.*"
        || one.is_some_and(|name| {
            on == format!("{}.*", super::client::quoted_name(name)) || on.contains(['%', '_'])
        });
    reaches.then_some(privileges)
}

/// The privileges of a grant, and on what.
fn parts(grant: &str) -> Option<(&str, &str)> {
    let (privileges, rest) = grant.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let (on, _) = rest.split_once(" TO ")?;
    Some((privileges, on))
}

fn holds(privileges: &str, name: &str) -> bool {
    privileges.split(',').any(|it| it.trim() == name || it.trim() == "ALL PRIVILEGES")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        let said = checked(
            json!({"socket": "/s"}),
            &["GRANT RELOAD, LOCK TABLES, BINLOG MONITOR ON *.* TO `me`@`%`"],
        )
        .unwrap_err();
        assert!(said.contains("lacks PROCESS:"), "{said}");
        assert!(
            said.contains("GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO 'me'@'%';"),
            "{said}"
        );
    }

    #[test]
    fn rights_on_everything_suffice_and_old_names_too() {
        for grant in [
            "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
            "GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO `me`@`%`",
        ] {
            assert_eq!(checked(json!({"socket": "/s"}), &[grant]), Ok(()));
        }
    }

    #[test]
    fn rights_on_one_database_suffice_for_a_dump_of_it_and_for_no_other() {
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
