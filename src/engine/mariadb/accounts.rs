//! The accounts of a server and their grants, as SQL statements that create them again.

use std::fmt::Write as _;

use super::client::{Client, Row, quoted_name};
use super::facts::Facts;
use crate::engine::Result;

/// Accounts that every server creates itself.
const SYSTEM: &str = "('mariadb.sys', 'mysql.sys', 'mysql.session', 'mysql.infoschema')";

/// How an account begins that is created only if it does not exist.
const CREATE: &str = "CREATE USER IF NOT EXISTS ";

/// How many accounts are queried at once: the length of a command line is limited.
const BATCH: usize = 50;

const ROOT: &str = "root@localhost";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    user: String,
    host: String,
    role: bool,
}

impl Account {
    fn quoted(&self) -> String {
        if self.role {
            return quoted_name(&self.user);
        }
        format!("{}@{}", quoted_name(&self.user), quoted_name(&self.host))
    }

    /// The role of all accounts, which always exists.
    fn is_public(&self) -> bool {
        self.role && self.user == "PUBLIC"
    }
}

/// The statements: every account and role, their grants, and then the properties of the accounts: a grant names the
/// password too, and so would make one that has expired valid again.
pub(super) fn statements(client: &Client, facts: &Facts) -> Result<String> {
    let role = if facts.is_mariadb() { "is_role" } else { "'N'" };
    let sql = format!(
        "SELECT User, Host, {role} FROM mysql.user WHERE User NOT IN {SYSTEM} ORDER BY 3 DESC, 1, 2"
    );
    let rows = client.query(&sql)?;
    let accounts: Vec<Account> = rows.iter().filter_map(account).collect();
    let (mut created, mut granted, mut properties) = (String::new(), String::new(), String::new());
    for batch in accounts.chunks(BATCH) {
        for account in batch {
            add(&mut created, &create_statement(account));
        }
        let answer = client.query(&queries(batch, facts))?;
        for statement in answer.into_iter().flatten() {
            match statement.strip_prefix("CREATE USER ") {
                Some(rest) => add(&mut properties, &format!("ALTER USER {rest}")),
                None if statement.starts_with("GRANT ") || statement.starts_with("SET ") => {
                    add(&mut granted, &statement);
                }
                None => add(&mut properties, &statement),
            }
        }
    }
    Ok(format!(
        "-- The accounts and roles of the server, and their grants. An account that exists already gets the\n\
         -- password and the rights of the backup.\nSET SESSION sql_mode = '';\n{created}{granted}{properties}\
         -- End of the accounts\n"
    ))
}

fn account(row: &Row) -> Option<Account> {
    let [user, host, role] = row.as_slice() else { return None };
    Some(Account { user: user.clone(), host: host.clone(), role: role == "Y" })
}

fn create_statement(account: &Account) -> String {
    match account {
        it if it.is_public() => "-- the rights of all accounts follow".to_owned(),
        it if it.role => format!("CREATE ROLE IF NOT EXISTS {}", it.quoted()),
        it => format!("{CREATE}{}", it.quoted()),
    }
}

/// What is to be done in a new server, before and after it has executed `script`, so that it has no other account, and
/// root no other rights, than the script gives. The session that does this stays root's. Without any account in the
/// script, the machine's root remains.
pub(super) fn only_those_of(script: &str, client: &Client) -> Result<(String, String)> {
    let sql = format!("SELECT User, Host, 'N' FROM mysql.user WHERE User NOT IN {SYSTEM}");
    let (mut before, mut after) = (String::new(), String::new());
    add(&mut before, &format!("ALTER USER {ROOT} IDENTIFIED VIA unix_socket"));
    let is_root = |it: &Account| it.user == "root" && it.host == "localhost";
    for account in client.query(&sql)?.iter().filter_map(account) {
        let kept = script.contains(&(create_statement(&account) + ";\n"));
        if kept && is_root(&account) {
            add(&mut before, &format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {ROOT}"));
            // The right without which this session could not grant it.
            let of_installer = "User = 'root' AND Host = 'localhost' AND Proxied_host = ''";
            add(&mut after, &format!("DELETE FROM mysql.proxies_priv WHERE {of_installer}"));
        } else if !kept && (!is_root(&account) || script.contains(CREATE)) {
            add(&mut after, &format!("DROP USER {}", account.quoted()));
        }
    }
    Ok((before, after))
}

/// Password hashes that are not text are queried as hexadecimal digits, if the server supports that.
fn queries(accounts: &[Account], facts: &Facts) -> String {
    let mut sql = String::new();
    if !facts.is_mariadb() {
        sql.push_str("SET @@SESSION.print_identified_with_as_hex = ON; ");
    }
    for account in accounts {
        let name = account.quoted();
        if !account.role {
            write!(sql, "SHOW CREATE USER {name}; ").expect("writing to a String cannot fail");
        }
        write!(sql, "SHOW GRANTS FOR {name}; ").expect("writing to a String cannot fail");
    }
    sql
}

/// Adds a statement. The server returns them without a semicolon.
fn add(text: &mut String, statement: &str) {
    text.push_str(statement);
    text.push_str(if statement.starts_with("--") { "\n" } else { ";\n" });
}
