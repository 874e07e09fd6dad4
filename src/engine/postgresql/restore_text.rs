//! Instructions: how to use what was restored.

use std::path::Path;

use super::cluster::DATA_FOLDER;
use super::options::{KIND, Method};
use crate::domain::Source;
use crate::engine::shell_quote::shell_quoted;

/// For `RESTORE.txt`, after the commands that unpack the archive.
pub(super) fn after_unpacking(source: &Source) -> Vec<String> {
    let logical = KIND.server(source).is_ok_and(|it| it.method == Method::Logical);
    if logical { dumps() } else { data_directory() }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// These lines work in this order, as root on Debian with a server of that version installed.
fn data_directory() -> Vec<String> {
    lines(
        r#"# The data directory is restored/data/pgdata. As root, in this folder, with a PostgreSQL server of
# its version installed (apt install postgresql-$(cat restored/data/pgdata/PG_VERSION)):
V=$(cat restored/data/pgdata/PG_VERSION); DATA=$(realpath restored/data/pgdata)
# Make the links to tablespaces, if there are any, absolute:
for T in restored/data/tablespaces/*/; do [ -d "$T" ] && ln -sfn "$(realpath "$T")" "$DATA/pg_tblspc/$(basename "$T")"; done
# Debian keeps the settings in /etc/postgresql, not in the data directory. If you have none, start with these:
[ -e "$DATA/postgresql.conf" ] || printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '/tmp'" "port = 5433" > "$DATA/postgresql.conf"
[ -e "$DATA/pg_hba.conf" ] || echo 'local all all peer' > "$DATA/pg_hba.conf"
[ -e "$DATA/pg_ident.conf" ] || : > "$DATA/pg_ident.conf"
# The server runs as the owner of its files, who must be able to enter every folder above them:
chown -R postgres: restored/data && chmod 755 restored
# (If it contains settings, check port, listen_addresses and archive_command first.)
# (If this is the backup of a standby, rm "$DATA/standby.signal" makes it a primary.)
runuser -u postgres -- /usr/lib/postgresql/$V/bin/pg_ctl -D "$DATA" -l "$DATA/start.log" -w -t 600 start
# With the settings above, connect with: runuser -u postgres -- psql -h /tmp -p 5433 -l"#,
    )
}

fn dumps() -> Vec<String> {
    lines(
        r#"# restored/data/roles.sql holds the roles, restored/data/databases a dump of each database. Restore them
# into a running server of the same version or newer. As its superuser, in this folder (ignore "already
# exists" for roles):
psql -d postgres -f restored/data/roles.sql
for D in restored/data/databases/*.dump; do [ "${D##*/}" = postgres.dump ] || pg_restore --exit-on-error --create -d postgres "$D"; done
# The content of the database postgres itself:
pg_restore -d postgres restored/data/databases/postgres.dump"#,
    )
}

/// For what Coffer restored to `target`.
pub(super) fn next_steps(target: &Path) -> Vec<String> {
    let data = target.join(DATA_FOLDER);
    let version = std::fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
    let version = match version.trim() {
        "" => "15",
        version => version,
    };
    let (data, all) = (shell_quoted(&data), shell_quoted(target));
    let mut steps = vec![
        "# As root, start a server on it. Its user must be able to enter every folder above it:"
            .to_owned(),
        format!("chown -R postgres: {all}"),
    ];
    let missing = |name: &str| !target.join(DATA_FOLDER).join(name).exists();
    if missing("postgresql.conf") {
        steps.push(
            "# Debian keeps the settings in /etc; copy yours, or start with these:".to_owned(),
        );
        steps.push(format!(
            "printf '%s\\n' \"listen_addresses = ''\" \"unix_socket_directories = '/tmp'\" \"port = 5433\" \
             > {data}/postgresql.conf"
        ));
    } else {
        steps.push(
            "# Its settings are the original's: check port, listen_addresses and archive_command first."
                .to_owned(),
        );
    }
    if missing("pg_hba.conf") {
        steps.push(format!("echo 'local all all peer' > {data}/pg_hba.conf"));
    }
    if !missing("standby.signal") {
        steps.push("# This is the backup of a standby; to make it a primary:".to_owned());
        steps.push(format!("rm {data}/standby.signal"));
    }
    steps.push(format!(
        "runuser -u postgres -- /usr/lib/postgresql/{version}/bin/pg_ctl -D {data} -l {data}/start.log -w start"
    ));
    if !missing("../tablespaces") {
        steps.push(
            "# The links to its tablespaces are absolute: do not move the folder.".to_owned(),
        );
    }
    steps
}
