//! The accounts of a server with their grants, as statements that make them again.

use std::fmt::Write as _;

use super::client::{Client, Row, quoted_name};
use super::facts::Facts;
use crate::domain::Cancel;
use crate::engine::EngineError;

/// Accounts that every server makes itself.
const SYSTEM: &str = "('mariadb.sys', 'mysql.sys', 'mysql.session', 'mysql.infoschema')";

/// How many accounts are asked about at once: a command line cannot be of any length.
const AT_ONCE: usize = 50;

/// An account, or a role.
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

    /// Everybody's role, which is always there.
    fn is_public(&self) -> bool {
        self.role && self.user == "PUBLIC"
    }
}

/// The statements: every account and role first, then what each may do.
pub(super) fn statements(
    client: &Client,
    facts: &Facts,
    cancel: &Cancel,
) -> Result<String, EngineError> {
    let role = if facts.is_mariadb() { "is_role" } else { "'N'" };
    let sql = format!(
        "SELECT User, Host, {role} FROM mysql.user WHERE User NOT IN {SYSTEM} ORDER BY 3 DESC, 1, 2"
    );
    let found = client.ask(&sql, cancel)?;
    let accounts: Vec<Account> = found.iter().filter_map(account).collect();
    let mut made = String::new();
    let mut grants = String::new();
    for some in accounts.chunks(AT_ONCE) {
        for account in some {
            line(&mut made, &make(account));
        }
        let answer = client.ask(&questions(some, facts), cancel)?;
        for said in answer.into_iter().flatten() {
            match said.strip_prefix("CREATE USER ") {
                Some(how) => line(&mut made, &format!("ALTER USER {how}")),
                None if said.starts_with("GRANT ") || said.starts_with("SET ") => {
                    line(&mut grants, &said);
                }
                None => line(&mut made, &said),
            }
        }
    }
    Ok(format!(
        "-- The accounts and roles of the server, and what they may do. An account that is there already is\n\
         -- given the password and the rights it had.\n{made}{grants}-- End of the accounts\n"
    ))
}

fn account(row: &Row) -> Option<Account> {
    let [user, host, role] = row.as_slice() else { return None };
    Some(Account { user: user.clone(), host: host.clone(), role: role == "Y" })
}

fn make(account: &Account) -> String {
    match account {
        it if it.is_public() => "-- what everybody may do follows".to_owned(),
        it if it.role => format!("CREATE ROLE IF NOT EXISTS {}", it.quoted()),
        it => format!("CREATE USER IF NOT EXISTS {}", it.quoted()),
    }
}

/// A hash of bytes that are no text is asked for as digits, where the server can give it so.
fn questions(accounts: &[Account], facts: &Facts) -> String {
    let mut sql = String::new();
    if !facts.is_mariadb() {
        sql.push_str("SET @@SESSION.print_identified_with_as_hex = ON; ");
    }
    for account in accounts {
        let who = account.quoted();
        if !account.role {
            // Writing to text cannot fail.
            write!(sql, "SHOW CREATE USER {who}; ").unwrap_or_default();
        }
        write!(sql, "SHOW GRANTS FOR {who}; ").unwrap_or_default();
    }
    sql
}

/// One statement. The server gives them without an end.
fn line(text: &mut String, statement: &str) {
    text.push_str(statement);
    text.push_str(if statement.starts_with("--") { "\n" } else { ";\n" });
}
