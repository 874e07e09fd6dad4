//! Physical backups: databases, tablespaces, large objects, and every way to restore them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::fixture::{NAME, coffer_for, start_restored};
use super::postgres::{Postgres, Setup, bin, server_user};
use crate::support::{archive_of, id_of, write_file};

/// Two tablespaces, several databases, a large object, an unlogged table, a name that needs quotes.
fn plant(server: &Postgres) {
    for name in ["fast", "slow"] {
        let folder = server.tablespace_folder(name);
        server
            .sql("postgres", &format!("CREATE TABLESPACE {name} LOCATION '{}'", folder.display()));
    }
    server.sql(
        "postgres",
        "CREATE ROLE clerk LOGIN PASSWORD 'x'; CREATE DATABASE \"the \"\"shop\" TABLESPACE slow OWNER clerk;
         CREATE DATABASE empty;",
    );
    server.sql(
        "the \"shop",
        "CREATE TABLE item(id int PRIMARY KEY, t text) TABLESPACE fast;
         INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 20000) n;
         CREATE INDEX ON item(t) TABLESPACE slow;
         CREATE UNLOGGED TABLE fleeting(id int);
         CREATE MATERIALIZED VIEW few AS SELECT * FROM item WHERE id < 10;
         CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
         SELECT lo_from_bytea(4711, decode(repeat('ab', 9000), 'hex'));",
    );
}

/// Tablespaces stand in a dump with their folders, which are others in a restore.
fn comparable(dump: &str) -> String {
    let lines = dump.lines().filter(|line| !line.starts_with("CREATE TABLESPACE"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_server_restores_to_the_same_dump() {
    for checksums in [true, false] {
        let server = Postgres::with(&Setup { checksums, ..Setup::default() });
        plant(&server);
        let coffer = coffer_for(&server, "").start();
        let client = coffer.admin();
        let full = client.full(NAME);
        server.sql("the \"shop", "UPDATE item SET t = 'new' WHERE id % 500 = 0");
        let incremental = client.incremental(NAME);
        let before = comparable(&server.dump_all());
        let restored = start_restored(&coffer, &incremental);
        let after = comparable(&restored.dump_all());
        assert!(before == after, "the dumps differ");
        assert!(comparable(&start_restored(&coffer, &full).dump_all()) != after);
        let setting = if checksums { "on\n" } else { "off\n" };
        assert_eq!(restored.sql("postgres", "SHOW data_checksums"), setting);
    }
}

#[test]
fn a_restore_through_the_api_creates_a_data_directory_that_starts() {
    let server = Postgres::new();
    server.sql("postgres", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
    let coffer = coffer_for(&server, "").start();
    let client = coffer.admin();
    let full = client.full(NAME);
    let body = json!({"instance": {
        "name": "again", "flavorRef": "1", "restorePoint": {"backupRef": id_of(&full)},
        "datastore": {"type": "postgresql"},
    }});
    let made = client.post("instances", &body).with_status(200).json();
    let instance = made["instance"]["id"].as_str().unwrap();
    let row = client.wait_for_instance(instance, &["ACTIVE", "ERROR", "FAILED"]);
    assert_eq!(row["status"], "ACTIVE", "{row:#}");
    let folders = coffer.data_dir().join("restored");
    let found =
        Command::new("find").arg(&folders).args(["-path", "*pgdata/PG_VERSION"]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let data = Path::new(found.trim()).parent().unwrap();
    // Only Coffer may enter its folder; the report says to give it to the server's user.
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(data.parent().unwrap())
        .arg(home.path().join("r"))
        .status();
    assert!(copied.unwrap().success());
    let again = Postgres::on(&home.path().join("r/pgdata"));
    assert_eq!(again.sql("postgres", "SELECT count(*) FROM t"), "1000\n");
    client.delete(&format!("instances/{instance}")).with_status(202);
}

/// Runs the commands of RESTORE.txt, as root, in a folder with the archive.
fn follow(archive: &Path, folder: &Path) {
    let name = archive.file_name().unwrap().to_str().unwrap();
    std::fs::copy(archive, folder.join(name)).unwrap();
    let words = bash(&format!("zstd -dc {name} | tar -xOf - .coffer/RESTORE.txt"), folder);
    let lines = words.lines().filter_map(|line| line.strip_prefix("    "));
    let commands: Vec<&str> = lines
        .filter_map(|line| match line.strip_prefix('#') {
            None => Some(line),
            // Advice is a command after `#` and three spaces; a sentence has one space.
            Some(advice) => advice.strip_prefix("   "),
        })
        .collect();
    assert!(commands.len() > 5, "{words}");
    bash(&commands.join("\n"), folder);
}

#[track_caller]
fn bash(script: &str, folder: &Path) -> String {
    // The server that the commands start keeps running, and must not keep a pipe open.
    let (out, err) = (folder.join("out"), folder.join("err"));
    let file =
        |path: &Path| std::fs::File::options().create(true).truncate(true).write(true).open(path);
    let status = Command::new("bash")
        .args(["-eo", "pipefail", "-c", script])
        .current_dir(folder)
        .stdout(file(&out).unwrap())
        .stderr(file(&err).unwrap())
        .status()
        .unwrap();
    let stderr = std::fs::read_to_string(err).unwrap();
    assert!(status.success(), "{script}\n{stderr}");
    std::fs::read_to_string(out).unwrap()
}

/// The commands of every restore use the same port and folder for the socket.
static PORT: Mutex<()> = Mutex::new(());

/// Stops the server that the commands have started.
struct Started {
    data: PathBuf,
    _port: MutexGuard<'static, ()>,
}

impl Started {
    /// Before the commands are run that start it on this data.
    fn on(data: PathBuf) -> Self {
        Self { data, _port: PORT.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let stop = Command::new("runuser")
            .args(["-u", "postgres", "--"])
            .arg(bin().join("pg_ctl"))
            .arg("-D")
            .arg(&self.data)
            .args(["-m", "immediate", "-w", "stop"])
            .stdout(Stdio::null())
            .status();
        stop.map(drop).unwrap_or_default();
    }
}

#[test]
fn the_commands_of_the_archive_and_of_a_restore_start_a_debian_server() {
    assert!(
        server_user().is_some(),
        "this test starts a server as another user and must run as root"
    );
    let server = Postgres::with(&Setup { as_debian: true, ..Setup::default() });
    plant(&server);
    let coffer = coffer_for(&server, "").start();
    let full = coffer.admin().full(NAME);
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let stopped = Started::on(folder.path().join("restored/data/pgdata"));
    follow(&archive_of(&full), folder.path());
    let ask = "runuser -u postgres -- psql -h /tmp -p 5433 -XAt -d 'the \"shop' \
        -c 'SELECT count(*), count(DISTINCT t), length(lo_get(4711)) FROM item'";
    assert_eq!(bash(ask, folder.path()), "20000|20000|9000\n");
    drop(stopped);

    let target = folder.path().join("it's here");
    let to = target.to_str().unwrap();
    let output = coffer.run_ok(&["restore", id_of(&full), "--to", to, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let next = report["next"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    let stopped = Started::on(target.join("pgdata"));
    bash(&next.collect::<Vec<_>>().join("\n"), folder.path());
    assert_eq!(bash(ask, folder.path()), "20000|20000|9000\n");
    drop(stopped);
}

#[test]
fn the_printed_commands_reach_nothing_of_the_original_whatever_its_settings_name() {
    let mut server = Postgres::new();
    server.sql("postgres", "CREATE TABLE t AS SELECT 1 AS n");
    let settings = server.data().join("postgresql.conf");
    let at = |path: &Path| path.display().to_string();
    let pid_file = server.folder().join("external.pid");
    let named = format!(
        "data_directory = '{}'\nexternal_pid_file = '{}'\nlog_directory = '{}'\nlogging_collector = on\n\
         hba_file = '{}/gone.conf'\n",
        at(server.data()),
        at(&pid_file),
        at(&server.folder().join("logs")),
        at(server.folder()),
    );
    let text = std::fs::read_to_string(&settings).unwrap() + &named;
    server.stop();
    write_file(&settings, text);
    server.start();
    let coffer = coffer_for(&server, "").start();
    let full = coffer.admin().full(NAME);
    server.stop();
    let logs = || std::fs::read_dir(server.folder().join("logs")).unwrap().count();
    let before = logs();

    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let shown = |data: &Path| {
        let ask =
            "runuser -u postgres -- psql -h /tmp -p 5433 -XAt -d postgres -c 'SHOW data_directory'";
        assert_eq!(bash(ask, folder.path()).trim_end(), at(data));
        assert!(!pid_file.exists() && logs() == before);
    };
    let data = folder.path().join("restored/data/pgdata");
    let stopped = Started::on(data.clone());
    follow(&archive_of(&full), folder.path());
    shown(&data);
    drop(stopped);

    let target = folder.path().join("it's here");
    let output =
        coffer.run_ok(&["restore", id_of(&full), "--to", target.to_str().unwrap(), "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let next: Vec<&str> =
        report["next"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    // As if this machine lacked an extension that the original loaded when it started.
    let settings = target.join("pgdata/postgresql.conf");
    let text = std::fs::read_to_string(&settings).unwrap();
    write_file(
        &settings,
        text + "shared_preload_libraries = 'gone'\nsession_preload_libraries = 'gone'\n",
    );
    let stopped = Started::on(target.join("pgdata"));
    bash(&next.join("\n"), folder.path());
    shown(&target.join("pgdata"));
    drop(stopped);
}
