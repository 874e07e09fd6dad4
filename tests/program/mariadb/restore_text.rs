//! Restores by the commands in an archive's RESTORE.txt alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::chains::{ZOOS, zoo};
use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, archive_of, restore_text, run_script};

/// The commands in an archive's RESTORE.txt: to unpack it, and to start or load the result.
fn commands(archive: &Path) -> Vec<String> {
    let text = restore_text(archive);
    text.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| line.strip_prefix("#   ").unwrap_or(line).to_owned())
        .collect()
}

/// A folder with the archive in it that the server's own user may enter.
fn beside(archive: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::copy(archive, folder.path().join(archive.file_name().unwrap())).unwrap();
    folder
}

#[test]
fn a_physical_backup_is_started_by_the_commands_in_its_archive() {
    let zoo = zoo();
    let server =
        TestServer::builder().instance_of("zoo", "mariadb", &source(&zoo, ""), "quick").start();
    let archive = archive_of(&server.admin().full("zoo"));
    let folder = beside(&archive);
    let datadir = folder.path().join("datadir");
    let script = commands(&archive).join("\n");
    assert!(script.contains("/path/of/the/datadir/try.sock"), "{script}");
    let script = script.replace("/path/of/the/datadir", datadir.to_str().unwrap());
    let dump = "mariadb-dump --no-defaults --socket=datadir/try.sock --user=root --skip-dump-date \
         --order-by-primary --routines --events --triggers --skip-extended-insert --databases zoo 'Tür-zu.1' SYS";
    let stop = "mariadb-admin --no-defaults --socket=datadir/try.sock --user=root shutdown";
    // If they shared this script's output, the test would wait for their end.
    let script = script.replace("--skip-networking &", "--skip-networking >log 2>&1 &");
    let said =
        run_script(&format!("exec 3>&1 >&2\n{script}\n{dump} >&3\n{stop}\nwait"), folder.path());
    assert!(said == zoo.dump(&ZOOS), "not the same: {}", said.len());
}

#[test]
fn dumps_are_loaded_by_the_commands_in_their_archive() {
    let zoo = zoo();
    zoo.sql(
        "CREATE USER keeper@localhost IDENTIFIED BY 'x'; GRANT SELECT ON zoo.* TO keeper@localhost",
    );
    let server = TestServer::builder()
        .instance_of("zoo", "mysql", &source(&zoo, ", method = \"logical\""), "quick")
        .start();
    let archive = archive_of(&server.admin().full("zoo"));
    let folder = beside(&archive);
    let other = MariaDb::start();
    let socket = other.socket();
    let client = format!("mariadb --no-defaults --user=root --socket={}", socket.display());
    let script = commands(&archive).join("\n").replace("mariadb --", &format!("{client} --"));
    run_script(&script, folder.path());
    assert!(other.dump(&ZOOS) == zoo.dump(&ZOOS));
    let grants = "SHOW GRANTS FOR keeper@localhost";
    assert_eq!(other.sql(grants), zoo.sql(grants));
}
