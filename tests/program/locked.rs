//! Locked copies: nobody removes or replaces them before their time, who has the keys of the machine included.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use crate::servers::s3::{KEYS, S3Server};
use crate::support::{TestServer, id_of, wait_until};

const UNTIL: &str = "x-amz-object-lock-retain-until-date";

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

/// What somebody with the keys of the machine asks of the store. The server of the tests takes any signature of them.
fn ask(method: &str, url: &str, body: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(url);
    let request = request.header("authorization", format!("AWS {}:signature", KEYS[0].1));
    agent().run(request.body(body.to_owned()).unwrap()).unwrap()
}

fn change(path: &Path) {
    let sql =
        "CREATE TABLE IF NOT EXISTS row(data BLOB); INSERT INTO row VALUES (randomblob(9000))";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn start(path: &Path, store: &S3Server, bucket: &str) -> TestServer {
    let place = format!(
        "[[places]]\nname = \"offsite\"\ntype = \"s3\"\nendpoint = \"{}\"\nbucket = \"{bucket}\"\nlock = \"30 days\"\n",
        store.base()
    );
    let builder = TestServer::builder().instance_sqlite("shop", path);
    let builder = builder.toml("copies = [\"offsite\"]").toml(&place);
    let builder = builder.setting("storage.trash_window_s", "0").allow_warning("to offsite failed");
    KEYS.iter().fold(builder, |builder, (name, value)| builder.env(name, value)).start()
}

fn copied(server: &TestServer, backup: &Value) -> Value {
    wait_until("the locked copy", || {
        let backup = server.admin().backup(id_of(backup));
        let copy = &backup["copies"][0];
        (copy["state"] == "proven" && copy["locked_until"].is_string()).then_some(backup)
    })
}

/// The address of the archive of a backup in the bucket.
fn address(server: &TestServer, store: &S3Server, backup: &Value) -> String {
    let archive = crate::support::archive_of(backup);
    let below = archive.strip_prefix(server.data_dir()).unwrap();
    format!("{}/locking/{}", store.base(), below.display())
}

fn header(answer: &Response<Body>, name: &str) -> String {
    answer.headers().get(name).map_or(String::new(), |it| it.to_str().unwrap().to_owned())
}

#[test]
fn with_the_keys_of_a_stolen_machine_no_locked_copy_is_removed_or_replaced() {
    let store = S3Server::start();
    store.make_locking_bucket("locking");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    change(&path);
    let server = start(&path, &store, "locking");
    let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("the bucket locking can lock objects"), "{doctor}");
    let full = server.admin().full("shop");
    copied(&server, &full);
    change(&path);
    let incremental = server.admin().incremental("shop");
    let shown = copied(&server, &incremental);
    let until = shown["copies"][0]["locked_until"].as_str().unwrap().to_owned();
    let addresses = [&full, &incremental].map(|it| address(&server, &store, it));
    let heads = addresses.each_ref().map(|it| ask("HEAD", it, ""));
    for head in &heads {
        assert_eq!(header(head, "x-amz-object-lock-mode"), "COMPLIANCE");
        // What a backup is built on is locked for as long as it is.
        assert!(header(head, UNTIL).starts_with(&until), "{head:?}: {until}");
    }
    for (at, head) in addresses.iter().zip(&heads) {
        let version = header(head, "x-amz-version-id");
        let exact = format!("{at}?versionId={version}");
        let before = ask("GET", &exact, "").body_mut().read_to_vec().unwrap();
        let refused = ask("DELETE", &exact, "");
        assert_eq!(refused.status(), 403, "{refused:?}");
        assert!(ask("PUT", at, "ransom").status().is_success(), "another version lies over it");
        ask("DELETE", at, "");
        let after = ask("GET", &exact, "").body_mut().read_to_vec().unwrap();
        assert!(before == after && !before.is_empty(), "what was locked is still there");
    }
}

#[test]
fn a_bucket_that_cannot_lock_or_deletes_what_is_locked_is_a_problem_before_the_first_copy() {
    let store = S3Server::start();
    store.make_bucket("plain");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    change(&path);
    let server = start(&path, &store, "plain");
    let rules = "<LifecycleConfiguration><Rule><ID>old</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
                 <Expiration><Days>7</Days></Expiration></Rule></LifecycleConfiguration>";
    let put = ask("PUT", &format!("{}/plain?lifecycle", store.base()), rules);
    assert!(put.status().is_success(), "{put:?}");
    let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    let is_problem = |what: &str| {
        doctor.lines().any(|it| it.contains("PROBLEM   place offsite") && it.contains(what))
    };
    assert!(is_problem("the bucket plain cannot lock objects"), "{doctor}");
    assert!(is_problem("deletes archives after 7 days"), "{doctor}");
    let backup = server.admin().full("shop");
    wait_until("the refusal", || {
        let copy = server.admin().backup(id_of(&backup))["copies"][0].take();
        (copy["state"] == "failed").then_some(())
    });
}
