//! Statements that give an account the rights a backup needs.

use super::Brand;
use super::client::quoted_name;
use super::options::{Method, Options};

/// What `mariadb-backup` needs on everything. Each right with its name before MariaDB 10.5, if that differs.
const PHYSICAL: &[&[&str]] =
    &[&["RELOAD"], &["PROCESS"], &["LOCK TABLES"], &["BINLOG MONITOR", "REPLICATION CLIENT"]];

const LOGICAL: &[&[&str]] = &[&["SELECT"], &["SHOW VIEW"], &["TRIGGER"], &["EVENT"]];

/// The rights that a backup by `method` needs, each with its alternative names.
pub(super) const fn needed(method: Method) -> &'static [&'static [&'static str]] {
    match method {
        Method::Physical => PHYSICAL,
        Method::Logical => LOGICAL,
    }
}

/// An account as SQL takes it.
pub(super) fn quoted_account(user: &str, host: &str) -> String {
    format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''"))
}

/// The statement that grants what a backup needs.
pub(super) fn grant_statement(options: &Options, account: &str) -> String {
    let names: Vec<&str> =
        needed(options.server.method).iter().filter_map(|names| names.first()).copied().collect();
    let on = match options.server.database.as_deref() {
        Some(name) => format!("{}.*", quoted_name(name)),
        None => "*.*".to_owned(),
    };
    format!("GRANT {} ON {on} TO {account};", names.join(", "))
}

/// How to create an account for Coffer, for a server that denies access.
pub(super) fn create_account(options: &Options) -> String {
    let account = quoted_account(options.server.user.as_deref().unwrap_or("coffer"), "localhost");
    let identified = match options.brand {
        Brand::MariaDb => "IDENTIFIED VIA unix_socket, or with a password",
        Brand::MySql => "with a password",
    };
    format!(
        "Correct source.user and source.password_file, or create the account ({identified}): CREATE USER \
         {account} IDENTIFIED BY '…'; {}",
        grant_statement(options, &account)
    )
}
