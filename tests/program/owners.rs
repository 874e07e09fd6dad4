//! Two servers that would copy to the same place: the second one is refused, and goes on only once a person says that it
//! continues the first.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::servers::s3::{KEYS, S3Server};
use crate::servers::swift::{LOGIN, SwiftServer};
use crate::support::{Builder, TestServer, id_of, stderr_of, wait_until};

fn builder(folder: &Path, place: &str, environment: &[(&str, &str)]) -> Builder {
    let path = folder.join("shop.db");
    let rows = "CREATE TABLE row(data BLOB); INSERT INTO row VALUES (randomblob(3000));";
    Connection::open(&path).unwrap().execute_batch(rows).unwrap();
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let builder = builder.toml("copies = [\"offsite\"]");
    let builder = builder.toml(&format!("[[places]]\nname = \"offsite\"\n{place}"));
    environment.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
}

fn wait_for_copy(server: &TestServer, backup: &Value, state: &str) -> Value {
    wait_until(&format!("the copy to be {state}"), || {
        let copy = server.admin().backup(id_of(backup))["copies"][0].take();
        (copy["state"] == state).then_some(copy)
    })
}

fn stdout(server: &TestServer, arguments: &[&str]) -> String {
    String::from_utf8(server.run(arguments).stdout).unwrap()
}

/// `key` is the one that the second of them has to change.
fn the_second_is_refused(place: &str, environment: &[(&str, &str)], key: &str) {
    let [one, two]: [TempDir; 2] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = builder(one.path(), place, environment).start();
    let kept = first.admin().full("shop");
    wait_for_copy(&first, &kept, "proven");
    let mut second = builder(two.path(), place, environment)
        .allow_warning("to offsite failed")
        .setting("storage.trash_window_s", "0")
        .start();
    let doctor = stdout(&second, &["doctor"]);
    let backup = second.admin().full("shop");
    let failure = wait_for_copy(&second, &backup, "failed");
    let failure = failure["failure"]["message"].as_str().unwrap();
    let line = "coffer catalog take-over --place offsite";
    for said in [failure, &doctor] {
        assert!(said.contains("is where the data directory") && said.contains(line), "{said}");
        assert!(said.contains(&format!("set {key} in its [[places]]")), "{said}");
    }
    assert!(doctor.contains("PROBLEM   place offsite"), "{doctor}");
    assert!(stdout(&first, &["catalog", "take-over", "--place", "offsite"]).contains("No other"));
    let unknown = second.run(&["catalog", "take-over", "--place", "nowhere"]);
    assert!(stderr_of(&unknown).contains("there are: offsite"), "{}", stderr_of(&unknown));
    // Nothing of the second one came there, and nothing of the first one is gone.
    let listed = stdout(&first, &["list", "--from", "offsite", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1, "{listed:#}");
    assert_eq!(listed["backups"][0]["id"], kept["id"]);

    let said = stdout(&second, &["catalog", "take-over", "--place", "offsite"]);
    assert!(said.contains("is that of this one now"), "{said}");
    second.terminate();
    second.restart();
    wait_for_copy(&second, &backup, "proven");
    let doctor = stdout(&first, &["doctor"]);
    assert!(doctor.contains(line), "now the first one is refused: {doctor}");
}

#[test]
fn a_second_server_is_refused_in_the_folder_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let place = format!("type = \"disk\"\npath = {:?}\nsame_disk = true\n", folder.path());
    the_second_is_refused(&place, &[], "path");
}

#[test]
fn a_second_server_is_refused_below_the_prefix_of_another_in_a_bucket() {
    let store = S3Server::start();
    store.make_bucket("backups");
    let base = store.base();
    let place = format!(
        "type = \"s3\"\nendpoint = \"{base}\"\nbucket = \"backups\"\nprefix = \"shop-1\"\n"
    );
    the_second_is_refused(&place, &KEYS, "prefix");
}

#[test]
fn a_second_server_is_refused_below_the_prefix_of_another_in_swift() {
    let store = SwiftServer::start();
    store.make_container("backups");
    let place = format!(
        "type = \"swift\"\nauth_url = \"{}\"\ncontainer = \"backups\"\nprefix = \"shop-1\"\n",
        store.auth_url()
    );
    the_second_is_refused(&place, &LOGIN, "prefix");
}
