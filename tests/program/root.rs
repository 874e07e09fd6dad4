//! Commands that root runs, as README says, on the data directory of the user that the server runs as: everything in it stays that
//! user's, and the server goes on.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{TestServer, UNPRIVILEGED, files_below, id_of, stderr_of, wait_until};

/// A server of an ordinary user, and a backup of its database.
fn server_of_a_user(folder: &Path) -> (TestServer, Value) {
    let path = folder.join("shop.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE item(name)").unwrap();
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let server = TestServer::builder().instance_sqlite("shop", &path).unprivileged().start();
    let made = server.admin().full("shop");
    (server, made)
}

/// What in the data directory is not that of its owner.
fn of_others(server: &TestServer) -> Vec<String> {
    let owner = server.data_dir().metadata().unwrap().uid();
    let files = files_below(server.data_dir());
    let all = files.iter().flat_map(|it| it.ancestors().take_while(|it| *it != server.data_dir()));
    let others = all.filter(|it| it.symlink_metadata().is_ok_and(|it| it.uid() != owner));
    let mut names: Vec<String> = others.map(|it| it.display().to_string()).collect();
    names.dedup();
    names
}

#[test]
fn what_root_verifies_drills_and_brings_back_stays_that_of_the_servers_user() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, made) = server_of_a_user(folder.path());
    if rustix::process::geteuid().is_root() {
        assert_eq!(server.data_dir().metadata().unwrap().uid(), UNPRIVILEGED);
    }
    for command in ["verify", "drill"] {
        server.run_ok(&[command, id_of(&made)]);
        assert_eq!(of_others(&server), [""; 0], "{command}");
    }
    let client = server.admin();
    client.delete(&format!("backups/{}", id_of(&made))).with_status(202);
    client.wait_until_gone(id_of(&made));
    wait_until("the command to bring it back", || {
        server.run(&["undelete", id_of(&made)]).status.success().then_some(())
    });
    assert_eq!(of_others(&server), [""; 0], "undelete");
    assert_eq!(client.incremental("shop")["parent_id"], made["id"], "the server goes on");
    server.restart();
    server.admin().full("shop");
}

#[test]
fn a_catalog_that_root_rebuilds_is_that_of_the_servers_user() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, made) = server_of_a_user(folder.path());
    assert!(server.terminate().success());
    for name in ["catalog.db", "catalog.ballast", "lock"] {
        std::fs::remove_file(server.data_dir().join(name)).unwrap();
    }
    let rebuilt = server.run(&["catalog", "rebuild"]);
    assert!(rebuilt.status.success(), "{}", stderr_of(&rebuilt));
    assert_eq!(of_others(&server), [""; 0]);
    server.restart();
    assert_eq!(server.admin().backup(id_of(&made))["status"], "COMPLETED");
}
