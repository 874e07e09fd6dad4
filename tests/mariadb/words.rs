//! The words an archive carries, followed by somebody who has only them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::chains::{ZOOS, zoo};
use super::house::{archive_of, shell, source};
use super::server::MariaDb;
use super::support::TestServer;

/// The commands in an archive's RESTORE.txt: those that unpack it, and those that the engine advises.
fn commands(archive: &Path) -> Vec<String> {
    let words = format!("zstd -dc '{}' | tar -xOf - .coffer/RESTORE.txt", archive.display());
    let words = shell(&words, Path::new("/"));
    words
        .lines()
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
fn a_full_backup_starts_by_the_commands_of_its_own_restore_text() {
    let zoo = zoo();
    let server =
        TestServer::builder().instance_of("zoo", "mariadb", &source(&zoo, ""), "quick").start();
    let archive = archive_of(&server.by_admin().full("zoo"));
    let folder = beside(&archive);
    let datadir = folder.path().join("datadir");
    let script = commands(&archive).join("\n");
    assert!(script.contains("/path/of/the/datadir/try.sock"), "{script}");
    let script = script.replace("/path/of/the/datadir", datadir.to_str().unwrap());
    let dump = "mariadb-dump --no-defaults --socket=datadir/try.sock --user=root --skip-dump-date \
         --order-by-primary --routines --events --triggers --skip-extended-insert --databases zoo 'Tür-zu.1' SYS";
    let stop = "mariadb-admin --no-defaults --socket=datadir/try.sock --user=root shutdown";
    // Their output is not this script's: it would be waited for.
    let script = script.replace("--skip-networking &", "--skip-networking >log 2>&1 &");
    let said = shell(&format!("exec 3>&1 >&2\n{script}\n{dump} >&3\n{stop}\nwait"), folder.path());
    assert!(said == zoo.dump(&ZOOS), "not the same: {}", said.len());
}

#[test]
fn dumps_are_loaded_by_the_commands_of_their_own_restore_text() {
    let zoo = zoo();
    zoo.sql(
        "CREATE USER keeper@localhost IDENTIFIED BY 'x'; GRANT SELECT ON zoo.* TO keeper@localhost",
    );
    let server = TestServer::builder()
        .instance_of("zoo", "mysql", &source(&zoo, ", method = \"logical\""), "quick")
        .start();
    let archive = archive_of(&server.by_admin().full("zoo"));
    let folder = beside(&archive);
    let other = MariaDb::start();
    let socket = other.socket();
    let client = format!("mariadb --no-defaults --user=root --socket={}", socket.display());
    let script = commands(&archive).join("\n").replace("mariadb --", &format!("{client} --"));
    shell(&script, folder.path());
    assert!(other.dump(&ZOOS) == zoo.dump(&ZOOS));
    let grants = "SHOW GRANTS FOR keeper@localhost";
    assert_eq!(other.sql(grants), zoo.sql(grants));
}
