//! Who may do what: every route for every kind of caller, and that another project's things cannot be
//! told from things that never were.

#![cfg(test)]

mod api_support;

use std::slice::from_ref;

use actix_web::http::Method;
use api_support::{A1, A2, Answer, Ask, B1, House, NOBODY};
use coffer::api::AuthMode;
use serde_json::{Value, json};

/// What is expected of a caller: nobody, with a wrong token, of another project, a reader, a member,
/// an administrator.
type Expected = [u16; 6];

const CALLERS: [&str; 6] = ["", "stranger", "bob", "reader", "alice", "admin"];
/// Everybody of the project may.
const READ: Expected = [401, 401, 403, 200, 200, 200];
/// The same, of something that is not there.
const READ_NOTHING: Expected = [401, 401, 403, 404, 404, 404];
const ADMIN_READ: Expected = [401, 401, 403, 403, 403, 200];

fn write(done: u16) -> Expected {
    [401, 401, 403, 403, done, done]
}

/// One row: a request in project-a and what each caller is answered.
struct Row {
    method: Method,
    path: String,
    body: Option<Value>,
    expected: Expected,
}

fn row(method: Method, path: &str, body: Option<Value>, expected: Expected) -> Row {
    Row { method, path: format!("/v1.0/project-a{path}"), body, expected }
}

fn reads(backup: &str) -> Vec<Row> {
    let read = |path: &str| row(Method::GET, path, None, READ);
    vec![
        read("/backups"),
        read(&format!("/backups/{backup}")),
        read(&format!("/backups/{backup}/archive")),
        read("/instances"),
        read("/instances/detail"),
        read(&format!("/instances/{A1}")),
        read(&format!("/instances/{A1}/backups")),
        read("/datastores"),
        read("/datastores/mysql"),
        read("/datastores/mysql/versions"),
        read("/datastores/mysql/versions/5.7"),
        read(&format!(
            "/datastores/versions/{}",
            api_support::datastore("mysql", "5.7").version_id()
        )),
        read("/backup_strategies"),
        read("/flavors"),
        read("/flavors/1"),
        read("/limits"),
        read("/mgmt/quotas/project-a"),
        row(Method::GET, "", None, [401, 401, 403, 403, 403, 403]),
        row(Method::GET, "/mgmt/quotas/project-b", None, [401, 401, 403, 403, 403, 200]),
        row(Method::GET, "/mgmt/instances", None, ADMIN_READ),
        row(Method::GET, "/backups?all_projects=true", None, ADMIN_READ),
        row(Method::GET, "/backups?project_id=project-b", None, ADMIN_READ),
        row(Method::GET, "/backup_strategies?project_id=project-b", None, ADMIN_READ),
        row(Method::GET, "/nothing", None, READ_NOTHING),
        row(Method::GET, &format!("/backups/{NOBODY}"), None, READ_NOTHING),
        row(Method::GET, &format!("/backups/{NOBODY}/archive"), None, READ_NOTHING),
        row(Method::GET, &format!("/instances/{NOBODY}"), None, READ_NOTHING),
        row(Method::GET, &format!("/instances/{NOBODY}/backups"), None, READ_NOTHING),
    ]
}

/// Those that change something are asked by each caller on a server of its own.
fn writes(backup: &str) -> Vec<Row> {
    let backup_of = |instance: &str| json!({"backup": {"name": "n", "instance": instance}});
    let restore = json!({"instance": {"name": "n", "restorePoint": {"backupRef": backup}}});
    let strategy = json!({"backup_strategy": {"swift_container": "c"}});
    let quotas = json!({"quotas": {"backups": 5}});
    let foreign = "/backup_strategies?project_id=project-b";
    vec![
        row(Method::POST, "/backups", Some(backup_of(A2)), write(202)),
        row(Method::DELETE, &format!("/backups/{backup}"), None, write(202)),
        row(Method::POST, "/instances", Some(restore), write(200)),
        row(Method::DELETE, &format!("/instances/{A1}"), None, write(403)),
        row(Method::DELETE, &format!("/instances/{NOBODY}"), None, write(404)),
        row(Method::DELETE, &format!("/backups/{NOBODY}"), None, write(404)),
        row(Method::POST, "/backup_strategies", Some(strategy), write(202)),
        row(Method::DELETE, "/backup_strategies", None, write(202)),
        row(Method::DELETE, foreign, None, [401, 401, 403, 403, 403, 202]),
        row(Method::PUT, "/mgmt/quotas/project-a", Some(quotas), ADMIN_READ),
    ]
}

async fn house() -> (House, String) {
    let house = House::new();
    let backup = house.completed("alice", "project-a", A1, "mine").await;
    (house, backup.to_string())
}

async fn answers(house: &House, row: &Row, caller: usize) -> Answer {
    let mut ask = Ask::new(row.method.clone(), &row.path).of(CALLERS[caller]);
    if let Some(body) = &row.body {
        ask = ask.json(body);
    }
    house.ask(ask).await
}

fn check(row: &Row, caller: usize, answer: &Answer) {
    let who = CALLERS[caller];
    let Row { method, path, .. } = row;
    assert_eq!(answer.status, row.expected[caller], "{who:?} {method} {path}: {answer:?}");
    if answer.status >= 400 {
        let name = answer.fault().unwrap_or_default();
        answer.must_be_fault(row.expected[caller], &name);
    }
    if answer.status == 401 {
        let offers: Vec<_> = answer.headers.get_all("www-authenticate").collect();
        assert_eq!(offers.len(), 2, "{answer:?}");
    }
}

#[actix_web::test]
async fn every_look_is_allowed_to_whom_it_should_be() {
    let (house, backup) = house().await;
    for row in reads(&backup) {
        for caller in 0..CALLERS.len() {
            check(&row, caller, &answers(&house, &row, caller).await);
        }
    }
}

#[actix_web::test]
async fn every_change_is_allowed_to_whom_it_should_be() {
    let count = writes("").len();
    for caller in 0..CALLERS.len() {
        for index in 0..count {
            let (house, backup) = house().await;
            let row = writes(&backup).swap_remove(index);
            check(&row, caller, &answers(&house, &row, caller).await);
        }
    }
}

#[actix_web::test]
async fn another_projects_things_are_as_unknown_as_what_never_was() {
    let house = House::new();
    let theirs = house.completed("bob", "project-b", B1, "theirs").await.to_string();
    let alike = |known: &Answer, unknown: &Answer, id: &str| {
        let body = String::from_utf8(known.body.to_vec()).unwrap().replace(id, NOBODY);
        assert_eq!(known.status, unknown.status, "{known:?} {unknown:?}");
        assert_eq!(body.as_bytes(), &*unknown.body, "{known:?}");
    };
    for (method, place, id) in [
        (Method::GET, "/backups/{id}", &*theirs),
        (Method::DELETE, "/backups/{id}", &*theirs),
        (Method::GET, "/backups/{id}/archive", &*theirs),
        (Method::GET, "/instances/{id}", B1),
        (Method::DELETE, "/instances/{id}", B1),
        (Method::GET, "/instances/{id}/backups", B1),
        (Method::GET, "/backups?instance_id={id}", B1),
        (Method::GET, "/backups?marker={id}", &*theirs),
        (Method::GET, "/instances?marker={id}", B1),
    ] {
        let ask = |id: &str| {
            let path = format!("/v1.0/project-a{}", place.replace("{id}", id));
            Ask::new(method.clone(), &path).of("alice")
        };
        alike(&house.ask(ask(id)).await, &house.ask(ask(NOBODY)).await, id);
    }
    let bodies = [
        ("/backups", json!({"backup": {"name": "n", "instance": B1}}), B1),
        (
            "/backups",
            json!({"backup": {"name": "n", "instance": A1, "parent_id": theirs}}),
            &*theirs,
        ),
        (
            "/instances",
            json!({"instance": {"name": "n", "restorePoint": {"backupRef": theirs}}}),
            &*theirs,
        ),
    ];
    for (place, body, id) in bodies {
        let path = format!("/v1.0/project-a{place}");
        let known = house.post(&path, "alice", &body).await;
        let body = serde_json::from_str(&body.to_string().replace(id, NOBODY)).unwrap();
        let unknown = house.post(&path, "alice", &body).await;
        assert_eq!(known.status, 404);
        alike(&known, &unknown, id);
    }
}

#[actix_web::test]
async fn the_list_of_one_project_never_holds_anothers_rows() {
    let house = House::new();
    let mine = house.completed("alice", "project-a", A1, "mine").await.to_string();
    let theirs = house.completed("bob", "project-b", B1, "theirs").await.to_string();
    let list = async |path: &str, who: &str| house.get(path, who).await.ids();
    assert_eq!(list("/v1.0/project-a/backups", "alice").await, *from_ref(&mine));
    assert_eq!(list("/v1.0/project-b/backups", "bob").await, *from_ref(&theirs));
    assert_eq!(list("/v1.0/p-admin/backups", "admin").await, [""; 0]);
    let all = list("/v1.0/p-admin/backups?all_projects=True", "admin").await;
    assert_eq!(all, [theirs.clone(), mine]);
    assert_eq!(
        list("/v1.0/p-admin/backups?project_id=project-b", "admin").await,
        *from_ref(&theirs)
    );
    assert_eq!(list(&format!("/v1.0/p-admin/instances/{B1}/backups"), "admin").await, [theirs]);
}

#[actix_web::test]
async fn a_marker_gives_nobody_what_they_may_not_see() {
    let house = House::new();
    for name in ["one", "two"] {
        house.completed("bob", "project-b", B1, name).await;
    }
    let first = house.get("/v1.0/p-admin/backups?all_projects=true&limit=1", "admin").await;
    let next = first.next().unwrap();
    let marker = next.split("marker=").nth(1).unwrap();
    let stolen = format!("/v1.0/project-a/backups?marker={marker}");
    house.get(&stolen, "alice").await.must_be_fault(403, "forbidden");
    assert_eq!(house.get(&next, "admin").await.ids().len(), 1);
}

#[actix_web::test]
async fn without_authentication_everybody_may_do_everything_anywhere() {
    let house = House::with(AuthMode::None, None);
    let body = json!({"backup": {"name": "n", "instance": A1}});
    // The stock client sends this with --os-auth-type none.
    let ask = Ask::post("/v1.0/project-a/backups").header("X-Auth-Token", "notused").json(&body);
    assert_eq!(house.ask(ask).await.status, 202);
    for path in ["/v1.0/project-b/backups?all_projects=1", "/v1.0/whatever/mgmt/instances"] {
        assert_eq!(house.get(path, "").await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn a_token_is_taken_as_header_password_or_bearer_and_a_wrong_name_is_refused() {
    let house = House::new();
    let path = "/v1.0/project-a/backups";
    let asks = [
        ("X-Auth-Token", "alice-secret", 200),
        ("Authorization", "Basic YWxpY2U6YWxpY2Utc2VjcmV0", 200),
        ("Authorization", "bearer alice-secret", 200),
        // bob:alice-secret
        ("Authorization", "Basic Ym9iOmFsaWNlLXNlY3JldA==", 401),
        ("Authorization", "alice-secret", 401),
        ("X-Auth-Token", "", 401),
    ];
    for (name, value, status) in asks {
        let answer = house.ask(Ask::get(path).header(name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    // The first that is there decides.
    let both = Ask::get(path)
        .header("X-Auth-Token", "wrong")
        .header("Authorization", "Bearer alice-secret");
    house.ask(both).await.must_be_fault(401, "unauthorized");
}
