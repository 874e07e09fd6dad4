//! The accounts of a server and their grants, as SQL statements that create them again.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::client::{Client, Row, quoted_name, quoted_text};
use super::facts::Facts;
use crate::engine::Result;

/// Accounts that every server creates itself.
const SYSTEM: &str = "('mariadb.sys', 'mysql.sys', 'mysql.session', 'mysql.infoschema')";

/// How an account begins that is created only if it does not exist.
const CREATE: &str = "CREATE USER IF NOT EXISTS ";

const CREATE_ROLE: &str = "CREATE ROLE IF NOT EXISTS ";

const ALTER: &str = "ALTER USER ";

/// How a new account of MariaDB identifies itself until it gets its own authentication, which a server may refuse: with
/// a hash that no password is known to have. MariaDB 10.1 has no locked accounts.
const UNUSABLE: &str =
    " IDENTIFIED VIA mysql_native_password USING '*0000000000000000000000000000000000000000'";

/// The same for MySQL, which may lack the plugin of that hash, and says of each account that it is not locked.
const LOCKED: &str = " ACCOUNT LOCK";

/// What MariaDB does not print of an account without a password.
const NO_PASSWORD: &str = " IDENTIFIED VIA mysql_native_password USING ''";

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
/// password too, and so would make one that has expired valid again. Nobody can use a new account before it has its own
/// authentication.
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
            add(&mut created, &create_statement(account, facts));
        }
        let answer = client.query(&queries(batch, facts))?;
        for statement in answer.into_iter().flatten() {
            match statement.strip_prefix("CREATE USER ") {
                Some(rest) if facts.is_mariadb() => {
                    let statement = format!("{ALTER}{rest}");
                    add(&mut properties, &authenticated(&statement).unwrap_or(statement));
                }
                Some(rest) => add(&mut properties, &format!("{ALTER}{rest}")),
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

fn create_statement(account: &Account, facts: &Facts) -> String {
    match account {
        it if it.is_public() => "-- the rights of all accounts follow".to_owned(),
        it if it.role => format!("{CREATE_ROLE}{}", it.quoted()),
        it if facts.is_mariadb() => format!("{CREATE}{}{UNUSABLE}", it.quoted()),
        it => format!("{CREATE}{}{LOCKED}", it.quoted()),
    }
}

/// A script for MariaDB in which nobody can use a new account before it has its own authentication. Older archives
/// create accounts without a password.
pub(super) fn secured(script: &str) -> String {
    let secured = |line| authenticated(line).map_or(Cow::Borrowed(line), Cow::Owned);
    script.split_inclusive('\n').map(secured).collect()
}

/// A statement that creates or alters an account without a word on its authentication, with that word.
fn authenticated(statement: &str) -> Option<String> {
    let (verb, rest, word) = match statement.strip_prefix(CREATE) {
        Some(rest) => (CREATE, rest, UNUSABLE),
        None => (ALTER, statement.strip_prefix(ALTER)?, NO_PASSWORD),
    };
    let (account, properties) = split_account(rest)?;
    let first = properties.trim_start();
    let has_one = first.starts_with("IDENTIFIED ") || first.starts_with("ACCOUNT LOCK;");
    (!has_one).then(|| format!("{verb}{account}{word}{properties}"))
}

/// A text that begins with a quoted account, split after that.
fn split_account(text: &str) -> Option<(&str, &str)> {
    let user = quoted_length(text)?;
    let host = quoted_length(text.get(user..)?.strip_prefix('@')?)?;
    text.split_at_checked(user + 1 + host)
}

/// The length of the quoted name that the text begins with. Within it, the quote is doubled.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|it| ['`', '\''].contains(it))?;
    let mut end = 1;
    loop {
        end += text.get(end..)?.find(quote)? + 1;
        if !text.get(end..)?.starts_with(quote) {
            return Some(end);
        }
        end += 1;
    }
}

/// Whether a script makes this account.
fn makes(script: &str, account: &Account) -> bool {
    let begin = format!("{CREATE}{}", account.quoted());
    [";\n", UNUSABLE, LOCKED].iter().any(|rest| script.contains(&(begin.clone() + rest)))
}

/// What is to be done in a new server, before and after it has executed `script`, so that it has no other account, and
/// root no other rights, than the script gives. The session that does this stays root's. Without any account in the
/// script, the machine's root remains.
pub(super) fn only_those_of(script: &str, client: &Client) -> Result<(String, String)> {
    let sql = format!("SELECT User, Host, 'N' FROM mysql.user WHERE User NOT IN {SYSTEM}");
    let (mut before, mut after) = (String::new(), String::new());
    // A server may lack the plugin of the second.
    add(&mut before, &format!("{ALTER}{ROOT}{UNUSABLE}"));
    add(&mut before, &format!("{ALTER}{ROOT} IDENTIFIED VIA unix_socket"));
    let is_root = |it: &Account| it.user == "root" && it.host == "localhost";
    for account in client.query(&sql)?.iter().filter_map(account) {
        let kept = makes(script, &account);
        if kept && is_root(&account) {
            add(&mut before, &format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {ROOT}"));
            // The right without which this session could not grant it.
            let of_installer = "User = 'root' AND Host = 'localhost' AND Proxied_host = ''";
            add(&mut after, &format!("DELETE FROM mysql.proxies_priv WHERE {of_installer}"));
        } else if !kept && (!is_root(&account) || script.contains(CREATE)) {
            add(&mut after, &format!("DROP USER {}", account.quoted()));
        }
    }
    for role in
        roles_of(script).filter(|it| !script.contains(&format!("GRANT {it} TO `root`@`localhost`")))
    {
        let name = role.strip_prefix('`').and_then(|it| it.strip_suffix('`')).unwrap_or(role);
        let role = quoted_text(&name.replace("``", "`"));
        // Whoever creates a role may grant it.
        let of_creator = format!("User = 'root' AND Host = 'localhost' AND Role = {role}");
        add(&mut after, &format!("DELETE FROM mysql.roles_mapping WHERE {of_creator}"));
    }
    Ok((before, after))
}

/// The quoted names of the roles that a script makes.
fn roles_of(script: &str) -> impl Iterator<Item = &str> {
    script.lines().filter_map(|line| line.strip_prefix(CREATE_ROLE)?.strip_suffix(';'))
}

/// Password hashes that are not text are queried as hexadecimal digits, if the server supports that.
fn queries(accounts: &[Account], facts: &Facts) -> String {
    let mut sql = "SET SESSION sql_quote_show_create = 1; ".to_owned();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_an_older_archive_is_unusable_until_it_has_its_own_authentication() {
        let script = "CREATE USER IF NOT EXISTS `a;``b`@`%`;\nGRANT USAGE ON *.* TO `a`@`%`;\n\
                      ALTER USER `a;``b`@`%` IDENTIFIED VIA ed25519 USING 'x';\n\
                      CREATE USER IF NOT EXISTS ''@'h';\nALTER USER ''@'h' REQUIRE SSL;\n";
        let expected = format!(
            "CREATE USER IF NOT EXISTS `a;``b`@`%`{UNUSABLE};\nGRANT USAGE ON *.* TO `a`@`%`;\n\
             ALTER USER `a;``b`@`%` IDENTIFIED VIA ed25519 USING 'x';\n\
             CREATE USER IF NOT EXISTS ''@'h'{UNUSABLE};\nALTER USER ''@'h'{NO_PASSWORD} REQUIRE SSL;\n"
        );
        assert_eq!(secured(script), expected);
        assert_eq!(secured(&expected), expected);
        let locked = "CREATE USER IF NOT EXISTS `a`@`%` ACCOUNT LOCK;\n";
        assert_eq!(secured(locked), locked);
    }

    #[test]
    fn the_accounts_that_a_script_makes_are_found_in_new_and_older_archives() {
        let account = |user: &str| Account { user: user.into(), host: "%".into(), role: false };
        for rest in ["", UNUSABLE, LOCKED] {
            let script = format!("{CREATE}`a`@`%`{rest};\n");
            assert!(makes(&script, &account("a")) && !makes(&script, &account("b")), "{script}");
        }
    }
}
