//! Alerts of the running program: from a failed backup to the receiver, across a kill.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::receivers::HttpReceiver;
use crate::support::{Builder, TestServer, damage_index, id_of, wait_until, write_file};

const SECRET: &str = "T0psecret-value";

fn database(path: &Path) {
    Connection::open(path).unwrap().execute_batch("CREATE TABLE row(data BLOB)").unwrap();
}

/// A server that tells a webhook what is wrong with `shop`.
fn server(receiver: &HttpReceiver, database: &Path) -> Builder {
    let url = receiver.url(&format!("/hook/{SECRET}"));
    TestServer::builder().instance_sqlite("shop", database).toml(&format!(
        "[defaults]\nalerts = [\"ops\"]\n[[alerts]]\nname = \"ops\"\nwebhook = \"{url}\"\ntoken = \"{SECRET}\"\n"
    ))
}

/// The requests of the monitor so far: their paths and the ids of the messages.
fn pings(receiver: &HttpReceiver) -> Vec<(String, String)> {
    let all = receiver.received().into_iter();
    all.map(|it| (it.path.clone(), it.header("idempotency-key").to_owned())).collect()
}

#[test]
fn a_failure_reaches_the_receiver_once_though_the_server_is_killed_before_it_was_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    database(&path);
    let receiver = HttpReceiver::start();
    receiver.answer_next(200, "it begins");
    receiver.answer_next(503, "down");
    let url = receiver.url(&format!("/{SECRET}/{{instance}}"));
    let mut server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml(&format!(
            "[defaults]\nalerts = [\"monitor\"]\n[[alerts]]\nname = \"monitor\"\nhealthchecks = \"{url}\"\n"
        ))
        .allow_warning("is not delivered, and is attempted again")
        .allow_warning(" failed: ")
        .allow_warning("would fail now")
        .start();
    std::fs::remove_file(&path).unwrap();
    server.admin().failed("shop");
    let refused = wait_until("an attempt", || pings(&receiver).into_iter().nth(1));
    assert_eq!(refused.0, format!("/{SECRET}/shop/fail"));
    server.kill();
    server.restart();
    let sent = wait_until("the message", || pings(&receiver).into_iter().nth(2));
    assert_eq!(sent, refused, "it is the same message");
    wait_until("an empty queue", || {
        let list = server.run_ok(&["alert", "list", "--json"]);
        let list: Value = serde_json::from_slice(&list.stdout).unwrap();
        list["undelivered"].as_array().unwrap().is_empty().then_some(())
    });
    assert_eq!(pings(&receiver).len(), 3);
    assert!(!server.log().text().contains(SECRET), "{}", server.log().text());
}

#[test]
fn a_test_message_goes_through_the_real_channel_and_a_channel_that_is_not_defined_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    database(&path);
    let receiver = HttpReceiver::start();
    let server = server(&receiver, &path).start();
    let tested = server.run_ok(&["alert", "test", "ops"]);
    let text = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(text.contains("delivered  ops: the webhook answered 200"), "{text}");
    let got = receiver.received();
    assert_eq!((got.len(), &got[0].json()["event"]), (1, &"test".into()));
    assert_eq!(got[0].header("authorization"), format!("Bearer {SECRET}"));
    receiver.answer_next(404, &format!("no /hook/{SECRET} here"));
    let failed = server.run(&["alert", "test"]);
    let text = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert_eq!(failed.status.code(), Some(1));
    assert!(text.contains("FAILED") && text.contains("404") && !text.contains(SECRET), "{text}");
    assert_eq!(server.run(&["alert", "test", "nobody"]).status.code(), Some(3));
    let path = server.admin().post("alerts/test", &json!({"test": {"channel": "nobody"}}));
    assert_eq!(path.status, 404);
    let text = std::fs::read_to_string(server.config()).unwrap();
    write_file(server.config(), text.replace("alerts = [\"ops\"]", "alerts = [\"opps\"]"));
    let refused = server.run(&["doctor"]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(
        text.contains("defaults.alerts names \"opps\", but no [[alerts]] has this name"),
        "{text}"
    );
}

/// The states of `shop` and of `blog`, and the kinds of all that is wrong.
pub(crate) fn health(server: &TestServer) -> (Value, Value, Vec<Value>) {
    let health = server.admin().get("health").json()["health"].clone();
    let state = |name: &str| {
        let all = health["instances"].as_array().unwrap();
        all.iter().find(|it| it["instance_name"] == name).unwrap()["state"].clone()
    };
    let problems = health["problems"].as_array().unwrap();
    (state("shop"), state("blog"), problems.iter().map(|it| it["kind"].clone()).collect())
}

#[test]
fn a_drill_that_fails_turns_its_instance_red_and_tells_of_it_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let [shop, blog] = ["shop.db", "blog.db"].map(|name| folder.path().join(name));
    let receiver = HttpReceiver::start();
    let mut builder = TestServer::builder();
    for (name, path) in [("shop", &shop), ("blog", &blog)] {
        let rows = "CREATE TABLE word(it TEXT); CREATE INDEX by_word ON word(it);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO word SELECT 'word ' || i FROM n";
        Connection::open(path).unwrap().execute_batch(rows).unwrap();
        builder = builder.toml(&format!(
            "[[instances]]\nname = {name:?}\nproject_id = \"project-a\"\nengine = \"sqlite\"\n\
             source = {{ path = {path:?} }}\ncheck = \"off\"\n"
        ));
    }
    let url = receiver.url("/hook");
    let server = builder
        .toml(&format!(
            "[defaults]\nalerts = [\"ops\"]\n[[alerts]]\nname = \"ops\"\nwebhook = \"{url}\"\n"
        ))
        .allow_warning("nothing is built on it")
        .start();
    let client = server.admin();
    for name in ["shop", "blog"] {
        let id = id_of(&client.full(name)).to_owned();
        client.ask_for_drill(&id);
        assert_eq!(client.drilled(&id)["drill"]["status"], "passed");
    }
    damage_index(&shop, "by_word");
    let made = client.full("shop");
    assert_eq!(health(&server), ("safe".into(), "safe".into(), vec![]), "nobody read the data");
    client.ask_for_drill(id_of(&made));
    assert_eq!(client.drilled(id_of(&made))["drill"]["status"], "damaged");
    assert_eq!(health(&server), ("critical".into(), "safe".into(), vec!["damaged".into()]));
    let message = wait_until("the message", || Some(receiver.received().first()?.json()));
    assert_eq!((&message["event"], &message["kind"]), (&"began".into(), &"damaged".into()));
    assert_eq!(message["instance"]["name"], "shop");
    assert_eq!(server.run(&["status"]).status.code(), Some(7));
    assert_eq!(receiver.received().len(), 1, "of nothing else");
}
