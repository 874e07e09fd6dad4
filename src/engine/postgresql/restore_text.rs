//! Instructions: how to use what was restored.

use std::path::Path;

use super::cluster::{DATA_FOLDER, DUMPS};
use super::options::{KIND, Method};
use crate::domain::Source;
use crate::domain::shell_word;

/// The options of a server that is started to look at the data: whatever its settings say, it is on this data and
/// reaches nothing of the original. `pg_ctl` gives them to a shell, in which `PGDATA` is the data directory.
const PRIVATE: &str = "-p 5433 -k /tmp -c listen_addresses= -c ssl=off -c archive_mode=off \
    -c max_logical_replication_workers=0 -c primary_conninfo= -c archive_cleanup_command= -c recovery_end_command= \
    -c external_pid_file= -c shared_preload_libraries= -c session_preload_libraries= -c logging_collector=off -c data_directory=\"$PGDATA\" \
    -c hba_file=\"$PGDATA\"/pg_hba.conf -c ident_file=\"$PGDATA\"/pg_ident.conf";

/// The last version that keeps its statistics in a folder that the settings name, and one option more for those.
const NAMED_STATISTICS: u32 = 14;
const OWN_STATISTICS: &str = " -c stats_temp_directory=pg_stat_tmp";

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
    let start = format!(
        r#"O='{PRIVATE}'
[ "$V" -gt {NAMED_STATISTICS} ] || O="$O{OWN_STATISTICS}"
runuser -u postgres -- /usr/lib/postgresql/$V/bin/pg_ctl -D "$DATA" -l "$DATA/start.log" -o "$O" -w -t 600 start
# Connect with: runuser -u postgres -- psql -h /tmp -p 5433 -l"#
    );
    let mut text = lines(
        r#"# The data directory is restored/data/pgdata. As root, in this folder, with a PostgreSQL server of
# its version installed (apt install postgresql-$(cat restored/data/pgdata/PG_VERSION)):
V=$(cat restored/data/pgdata/PG_VERSION); DATA=$(realpath restored/data/pgdata)
# Make the links to tablespaces, if there are any, absolute:
for T in restored/data/tablespaces/*/; do [ -d "$T" ] && ln -sfn "$(realpath "$T")" "$DATA/pg_tblspc/$(basename "$T")"; done
# Debian keeps the settings in /etc/postgresql, not in the data directory. If Coffer could read them, they are in
# restored/data/settings. To look at the data, start with these:
[ -e "$DATA/postgresql.conf" ] || printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '/tmp'" "port = 5433" > "$DATA/postgresql.conf"
[ -e "$DATA/pg_hba.conf" ] || echo 'local all all peer' > "$DATA/pg_hba.conf"
[ -e "$DATA/pg_ident.conf" ] || : > "$DATA/pg_ident.conf"
# The server runs as the owner of its files, who must be able to enter every folder above them:
chown -R postgres: restored/data && chmod 755 restored
# (If this is the backup of a standby, rm "$DATA/standby.signal" makes it a primary.)
# These options keep it from the original's data, log, socket, port, WAL archive, publishers and primary, and it runs
# no workers of extensions. Without them, it takes the original's place:"#,
    );
    text.extend(lines(&start));
    text
}

fn dumps() -> Vec<String> {
    lines(
        r#"# restored/data/roles.sql holds the roles, restored/data/databases a dump of each database. Restore them
# into a running server of the same version or newer. As its superuser, in this folder (ignore "already
# exists" for roles):
export PGOPTIONS="-c lc_monetary=C -c array_nulls=on"   # whatever a database sets: the dumps are written like this
psql -d postgres -f restored/data/roles.sql
for D in restored/data/databases/*.dump; do case "${D##*/}" in postgres.dump|template1.dump) ;; *) pg_restore --exit-on-error --create -d postgres "$D";; esac; done
# The content of the databases that every server has:
for D in postgres template1; do [ ! -e restored/data/databases/$D.dump ] || pg_restore -d $D restored/data/databases/$D.dump; done
# Settings of all roles, tablespaces, and databases that accept no connections, if there are any, for a new server:
#   psql -d postgres -f restored/data/server.sql
# What only a superuser's dump holds is in restored/data/databases/NAME.sql, if there is any: psql -d NAME -f it.
# The server's settings are in restored/data/settings, if Coffer could read them."#,
    )
}

/// For what Coffer restored to `target`.
pub(super) fn next_steps(target: &Path) -> Vec<String> {
    let data = target.join(DATA_FOLDER);
    if !data.exists() {
        return vec![
            "# Dumps with zeros where bytes were lost, and so not loaded. What can be read of one as SQL:"
                .to_owned(),
            format!("# pg_restore -f NAME.sql {}/NAME.dump", shell_word(target.join(DUMPS))),
        ];
    }
    let version = std::fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
    let version = match version.trim() {
        "" => "15",
        version => version,
    };
    let (data, all) = (shell_word(&data), shell_word(target));
    let mut steps = vec![
        "# As root, start a server on it. Its user must be able to enter every folder above it:"
            .to_owned(),
        format!("chown -R postgres: {all}"),
    ];
    let missing = |name: &str| !target.join(DATA_FOLDER).join(name).exists();
    if missing("postgresql.conf") {
        steps.push(if missing("../settings") {
            "# Debian keeps the settings in /etc; copy yours, or start with these:".to_owned()
        } else {
            "# Debian keeps the settings in /etc; they are in the folder settings. To look at the data:"
                .to_owned()
        });
        steps.push(format!(
            "printf '%s\\n' \"listen_addresses = ''\" \"unix_socket_directories = '/tmp'\" \"port = 5433\" \
             > {data}/postgresql.conf"
        ));
    }
    if missing("pg_hba.conf") {
        steps.push(format!("echo 'local all all peer' > {data}/pg_hba.conf"));
    }
    if !missing("standby.signal") {
        steps.push("# This is the backup of a standby; to make it a primary:".to_owned());
        steps.push(format!("rm {data}/standby.signal"));
    }
    steps.push(
        "# The options keep it from the original's data, log, socket, port, WAL archive, publishers and primary, and it \
         runs no workers of extensions. Without them, it takes the original's place:"
            .to_owned(),
    );
    let named = version.parse::<u32>().is_ok_and(|it| it <= NAMED_STATISTICS);
    let more = if named { OWN_STATISTICS } else { "" };
    steps.push(format!(
        "runuser -u postgres -- /usr/lib/postgresql/{version}/bin/pg_ctl -D {data} -l {data}/start.log \
         -o '{PRIVATE}{more}' -w start"
    ));
    if !missing("../tablespaces") {
        steps.push(
            "# The links to its tablespaces are absolute: do not move the folder.".to_owned(),
        );
    }
    steps
}
