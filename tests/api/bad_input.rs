//! Invalid input: each is refused with a 4xx that names the field, and the catalog stays as it was.

use crate::support::{A1, Answer, Fixture, Request, admin};
use actix_web::http::Method;
use coffer::wire::ArchiveUrls as _;
use serde_json::{Value, json};

/// What a field holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// One line of text.
    Words { required: bool, nullable: bool },
    /// A UUID.
    Uuid { required: bool },
    /// The integer 0 or 1.
    Flag,
    /// A number of at least 0.
    Amount { required: bool },
    /// A folder's name.
    Folder { required: bool },
    /// The only storage driver, or null.
    Driver,
    /// An object.
    Object { required: bool, nullable: bool },
    /// The flavor.
    Flavor,
    /// An integer of at least -1.
    Quota,
    /// A name or id of something known, or null.
    Named,
    /// A URL below the archive store.
    Url,
}

/// Texts that an attacker might try.
const HOSTILE: [&str; 5] =
    ["../../etc/passwd", "'; DROP TABLE backups; --", "a\u{0}b", "${jndi:x}", "a b"];

/// Texts that a field of this kind must refuse, besides an empty and a very long one.
fn invalid_texts(kind: Kind) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        Kind::Words { .. } => return vec!["...", "\n", "a\nb", "☃"],
        Kind::Uuid { .. } | Kind::Folder { .. } => &["é", ".", "..", ".hidden", "a/b"],
        Kind::Url => &["file:///etc/passwd", "http://h/v1/A/c/o", "file:///archives/../x"],
        Kind::Flag | Kind::Quota | Kind::Amount { .. } => &["0", "1"],
        Kind::Driver | Kind::Named | Kind::Object { .. } | Kind::Flavor => &[],
    };
    [own, &HOSTILE].concat()
}

/// Values of other types that it must refuse.
fn invalid_values(kind: Kind) -> Vec<Value> {
    let own = match kind {
        Kind::Flag | Kind::Quota => {
            json!([1.0, -2, 1e300, {}, u64::MAX])
        }
        Kind::Amount { .. } => json!([-1, {}]),
        Kind::Flavor => json!([2, -1, 1.5, {}]),
        Kind::Object { .. } => json!([5]),
        _ => json!([5, {}, {"a": 1}]),
    };
    let any = json!([true, [], ["x"]]);
    [own, any].iter().flat_map(|values| values.as_array().unwrap().clone()).collect()
}

/// Whether the field may be left out, and whether it may be null.
fn optional(kind: Kind) -> (bool, bool) {
    match kind {
        Kind::Words { required, nullable } | Kind::Object { required, nullable } => {
            (!required, nullable)
        }
        Kind::Uuid { required } | Kind::Folder { required } => (!required, false),
        Kind::Amount { required } => (!required, !required),
        Kind::Url => (false, false),
        Kind::Flag | Kind::Quota | Kind::Flavor => (true, false),
        Kind::Driver | Kind::Named => (true, true),
    }
}

/// Everything that the field must refuse; `None` leaves it out.
fn invalid(kind: Kind) -> Vec<Option<Value>> {
    let mut texts: Vec<String> = vec![String::new(), "x".repeat(300)];
    texts.extend(invalid_texts(kind).into_iter().map(str::to_owned));
    let mut values: Vec<Option<Value>> = invalid_values(kind).into_iter().map(Some).collect();
    values.extend(texts.into_iter().map(|text| Some(Value::from(text))));
    let (may_be_absent, may_be_null) = optional(kind);
    if !may_be_absent {
        values.push(None);
    }
    if !may_be_null {
        values.push(Some(Value::Null));
    }
    values
}

/// A route with a valid body, and the fields of that.
struct Route {
    method: Method,
    path: &'static str,
    who: &'static str,
    valid: Value,
    fields: Vec<(&'static str, Kind)>,
}

fn routes(fixture: &Fixture, backup_id: &str) -> Vec<Route> {
    vec![backup(backup_id), registration(fixture), restore(backup_id), strategy(), quota()]
}

fn backup(backup_id: &str) -> Route {
    let words = Kind::Words { required: true, nullable: false };
    Route {
        method: Method::POST,
        path: "/v1.0/project-a/backups",
        who: "alice",
        valid: json!({"backup": {"name": "n", "description": "d", "instance": A1,
                "incremental": 0, "parent_id": backup_id, "swift_container": "c",
                "storage_driver": "local"}}),
        fields: vec![
            ("/backup", Kind::Object { required: true, nullable: false }),
            ("/backup/name", words),
            ("/backup/description", Kind::Words { required: false, nullable: true }),
            ("/backup/instance", Kind::Uuid { required: true }),
            ("/backup/incremental", Kind::Flag),
            ("/backup/parent_id", Kind::Uuid { required: false }),
            ("/backup/swift_container", Kind::Folder { required: false }),
            ("/backup/storage_driver", Kind::Driver),
        ],
    }
}

fn registration(fixture: &Fixture) -> Route {
    let version = crate::support::datastore("mysql", "5.7").version_id();
    fixture.archives.put("project-a/found.tar.zst", b"found");
    let archive = fixture.archives.url(&"project-a/found.tar.zst".parse().unwrap());
    Route {
        method: Method::POST,
        path: "/v1.0/project-a/backups",
        who: "alice",
        valid: json!({"backup": {"name": "n", "restore_from": {"remote_location": archive,
                "local_datastore_version_id": version, "size": 1}}}),
        fields: vec![
            ("/backup/restore_from", Kind::Object { required: false, nullable: false }),
            ("/backup/restore_from/remote_location", Kind::Url),
            ("/backup/restore_from/local_datastore_version_id", Kind::Uuid { required: true }),
            ("/backup/restore_from/size", Kind::Amount { required: true }),
        ],
    }
}

fn restore(backup_id: &str) -> Route {
    let words = Kind::Words { required: true, nullable: false };
    let part = Kind::Object { required: false, nullable: true };
    Route {
        method: Method::POST,
        path: "/v1.0/project-a/instances",
        who: "alice",
        valid: json!({"instance": {"name": "n", "flavorRef": 1, "volume": {"size": 1},
                "datastore": {"type": "mysql", "version": "5.7"},
                "restorePoint": {"backupRef": backup_id}}}),
        fields: vec![
            ("/instance", Kind::Object { required: true, nullable: false }),
            ("/instance/name", words),
            ("/instance/flavorRef", Kind::Flavor),
            ("/instance/volume", part),
            ("/instance/volume/size", Kind::Amount { required: false }),
            ("/instance/datastore", part),
            ("/instance/datastore/type", Kind::Named),
            ("/instance/datastore/version", Kind::Named),
            ("/instance/restorePoint", Kind::Object { required: true, nullable: false }),
            ("/instance/restorePoint/backupRef", Kind::Uuid { required: true }),
        ],
    }
}

fn strategy() -> Route {
    Route {
        method: Method::POST,
        path: "/v1.0/project-a/backup_strategies",
        who: "alice",
        valid: json!({"backup_strategy": {"instance_id": A1, "swift_container": "c"}}),
        fields: vec![
            ("/backup_strategy", Kind::Object { required: true, nullable: false }),
            ("/backup_strategy/instance_id", Kind::Uuid { required: false }),
            ("/backup_strategy/swift_container", Kind::Folder { required: true }),
        ],
    }
}

fn quota() -> Route {
    Route {
        method: Method::PUT,
        path: "/v1.0/p-admin/mgmt/quotas/project-a",
        who: "admin",
        valid: json!({"quotas": {"backups": 5, "instances": 6}}),
        fields: vec![
            ("/quotas", Kind::Object { required: true, nullable: false }),
            ("/quotas/backups", Kind::Quota),
            ("/quotas/instances", Kind::Quota),
        ],
    }
}

/// The valid body with one field changed or left out.
fn with_field(valid: &Value, field: &str, value: Option<Value>) -> Value {
    let mut body = valid.clone();
    if let Some(value) = value {
        *body.pointer_mut(field).unwrap() = value;
    } else {
        let (parent, key) = field.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    }
    body
}

/// Everything the catalog holds that these routes could change.
fn catalog_contents(fixture: &Fixture) -> String {
    let project = crate::support::project("project-a");
    let scope = admin();
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}",
        fixture.catalog.every_backup().unwrap(),
        fixture.catalog.all_instances(&admin(), None, 1000).unwrap().rows,
        fixture.catalog.strategies(&scope, Some(&project), None).unwrap(),
        fixture.catalog.quotas(&scope, &project).unwrap(),
    )
}

async fn send(fixture: &Fixture, route: &Route, body: &Value) -> Answer {
    fixture
        .send(Request::new(route.method.clone(), route.path).token_of(route.who).json(body))
        .await
}

#[actix_web::test]
async fn every_invalid_value_of_every_field_is_refused_by_name_and_changes_nothing() {
    let fixture = Fixture::new();
    let backup = fixture.completed_backup("alice", "project-a", A1, "there").await.to_string();
    fixture.archives.put("project-a/found.tar.zst", b"found");
    let before = catalog_contents(&fixture);
    for route in routes(&fixture, &backup) {
        for (field, kind) in &route.fields {
            for value in invalid(*kind) {
                let body = with_field(&route.valid, field, value.clone());
                let answer = send(&fixture, &route, &body).await;
                let what = format!("{field} = {value:?}: {answer:?}");
                assert!((400..500).contains(&answer.status), "{what}");
                answer.assert_fault(answer.status, &answer.fault().unwrap_or_default());
                let name = field.rsplit('/').next().unwrap();
                assert!(answer.message().contains(name), "{name} is not named: {what}");
            }
        }
    }
    assert_eq!(catalog_contents(&fixture), before);
}

#[actix_web::test]
async fn the_bodies_without_the_invalid_value_are_accepted() {
    for index in 0..5 {
        let fixture = Fixture::new();
        let backup = fixture.completed_backup("alice", "project-a", A1, "there").await.to_string();
        let route = routes(&fixture, &backup).swap_remove(index);
        let answer = send(&fixture, &route, &route.valid).await;
        assert!(answer.status < 300, "{answer:?}");
    }
}

#[actix_web::test]
async fn a_malformed_body_is_refused() {
    let fixture = Fixture::new();
    let before = catalog_contents(&fixture);
    let path = "/v1.0/project-a/backups";
    let deep = "[".repeat(60_000);
    let huge_number = r#"{"backup": {"name": 1e999}}"#.to_owned();
    let bodies: [&[u8]; 13] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b"\"x\"",
        b"{\"other\": {}}",
        b"\xff\xfe",
        b"{\"backup\": {\"name\": \"\\ud800\"}}",
        b"{\"backup\": {}} trailing",
        deep.as_bytes(),
        huge_number.as_bytes(),
    ];
    for body in bodies {
        let request =
            Request::post(path).token_of("alice").header("Content-Type", "application/json");
        fixture.send(request.body(body.to_vec())).await.assert_fault(400, "badRequest");
    }
    let long = json!({"backup": {"name": "n", "instance": A1, "junk": "j".repeat(1 << 20)}});
    fixture.post(path, "alice", &long).await.assert_fault(413, "overLimit");
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "APPLICATION/JSON",
        "",
    ] {
        let request =
            Request::post(path).token_of("alice").header("Content-Type", media_type).body("{}");
        fixture.send(request).await.assert_fault(415, "badMediaType");
    }
    fixture
        .send(Request::post(path).token_of("alice").body("{}"))
        .await
        .assert_fault(415, "badMediaType");
    let without_body = Request::post(path).token_of("alice");
    fixture.send(without_body).await.assert_fault(400, "badRequest");
    assert_eq!(catalog_contents(&fixture), before);
}

#[actix_web::test]
async fn a_media_type_may_have_parameters() {
    let fixture = Fixture::new();
    let body = json!({"backup": {"name": "n", "instance": A1}}).to_string();
    let request = Request::post("/v1.0/project-a/backups").token_of("alice");
    let request = request.header("Content-Type", "application/json; charset=utf-8").body(body);
    assert_eq!(fixture.send(request).await.status, 202);
}

#[actix_web::test]
async fn an_invalid_query_is_refused() {
    let fixture = Fixture::new();
    fixture.completed_backup("alice", "project-a", A1, "there").await;
    let long = "x".repeat(3000);
    for query in [
        "limit=0",
        "limit=-1",
        "limit=abc",
        "limit=1&limit=2",
        "limit=1.5",
        "marker=2",
        "marker=abc",
        "marker=..%2F..",
        "status=DONE",
        "status=completed",
        "marker=%ff",
        "marker=deadbeef-0000-4000-8000-00000000dead",
        &format!("marker={long}"),
        &format!("instance_id={long}"),
        &format!("datastore={long}"),
    ] {
        let answer = fixture.get(&format!("/v1.0/project-a/backups?{query}"), "alice").await;
        answer.assert_fault(400, "badRequest");
        let name = query.split('=').next().unwrap();
        assert!(answer.message().contains(name), "{query}: {answer:?}");
    }
    for query in ["limit=0", "marker=abc", "marker=deadbeef-0000-4000-8000-00000000dead"] {
        let answer = fixture.get(&format!("/v1.0/project-a/instances?{query}"), "alice").await;
        answer.assert_fault(400, "badRequest");
    }
    for query in ["limit=", "marker=", "limit=&marker="] {
        let answer = fixture.get(&format!("/v1.0/project-a/backups?{query}"), "alice").await;
        assert_eq!(answer.ids().len(), 1, "an empty {query} is none: {answer:?}");
    }
    // No instance and no engine have these names.
    let none = fixture.get("/v1.0/project-a/backups?instance_id=%27%20OR%201", "alice").await;
    assert_eq!(none.ids(), [""; 0]);
    let unknown = fixture.get("/v1.0/project-a/backups?datastore=oracle", "alice").await;
    unknown.assert_fault(404, "itemNotFound");
}

#[actix_web::test]
async fn a_malformed_id_in_a_path_is_not_found() {
    let fixture = Fixture::new();
    let known = fixture.completed_backup("alice", "project-a", A1, "there").await.to_string();
    for id in [
        "abc",
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "%ff",
        "%C3%A9",
        "%27",
        "a%0d%0aSet-Cookie:%20x",
        &known.to_uppercase(),
        &known.replace('-', ""),
        &format!("{known}.json"),
        &"9".repeat(2000),
    ] {
        for (method, place) in [
            (Method::GET, "backups/"),
            (Method::DELETE, "backups/"),
            (Method::GET, "instances/"),
            (Method::DELETE, "instances/"),
        ] {
            let path = format!("/v1.0/project-a/{place}{id}");
            let answer = fixture.send(Request::new(method, &path).token_of("alice")).await;
            answer.assert_fault(404, "itemNotFound");
            assert!(answer.body.len() < 600, "{answer:?}");
        }
        let path = format!("/v1.0/project-a/backups/{id}/archive");
        fixture.get(&path, "alice").await.assert_fault(404, "itemNotFound");
    }
}
