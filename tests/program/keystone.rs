//! A server that takes tokens of Keystone: before Keystone is there, with it, and after.

use std::process::Command;

use serde_json::Value;

use crate::receivers::{IdentityServer, Manner};
use crate::support::{PROJECT, TestServer, wait_until};

/// What the doctor finds of Keystone.
fn finding(server: &TestServer) -> Value {
    let output = server.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut all = report["findings"].as_array().unwrap().iter();
    all.find(|it| it["check"] == "keystone").unwrap().clone()
}

fn notices(server: &TestServer) -> String {
    server.anonymous().get(&format!("{}/healthcheck", server.base())).with_status(200).json()["notices"]
        .to_string()
}

#[test]
fn a_server_starts_without_keystone_says_so_and_takes_its_tokens_once_it_is_there() {
    let keystone = IdentityServer::start();
    let (address, url) = (keystone.address(), keystone.url());
    drop(keystone);
    let mut server = TestServer::builder()
        .no_tokens()
        .setting("auth.mode", "keystone")
        .setting("auth.keystone.auth_url", &url)
        .setting("auth.keystone.cache_s", "1")
        .start();
    server.allow_warning("Keystone does not answer");
    server.log().wait_for("Keystone does not answer", 0).unwrap();
    assert!(notices(&server).contains(&url), "{}", notices(&server));
    let found = finding(&server);
    assert_eq!(found["level"], "warning", "{found}");
    assert!(found["found"].as_str().unwrap().contains(&url), "{found}");
    // The first admin token, and what finds it by itself, need no Keystone.
    assert_eq!(server.admin().get("backups").status, 200);
    server.run_ok(&["list"]);
    let socket = server.data_dir().join("coffer.sock");
    let curl = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
        .arg("--unix-socket")
        .arg(&socket)
        .arg(format!("http://localhost/v1.0/{PROJECT}/backups"))
        .args(["-H", "X-Auth-Token: mias-token"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "503");

    let keystone = IdentityServer::start_at(address);
    keystone.add("mias-token", PROJECT, &["member"]);
    let mia = server.anonymous().with_token("mias-token");
    wait_until("its tokens are taken", || (mia.get("backups").status == 200).then_some(()));
    assert_eq!(notices(&server), "[]");
    let found = finding(&server);
    assert_eq!(found["level"], "ok", "{found}");
    assert!(found["found"].as_str().unwrap().contains("v3.14"), "{found}");

    keystone.revoke("mias-token");
    wait_until("the token ends", || (mia.get("backups").status == 401).then_some(()));
    keystone.add("anns-token", PROJECT, &["reader"]);
    keystone.answer(Manner::Status(500, String::new()));
    server.allow_warning("Keystone cannot check tokens: it answers 500");
    let (fault, message) = server.anonymous().with_token("anns-token").get("backups").fault(503);
    assert_eq!(fault, "serviceUnavailable");
    assert!(message.contains("it answers 500"), "{message}");
    let log = server.log().text();
    assert!(!log.contains("mias-token") && !log.contains("anns-token"), "{log}");
}

#[test]
fn a_configuration_without_the_address_of_keystone_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_coffer"));
    doctor
        .env("COFFER__DATA_DIR", folder.path().join("data"))
        .env("COFFER__AUTH__MODE", "keystone");
    let output = doctor.args(["doctor", "--config", "/dev/null"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("auth.keystone.auth_url is empty"), "{said}");
}
