//! How a restored data directory comes into use, for people.

use std::path::Path;

use super::cluster::DATA_FOLDER;
use super::options::{Method, Options};
use crate::domain::Source;

/// What stands in `RESTORE.txt` behind the commands that unpack.
pub(super) fn after_unpacking(source: &Source) -> Vec<String> {
    let logical = Options::parse(source).is_ok_and(|it| it.method == Method::Logical);
    if logical { dumps() } else { data_directory() }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Each line works as it stands, in this order, as root on Debian with the version's server installed.
fn data_directory() -> Vec<String> {
    lines(
        r#"# PostgreSQL's data directory is restored/data/pgdata. As root, in this folder, with the server of
# that version installed (apt install postgresql-$(cat restored/data/pgdata/PG_VERSION)):
V=$(cat restored/data/pgdata/PG_VERSION); DATA=$(realpath restored/data/pgdata)
# The links to tablespaces, if there are any, get their whole paths:
for T in restored/data/tablespaces/*/; do [ -d "$T" ] && ln -sfn "$(realpath "$T")" "$DATA/pg_tblspc/$(basename "$T")"; done
# Debian keeps the settings in /etc/postgresql and not in the data directory. Without yours, these will do:
[ -e "$DATA/postgresql.conf" ] || printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '/tmp'" "port = 5433" > "$DATA/postgresql.conf"
[ -e "$DATA/pg_hba.conf" ] || echo 'local all all peer' > "$DATA/pg_hba.conf"
[ -e "$DATA/pg_ident.conf" ] || : > "$DATA/pg_ident.conf"
# The server starts as the owner of its files only, who must reach them through every folder above:
chown -R postgres: restored/data && chmod 755 restored
# (With settings of its own in it, look at port, listen_addresses and archive_command first.)
# (If this is the backup of a standby: rm "$DATA/standby.signal" makes it a server of its own.)
runuser -u postgres -- /usr/lib/postgresql/$V/bin/pg_ctl -D "$DATA" -l "$DATA/start.log" -w -t 600 start
# With the settings above, look at it with: runuser -u postgres -- psql -h /tmp -p 5433 -l"#,
    )
}

fn dumps() -> Vec<String> {
    lines(
        r#"# restored/data/roles.sql holds the roles, restored/data/databases a dump of each database, for a
# running server of that version or a newer one. As its superuser, in this folder ("already exists" for
# roles that are there is no harm):
psql -d postgres -f restored/data/roles.sql
for D in restored/data/databases/*.dump; do [ "${D##*/}" = postgres.dump ] || pg_restore --exit-on-error --create -d postgres "$D"; done
# What was in the database postgres itself:
pg_restore -d postgres restored/data/databases/postgres.dump"#,
    )
}

/// How what Coffer restored to `target` comes into use.
pub(super) fn next_steps(target: &Path) -> Vec<String> {
    let data = target.join(DATA_FOLDER);
    let version = std::fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
    let version = match version.trim() {
        "" => "15",
        version => version,
    };
    let data = shell_quoted(&data.display().to_string());
    let whole = shell_quoted(&target.display().to_string());
    let mut steps = vec![
        "# Start a server on it, as root; its user must be able to enter the folders above:"
            .to_owned(),
        format!("chown -R postgres: {whole}"),
    ];
    let missing = |name: &str| !target.join(DATA_FOLDER).join(name).exists();
    if missing("postgresql.conf") {
        steps.push(
            "# Debian keeps the settings in /etc; copy yours, or begin with these:".to_owned(),
        );
        steps.push(format!(
            "printf '%s\\n' \"listen_addresses = ''\" \"unix_socket_directories = '/tmp'\" \"port = 5433\" \
             > {data}/postgresql.conf"
        ));
    }
    if !missing("postgresql.conf") {
        steps.push(
            "# Its settings are the original's: look at port, listen_addresses and archive_command first."
                .to_owned(),
        );
    }
    if missing("pg_hba.conf") {
        steps.push(format!("echo 'local all all peer' > {data}/pg_hba.conf"));
    }
    if !missing("standby.signal") {
        steps.push("# It is of a standby; to make it a server of its own:".to_owned());
        steps.push(format!("rm {data}/standby.signal"));
    }
    steps.push(format!(
        "runuser -u postgres -- /usr/lib/postgresql/{version}/bin/pg_ctl -D {data} -l {data}/start.log -w start"
    ));
    if !missing("../tablespaces") {
        steps.push(
            "# Its tablespaces are linked by their whole paths: do not move the folder.".to_owned(),
        );
    }
    steps
}

/// A path as a shell takes it.
fn shell_quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
