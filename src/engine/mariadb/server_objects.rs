//! What a server knows beside its databases and accounts: plugins, functions of libraries, servers, time zones.

use std::fmt::Write as _;

use super::client::{Client, quoted_name};
use super::facts::Facts;
use super::faults::classify;
use crate::engine::Result;

/// The tables of time zones, which an administrator fills.
pub(super) const TIME_ZONE_TABLES: [&str; 6] = [
    "mysql",
    "time_zone",
    "time_zone_leap_second",
    "time_zone_name",
    "time_zone_transition",
    "time_zone_transition_type",
];

/// Plugins that tables and accounts may name, however they were loaded, and those that were installed for good. A
/// plugin for encryption does not start without its keys.
const PLUGINS: &str = "SELECT 'plugin', PLUGIN_NAME, PLUGIN_LIBRARY FROM information_schema.PLUGINS \
     WHERE PLUGIN_LIBRARY IS NOT NULL AND PLUGIN_STATUS = 'ACTIVE' AND PLUGIN_TYPE <> 'ENCRYPTION' AND \
     (PLUGIN_TYPE IN ('AUTHENTICATION', 'STORAGE ENGINE', 'FUNCTION', 'DATA TYPE', 'FTPARSER') \
     OR PLUGIN_NAME LIKE 'provider\\_%' OR PLUGIN_NAME IN (SELECT name FROM mysql.plugin)) ORDER BY 2";

/// Plugins that refuse accounts without a password, or with one that is too simple.
const PASSWORD_CHECKS: &str = "SELECT PLUGIN_NAME, PLUGIN_LIBRARY FROM information_schema.PLUGINS \
     WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND PLUGIN_LIBRARY IS NOT NULL AND PLUGIN_STATUS = 'ACTIVE'";

const FUNCTIONS: &str = "SELECT 'function', name, ret, dl, type FROM mysql.func ORDER BY 2";

const SERVERS: &str = "SELECT 'server', Server_name, Wrapper, Host, Db, Username, Password, Socket, Owner, Port \
     FROM mysql.servers ORDER BY 2";

/// The types that a function of a library returns, by their number.
const RETURNS: [&str; 5] = ["STRING", "REAL", "INTEGER", "ROW", "DECIMAL"];

/// The statements that make them again; empty if there is nothing.
pub(super) fn statements(client: &Client, facts: &Facts) -> Result<String> {
    let ask =
        |sql: &str| client.execute(sql).map_err(|error| classify(error, "the server's objects"));
    let mut rows = if facts.is_mariadb() { ask(PLUGINS)? } else { Vec::new() };
    rows.extend(ask(FUNCTIONS)?);
    rows.extend(ask(SERVERS)?);
    let text: String = rows.iter().filter_map(|row| statement(row)).collect();
    Ok(if text.is_empty() { text } else { format!("SET SESSION sql_mode = '';\n{text}") })
}

/// How a new server is kept from judging the passwords of accounts that exist already, and how it judges again.
pub(super) fn without_password_checks(client: &Client) -> Result<(String, String)> {
    let rows = client.query(PASSWORD_CHECKS)?;
    let checks = rows.iter().filter_map(|row| Some((quoted_name(row.first()?), row.get(1)?)));
    let (mut removed, mut installed) = (String::new(), String::new());
    for (name, library) in checks {
        let library = literal(library);
        writeln!(removed, "UNINSTALL PLUGIN {name};").expect("writing to a String cannot fail");
        writeln!(installed, "INSTALL PLUGIN {name} SONAME {library};")
            .expect("writing to a String cannot fail");
    }
    Ok((removed, installed))
}

/// Whether the tables of time zones are filled.
pub(super) fn has_time_zones(client: &Client) -> Result<bool> {
    let rows = client.query("SELECT COUNT(*) > 0 FROM mysql.time_zone_name")?;
    Ok(rows.into_iter().flatten().any(|it| it == "1"))
}

fn statement(row: &[String]) -> Option<String> {
    let (kind, rest) = row.split_first()?;
    let (name, rest) = rest.split_first()?;
    let name = quoted_name(name);
    Some(match (kind.as_str(), rest) {
        ("plugin", [library]) => {
            format!(
                "INSTALL PLUGIN /*M!100401 IF NOT EXISTS */ {name} SONAME {};\n",
                literal(library)
            )
        }
        ("function", [returns, library, kind]) => {
            let returns = RETURNS.get(returns.parse::<usize>().ok()?)?;
            let aggregate = if kind == "aggregate" { "AGGREGATE " } else { "" };
            let library = literal(library);
            format!(
                "CREATE {aggregate}FUNCTION /*M! IF NOT EXISTS */ {name} RETURNS {returns} SONAME {library};\n"
            )
        }
        ("server", [wrapper, texts @ .., port]) => {
            let mut options = format!("PORT {port}");
            let names = ["HOST", "DATABASE", "USER", "PASSWORD", "SOCKET", "OWNER"];
            for (option, value) in names.iter().zip(texts).filter(|(_, value)| !value.is_empty()) {
                write!(options, ", {option} {}", literal(value))
                    .expect("writing to a String cannot fail");
            }
            let wrapper = quoted_name(wrapper);
            format!(
                "CREATE SERVER /*M! IF NOT EXISTS */ {name} FOREIGN DATA WRAPPER {wrapper} OPTIONS ({options});\n"
            )
        }
        _ => return None,
    })
}

/// A text for where SQL wants a plain literal, in a session without `NO_BACKSLASH_ESCAPES`.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_becomes_the_statement_that_makes_it() {
        let of = |row: &[&str]| {
            let row: Vec<String> = row.iter().map(|it| (*it).to_owned()).collect();
            statement(&row).unwrap()
        };
        assert_eq!(
            of(&["plugin", "ed25519", "auth_ed25519.so"]),
            "INSTALL PLUGIN /*M!100401 IF NOT EXISTS */ `ed25519` SONAME 'auth_ed25519.so';\n"
        );
        assert_eq!(
            of(&["function", "f", "2", "f.so", "aggregate"]),
            "CREATE AGGREGATE FUNCTION /*M! IF NOT EXISTS */ `f` RETURNS INTEGER SONAME 'f.so';\n"
        );
        assert_eq!(
            of(&["server", "far", "mysql", "::1", "it's", "", "a\\b", "", "", "3307"]),
            "CREATE SERVER /*M! IF NOT EXISTS */ `far` FOREIGN DATA WRAPPER `mysql` \
             OPTIONS (PORT 3307, HOST '::1', DATABASE 'it''s', PASSWORD 'a\\\\b');\n"
        );
    }
}
