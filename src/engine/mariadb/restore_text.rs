//! Instructions: how to use what was restored.

use std::path::Path;

use super::Brand;
use super::database_file::DATABASES;
use super::options::{Method, Options};
use crate::domain::Source;
use crate::domain::shell_word;

/// For `RESTORE.txt`, after the commands that unpack the archive.
pub(super) fn after_unpacking(brand: Brand, source: &Source) -> Vec<String> {
    let logical = match Options::parse(brand, source) {
        Ok(options) => options.server.method == Method::Logical,
        Err(_) => brand == Brand::MySql,
    };
    let lines: &[&str] = if logical {
        &[
            "# A dump of each database. To load them into a running server that has none of these databases yet:",
            "for dump in restored/data/server.sql restored/data/databases/*.sql restored/data/views/*.sql; do",
            "[ ! -e \"$dump\" ] || mariadb --force --binary-mode <\"$dump\"; done",
            "# With --force the client goes on after a statement that the server refuses, and shows the error.",
            "# The accounts with their passwords and rights, if you want them there too:",
            "mariadb --force --binary-mode <restored/data/accounts.sql",
        ]
    } else {
        &[
            "# A prepared data directory of MariaDB: a server of the same release series starts on it.",
            "mv -nT restored/data /path/of/the/datadir",
            "chown -R mysql:mysql /path/of/the/datadir",
            "# Try it, on a socket in that folder and without network (end it with `mariadb-admin … shutdown`):",
            "mariadbd --defaults-file=/path/of/the/datadir/backup-my.cnf --user=mysql --datadir=/path/of/the/datadir --socket=/path/of/the/datadir/try.sock --pid-file=/path/of/the/datadir/try.pid --skip-networking &",
            "mariadb-admin --no-defaults --socket=/path/of/the/datadir/try.sock --wait=60 ping",
            "# Accounts and passwords are those of the backup. To keep it: stop it, and set datadir in",
            "# /etc/mysql/mariadb.conf.d/50-server.cnf, together with the settings in backup-my.cnf.",
        ]
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// For what Coffer restored to `target`.
pub(super) fn next_steps(target: &Path) -> Vec<String> {
    let folder = shell_word(target);
    // The server's own schema is in every data directory.
    if target.join(DATABASES).exists() && !target.join("mysql").exists() {
        return vec![
            "# Dumps with zeros where bytes were lost, and so not loaded. To load what can be read of one into a \
             running server:"
                .to_owned(),
            format!("# mariadb --force --binary-mode <{folder}/{DATABASES}/NAME.sql"),
        ];
    }
    let settings = if target.join("backup-my.cnf").exists() {
        format!("--defaults-file={}", shell_word(target.join("backup-my.cnf")))
    } else {
        "--no-defaults".to_owned()
    };
    vec![
        "# A data directory of MariaDB. Give it to the server's user, and try it:".to_owned(),
        format!("chown -R mysql:mysql {folder}"),
        format!(
            "mariadbd {settings} --user=mysql --datadir={folder} --socket={} --skip-networking",
            shell_word(target.join("try.sock"))
        ),
        "# To keep it, set datadir in /etc/mysql/mariadb.conf.d/50-server.cnf.".to_owned(),
    ]
}
