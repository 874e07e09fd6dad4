//! Words and commands for people: how a server comes up on what was restored.

use std::path::Path;

use super::Brand;
use super::options::{Method, Options};
use crate::domain::Source;

/// For `RESTORE.txt`, behind the unpacking.
pub(super) fn after_unpacking(brand: Brand, source: &Source) -> Vec<String> {
    let logical = match Options::parse(brand, source) {
        Ok(options) => options.method == Method::Logical,
        Err(_) => brand == Brand::MySql,
    };
    let lines: &[&str] = if logical {
        &[
            "# A dump of each database. Into a running server, which must have none of them yet:",
            "for dump in restored/data/databases/*.sql; do mariadb --binary-mode <\"$dump\" || break; done",
            "# The accounts with their passwords and rights, if they are wanted there too:",
            "mariadb --binary-mode <restored/data/accounts.sql",
        ]
    } else {
        &[
            "# A data directory of MariaDB, already prepared: a server of the same release series starts on it.",
            "mv -nT restored/data /path/of/the/datadir",
            "chown -R mysql:mysql /path/of/the/datadir",
            "# Try it, on a socket in that folder and with no network (end it with `mariadb-admin … shutdown`):",
            "mariadbd --defaults-file=/path/of/the/datadir/backup-my.cnf --user=mysql --datadir=/path/of/the/datadir --socket=/path/of/the/datadir/try.sock --pid-file=/path/of/the/datadir/try.pid --skip-networking &",
            "mariadb-admin --no-defaults --socket=/path/of/the/datadir/try.sock --wait=60 ping",
            "# Accounts and passwords are those of the backup. To keep it: stop it, and set datadir in",
            "# /etc/mysql/mariadb.conf.d/50-server.cnf, with what backup-my.cnf says of InnoDB's files.",
        ]
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// For a restore that Coffer made.
pub(super) fn after_restoring(target: &Path) -> Vec<String> {
    let folder = quoted(target);
    let settings = if target.join("backup-my.cnf").exists() {
        format!("--defaults-file={}", quoted(&target.join("backup-my.cnf")))
    } else {
        "--no-defaults".to_owned()
    };
    vec![
        "# A data directory of MariaDB. Let the server's user have it, and try it:".to_owned(),
        format!("chown -R mysql:mysql {folder}"),
        format!(
            "mariadbd {settings} --user=mysql --datadir={folder} --socket={} --skip-networking",
            quoted(&target.join("try.sock"))
        ),
        "# To keep it, name it as datadir in /etc/mysql/mariadb.conf.d/50-server.cnf.".to_owned(),
    ]
}

/// A path as one word of the shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
