//! `coffer user`, and signing in to the server beside it.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Client, PROJECT, TestServer, stderr_of, wait_until, write_file};

/// Runs a command with this on its standard input.
fn typed(server: &TestServer, arguments: &[&str], text: &str) -> Output {
    let mut command = server.command(arguments);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn ok(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr_of(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Signs in; the status, and the token if there is one.
fn sign_in(server: &TestServer, identity: &Value) -> (u16, String) {
    let body = json!({ "auth": { "identity": identity } }).to_string();
    let url = format!("{}/identity/v3/auth/tokens", server.base());
    let answer = server.anonymous().send("POST", &url, Some(body.as_bytes()));
    (answer.status, answer.header("x-subject-token").to_owned())
}

fn password(name: &str, password: &str) -> Value {
    json!({"methods": ["password"], "password": {"user": {"name": name, "password": password}}})
}

fn with(server: &TestServer, token: &str) -> Client {
    server.anonymous().with_token(token)
}

#[test]
fn a_user_is_added_signs_in_and_is_gone_within_moments_of_being_removed() {
    let mut server = TestServer::builder().start();
    let add = [
        "user",
        "add",
        "mia",
        "--project",
        PROJECT,
        "--role",
        "reader",
        "--password-stdin",
        "--json",
    ];
    let added = ok(&typed(&server, &add, "sesame-street\nignored\n"));
    assert_eq!(added["user"]["role"], "reader");
    let file = server.data_dir().join("users.json");
    let (kept, owner) = (file.metadata().unwrap(), server.data_dir().metadata().unwrap());
    assert_eq!((kept.permissions().mode() & 0o777, kept.uid()), (0o600, owner.uid()));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("sesame"));

    let (status, token) = sign_in(&server, &password("mia", "sesame-street"));
    assert_eq!(status, 201, "the server reads the list by itself");
    assert_eq!(with(&server, &token).get("backups").status, 200);
    let made = ok(&server.run(&["user", "credential", "add", "mia", "--name", "ci", "--json"]));
    let proof = json!({"id": made["credential"]["id"], "secret": made["secret"]});
    let by_credential =
        json!({"methods": ["application_credential"], "application_credential": proof});
    let (status, other) = sign_in(&server, &by_credential);
    assert_eq!(status, 201);
    assert_eq!(with(&server, &other).get("backups").status, 200);
    let listed = ok(&server.run(&["user", "list", "--json"]));
    assert_eq!(
        listed["users"],
        json!([{"id": added["user"]["id"], "name": "mia",
        "project_id": PROJECT, "role": "reader", "credentials": 1}])
    );

    ok(&server.run(&["user", "remove", "mia", "--json"]));
    for token in [&token, &other] {
        wait_until("its tokens end", || {
            (with(&server, token).get("backups").status == 401).then_some(())
        });
    }
    server.allow_warning("was refused: the user, the password");
    assert_eq!(sign_in(&server, &password("mia", "sesame-street")).0, 401);
    let log = server.log().text();
    assert!(!log.contains("sesame") && !log.contains(&token), "{log}");
}

#[test]
fn a_restart_ends_tokens_and_keeps_users_and_a_list_that_makes_no_sense_stops_nothing() {
    let mut server = TestServer::builder().start();
    let add = ["user", "add", "mia", "--password-stdin", "--json"];
    ok(&typed(&server, &add, "sesame-street\n"));
    server.restart();
    let (status, token) = sign_in(&server, &password("mia", "sesame-street"));
    assert_eq!(status, 201);
    server.restart();
    assert_eq!(with(&server, &token).get("backups").status, 401);
    let file = server.data_dir().join("users.json");
    let text = std::fs::read_to_string(&file).unwrap();
    server.allow_warning("the list of users cannot be read");
    write_file(&file, text.replace("\"version\": 1", "\"version\": 7"));
    wait_until("the health check names it", || {
        notices(&server).contains("cannot be read again, so the users stay").then_some(())
    });
    server.restart();
    assert!(notices(&server).contains("cannot be read, so no user signs in"));
    let mut status = server.command(&["status"]);
    status.env("COFFER_URL", server.base()).env("COFFER_TOKEN", server.admin_secret());
    let shown = stderr_of(&status.output().unwrap());
    assert!(shown.contains("the list of users cannot be read"), "{shown}");
    let doctor = server.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let found = report["findings"].as_array().unwrap().iter().find(|it| it["check"] == "users");
    assert_eq!(found.unwrap()["level"], "problem", "{report}");
    server.allow_warning("was refused: the user, the password");
    assert_eq!(sign_in(&server, &password("mia", "sesame-street")).0, 401);
    assert_eq!(server.admin().get("backups").status, 200);
    let refused = server.run(&["user", "list"]);
    let said = stderr_of(&refused);
    assert!(refused.status.code() == Some(1) && said.contains("users.json"), "{said}");
    write_file(&file, text);
    wait_until("it is read again", || (notices(&server) == "[]").then_some(()));
    assert_eq!(sign_in(&server, &password("mia", "sesame-street")).0, 201);
}

/// What the health check says that a person should know.
fn notices(server: &TestServer) -> String {
    let url = format!("{}/healthcheck", server.base());
    server.anonymous().get(&url).with_status(200).json()["notices"].to_string()
}

#[test]
fn what_is_done_with_users_is_in_the_event_log() {
    let server = TestServer::builder().start();
    ok(&typed(&server, &["user", "add", "mia", "--password-stdin", "--json"], "sesame-street\n"));
    let credential = ["user", "credential", "add", "mia", "--name", "ci", "--json"];
    let made = ok(&server.run(&credential));
    let id = made["credential"]["id"].as_str().unwrap();
    ok(&typed(
        &server,
        &["user", "password", "mia", "--password-stdin", "--json"],
        "another-one\n",
    ));
    ok(&server.run(&["user", "credential", "remove", id, "--json"]));
    ok(&server.run(&["user", "remove", "mia", "--json"]));
    let events = server.admin().get("events?all_projects=true").with_status(200).json();
    let of_mia = events["events"].as_array().unwrap().iter().filter(|it| it["object_id"] == "mia");
    let of_mia: Vec<_> = of_mia.map(|it| (it["action"].clone(), it["who"].clone())).collect();
    let actions =
        ["user_remove", "credential_remove", "user_password", "credential_add", "user_add"];
    assert_eq!(of_mia, actions.map(|it| (json!(it), json!("command line"))));
    let shown = events.to_string();
    assert!(
        shown.contains(id) && !shown.contains("sesame") && !shown.contains("another"),
        "{shown}"
    );
    assert!(!shown.contains(made["secret"].as_str().unwrap()), "{shown}");
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let server = TestServer::builder().start();
    let add = ["user", "add", "mia", "--password-stdin"];
    for (arguments, text, code, why) in [
        (&add[..3], "", 2, "--password-stdin"),
        (&add[..], "", 2, "empty"),
        (&add[..], "short\n", 2, "at least 8"),
        (&["user", "add", "a:b", "--password-stdin"], "long enough\n", 2, "without colons"),
        (&["user", "add", "test-admin", "--password-stdin"], "long enough\n", 1, "configuration"),
        (&["user", "remove", "nobody"], "", 3, "no user \"nobody\""),
        (&["user", "credential", "remove", "0"], "", 3, "no application credential"),
    ] {
        let refused = typed(&server, arguments, text);
        let said = stderr_of(&refused);
        assert!(refused.status.code() == Some(code) && said.contains(why), "{arguments:?}: {said}");
    }
    assert!(!server.data_dir().join("users.json").exists());
}
