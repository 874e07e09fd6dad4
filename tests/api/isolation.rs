//! Permissions: what each kind of caller may do on every route, and that another project's ids are
//! answered like unknown ones.

use std::slice::from_ref;

use crate::support::{A1, A2, Answer, B1, Fixture, Request, UNKNOWN_ID};
use actix_web::http::Method;
use coffer::api::AuthMode;
use serde_json::{Value, json};

/// The status for each of [`CALLERS`].
type Expected = [u16; 6];

/// No token, a wrong token, another project's member, a reader, a member, an administrator.
const CALLERS: [&str; 6] = ["", "stranger", "bob", "reader", "alice", "admin"];
/// Every role of the project may.
const READ: Expected = [401, 401, 403, 200, 200, 200];
/// The same for something that does not exist.
const READ_UNKNOWN: Expected = [401, 401, 403, 404, 404, 404];
const ADMIN_READ: Expected = [401, 401, 403, 403, 403, 200];

fn write(done: u16) -> Expected {
    [401, 401, 403, 403, done, done]
}

/// A request in project-a and its expected statuses.
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
            crate::support::datastore("mysql", "5.7").version_id()
        )),
        read("/backup_strategies"),
        read("/backup_schedules"),
        read("/alerts"),
        read("/events"),
        read(&format!("/instances/{A1}/retention")),
        read("/flavors"),
        read("/flavors/1"),
        read("/projects"),
        read("/projects/project-a"),
        read("/limits"),
        read("/mgmt/quotas/project-a"),
        row(Method::GET, "", None, [401, 401, 403, 403, 403, 403]),
        row(Method::GET, "/mgmt/quotas/project-b", None, [401, 401, 403, 403, 403, 200]),
        row(Method::GET, "/mgmt/instances", None, ADMIN_READ),
        row(Method::GET, "/backups?all_projects=true", None, ADMIN_READ),
        row(Method::GET, "/backups?project_id=project-b", None, ADMIN_READ),
        row(Method::GET, "/backup_strategies?project_id=project-b", None, ADMIN_READ),
        row(Method::GET, "/backup_schedules?all_projects=true", None, ADMIN_READ),
        row(Method::GET, "/alerts?all_projects=true", None, ADMIN_READ),
        row(Method::GET, "/events?all_projects=true", None, ADMIN_READ),
        row(
            Method::GET,
            &format!("/instances/{B1}/retention"),
            None,
            [401, 401, 403, 404, 404, 200],
        ),
        row(Method::GET, "/nothing", None, READ_UNKNOWN),
        row(Method::GET, &format!("/backups/{UNKNOWN_ID}"), None, READ_UNKNOWN),
        row(Method::GET, &format!("/backups/{UNKNOWN_ID}/archive"), None, READ_UNKNOWN),
        row(Method::GET, &format!("/backups/{UNKNOWN_ID}/consolidate"), None, READ_UNKNOWN),
        row(Method::GET, &format!("/backups/{UNKNOWN_ID}/verify"), None, READ_UNKNOWN),
        row(Method::GET, &format!("/instances/{UNKNOWN_ID}"), None, READ_UNKNOWN),
        row(Method::GET, &format!("/instances/{UNKNOWN_ID}/backups"), None, READ_UNKNOWN),
    ]
}

/// Each caller sends these to a new server.
fn writes(backup: &str) -> Vec<Row> {
    let backup_of = |instance: &str| json!({"backup": {"name": "n", "instance": instance}});
    let restore = json!({"instance": {"name": "n", "restorePoint": {"backupRef": backup}}});
    let strategy = json!({"backup_strategy": {"swift_container": "c"}});
    let quotas = json!({"quotas": {"backups": 5}});
    // Without a configuration that says what holds for it, no instance is known to have a schedule.
    let schedule = |id: &str| json!({"backup_schedule": {"instance_id": id, "schedule": "hourly"}});
    let foreign = "/backup_strategies?project_id=project-b";
    vec![
        row(Method::POST, "/backups", Some(backup_of(A2)), write(202)),
        row(Method::DELETE, &format!("/backups/{backup}"), None, write(202)),
        row(Method::PUT, &format!("/backups/{backup}/pin"), None, write(200)),
        row(Method::DELETE, &format!("/backups/{backup}/pin"), None, write(200)),
        row(Method::PUT, &format!("/backups/{UNKNOWN_ID}/pin"), None, write(404)),
        row(Method::POST, &format!("/backups/{backup}/consolidate"), None, write(422)),
        row(Method::POST, &format!("/backups/{UNKNOWN_ID}/consolidate"), None, write(404)),
        row(Method::POST, &format!("/backups/{backup}/verify"), None, write(202)),
        row(Method::POST, &format!("/backups/{UNKNOWN_ID}/verify"), None, write(404)),
        row(Method::POST, "/instances", Some(restore), write(200)),
        row(Method::DELETE, &format!("/instances/{A1}"), None, write(403)),
        row(Method::DELETE, &format!("/instances/{UNKNOWN_ID}"), None, write(404)),
        row(Method::DELETE, &format!("/backups/{UNKNOWN_ID}"), None, write(404)),
        row(Method::POST, "/backup_strategies", Some(strategy), write(202)),
        row(Method::DELETE, "/backup_strategies", None, write(202)),
        row(Method::DELETE, foreign, None, [401, 401, 403, 403, 403, 202]),
        row(Method::POST, "/backup_schedules", Some(schedule(A2)), write(404)),
        row(Method::PUT, &format!("/backup_schedules/{A2}"), Some(schedule(A2)), write(404)),
        row(Method::DELETE, &format!("/backup_schedules/{A2}"), None, write(202)),
        row(Method::DELETE, &format!("/backup_schedules/{UNKNOWN_ID}"), None, write(404)),
        row(Method::PUT, "/mgmt/quotas/project-a", Some(quotas), ADMIN_READ),
        row(Method::POST, "/alerts/test", Some(json!({"test": {}})), ADMIN_READ),
    ]
}

async fn fixture() -> (Fixture, String) {
    let fixture = Fixture::new();
    let backup = fixture.completed_backup("alice", "project-a", A1, "mine").await;
    (fixture, backup.to_string())
}

async fn answer_to(fixture: &Fixture, row: &Row, caller: usize) -> Answer {
    let mut request = Request::new(row.method.clone(), &row.path).token_of(CALLERS[caller]);
    if let Some(body) = &row.body {
        request = request.json(body);
    }
    fixture.send(request).await
}

fn check(row: &Row, caller: usize, answer: &Answer) {
    let who = CALLERS[caller];
    let Row { method, path, .. } = row;
    assert_eq!(answer.status, row.expected[caller], "{who:?} {method} {path}: {answer:?}");
    if answer.status >= 400 {
        let name = answer.fault().unwrap_or_default();
        answer.assert_fault(row.expected[caller], &name);
    }
    if answer.status == 401 {
        let offers: Vec<_> = answer.headers.get_all("www-authenticate").collect();
        assert_eq!(offers.len(), 2, "{answer:?}");
    }
}

#[actix_web::test]
async fn every_read_is_allowed_to_the_right_callers() {
    let (fixture, backup) = fixture().await;
    for row in reads(&backup) {
        for caller in 0..CALLERS.len() {
            check(&row, caller, &answer_to(&fixture, &row, caller).await);
        }
    }
}

#[actix_web::test]
async fn every_write_is_allowed_to_the_right_callers() {
    let count = writes("").len();
    for caller in 0..CALLERS.len() {
        for index in 0..count {
            let (fixture, backup) = fixture().await;
            let row = writes(&backup).swap_remove(index);
            check(&row, caller, &answer_to(&fixture, &row, caller).await);
        }
    }
}

#[actix_web::test]
async fn another_projects_ids_are_answered_like_unknown_ones() {
    let fixture = Fixture::new();
    let theirs = fixture.completed_backup("bob", "project-b", B1, "theirs").await.to_string();
    let alike = |known: &Answer, unknown: &Answer, id: &str| {
        let body = String::from_utf8(known.body.to_vec()).unwrap().replace(id, UNKNOWN_ID);
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
        let request = |id: &str| {
            let path = format!("/v1.0/project-a{}", place.replace("{id}", id));
            Request::new(method.clone(), &path).token_of("alice")
        };
        alike(&fixture.send(request(id)).await, &fixture.send(request(UNKNOWN_ID)).await, id);
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
        let known = fixture.post(&path, "alice", &body).await;
        let body = serde_json::from_str(&body.to_string().replace(id, UNKNOWN_ID)).unwrap();
        let unknown = fixture.post(&path, "alice", &body).await;
        assert_eq!(known.status, 404);
        alike(&known, &unknown, id);
    }
}

#[actix_web::test]
async fn a_list_never_holds_another_projects_rows() {
    let fixture = Fixture::new();
    let mine = fixture.completed_backup("alice", "project-a", A1, "mine").await.to_string();
    let theirs = fixture.completed_backup("bob", "project-b", B1, "theirs").await.to_string();
    let list = async |path: &str, who: &str| fixture.get(path, who).await.ids();
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
async fn a_marker_grants_no_permission() {
    let fixture = Fixture::new();
    for name in ["one", "two"] {
        fixture.completed_backup("bob", "project-b", B1, name).await;
    }
    let first = fixture.get("/v1.0/p-admin/backups?all_projects=true&limit=1", "admin").await;
    let next = first.next().unwrap();
    let marker = next.split("marker=").nth(1).unwrap();
    let stolen = format!("/v1.0/project-a/backups?marker={marker}");
    fixture.get(&stolen, "alice").await.assert_fault(403, "forbidden");
    assert_eq!(fixture.get(&next, "admin").await.ids().len(), 1);
}

#[actix_web::test]
async fn without_authentication_everything_is_allowed_in_every_project() {
    let fixture = Fixture::with(AuthMode::None, None);
    let body = json!({"backup": {"name": "n", "instance": A1}});
    // The stock client sends this with --os-auth-type none.
    let request =
        Request::post("/v1.0/project-a/backups").header("X-Auth-Token", "notused").json(&body);
    assert_eq!(fixture.send(request).await.status, 202);
    for path in ["/v1.0/project-b/backups?all_projects=1", "/v1.0/whatever/mgmt/instances"] {
        assert_eq!(fixture.get(path, "").await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn a_token_is_accepted_as_header_password_or_bearer_and_a_wrong_user_name_is_refused() {
    let fixture = Fixture::new();
    let path = "/v1.0/project-a/backups";
    let requests = [
        ("X-Auth-Token", "alice-secret", 200),
        ("Authorization", "Basic YWxpY2U6YWxpY2Utc2VjcmV0", 200),
        ("Authorization", "bearer alice-secret", 200),
        // bob:alice-secret
        ("Authorization", "Basic Ym9iOmFsaWNlLXNlY3JldA==", 401),
        ("Authorization", "alice-secret", 401),
        ("X-Auth-Token", "", 401),
    ];
    for (name, value, status) in requests {
        let answer = fixture.send(Request::get(path).header(name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    // The first one present decides, in the order X-Auth-Token, Basic, Bearer; one that cannot be read is wrong.
    let (token, basic) = ("X-Auth-Token", "Basic YWxpY2U6YWxpY2Utc2VjcmV0");
    let (name, bearer) = ("Authorization", "Bearer alice-secret");
    for (headers, status) in [
        ([(token, "wrong"), (name, bearer)], 401),
        ([(name, "Bearer wrong"), (token, "alice-secret")], 200),
        ([(name, "Bearer wrong"), (name, basic)], 200),
        ([(name, "Basic ###"), (name, bearer)], 401),
        ([(name, "Basic bm9jb2xvbg=="), (name, bearer)], 401),
        ([(name, "Digest x"), (name, bearer)], 200),
    ] {
        let request =
            headers.iter().fold(Request::get(path), |it, (name, value)| it.header(name, value));
        assert_eq!(fixture.send(request).await.status, status, "{headers:?}");
    }
}

#[actix_web::test]
async fn a_project_is_shown_to_those_who_may_use_it_and_named_by_its_id() {
    let fixture = Fixture::new();
    let own = fixture.get("/v1.0/project-a/projects/project-a", "alice").await;
    assert_eq!((own.status, &own.json()["project"]["name"]), (200, &json!("project-a")));
    let named = fixture.get("/v1.0/project-a/projects?name=project-a", "alice").await;
    assert_eq!(named.json()["projects"][0]["id"], "project-a");
    let other = fixture.get("/v1.0/project-a/projects?name=project-b", "alice").await;
    assert_eq!(other.json()["projects"], json!([]));
    fixture
        .get("/v1.0/project-a/projects/project-b", "alice")
        .await
        .assert_fault(404, "itemNotFound");
    let admin = fixture.get("/v1.0/p-admin/projects/project-b", "admin").await;
    assert_eq!(admin.json()["project"]["id"], "project-b");
}
