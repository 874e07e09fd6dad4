//! Every field of every body, wrong in every way: refused with 4xx and the field's name, and nothing
//! is changed.

#![cfg(test)]

mod api_support;

use actix_web::http::Method;
use api_support::{A1, Answer, Ask, House, admin};
use coffer::catalog::Shelf as _;
use serde_json::{Value, json};

/// What a field is made to hold.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A line of words; required or not; null allowed or not.
    Words { required: bool, nullable: bool },
    /// A UUID.
    Uuid { required: bool },
    /// The integer 0 or 1.
    Flag,
    /// A number that is not negative.
    Amount { required: bool },
    /// A folder's name.
    Folder { required: bool },
    /// The one storage driver, or null.
    Driver,
    /// An object.
    Object { required: bool, nullable: bool },
    /// The flavor.
    Flavor,
    /// An integer from -1 on.
    Quota,
    /// A text that is looked up among what is known, or null.
    Named,
    /// A URL below the archive store.
    Url,
}

/// Texts that somebody might hope to get through.
const HOSTILE: [&str; 5] =
    ["../../etc/passwd", "'; DROP TABLE backups; --", "a\u{0}b", "${jndi:x}", "a b"];

/// Texts that a field of this kind must refuse, besides an empty and a very long one.
fn wrong_texts(kind: Kind) -> Vec<&'static str> {
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
fn wrong_values(kind: Kind) -> Vec<Value> {
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

/// Everything that the field must refuse. None: leaving it out.
fn wrong(kind: Kind) -> Vec<Option<Value>> {
    let mut texts: Vec<String> = vec![String::new(), "x".repeat(300)];
    texts.extend(wrong_texts(kind).into_iter().map(str::to_owned));
    let mut values: Vec<Option<Value>> = wrong_values(kind).into_iter().map(Some).collect();
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

/// A route with a body that is fine, and the fields in it.
struct Route {
    method: Method,
    path: &'static str,
    who: &'static str,
    good: Value,
    fields: Vec<(&'static str, Kind)>,
}

fn routes(house: &House, backup_id: &str) -> Vec<Route> {
    vec![backup(backup_id), registration(house), restore(backup_id), strategy(), quota()]
}

fn backup(backup_id: &str) -> Route {
    let words = Kind::Words { required: true, nullable: false };
    Route {
        method: Method::POST,
        path: "/v1.0/project-a/backups",
        who: "alice",
        good: json!({"backup": {"name": "n", "description": "d", "instance": A1,
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

fn registration(house: &House) -> Route {
    let version = api_support::datastore("mysql", "5.7").version_id();
    let archive = house.shelf.url(&"project-a/found.tar.zst".parse().unwrap());
    Route {
        method: Method::POST,
        path: "/v1.0/project-a/backups",
        who: "alice",
        good: json!({"backup": {"name": "n", "restore_from": {"remote_location": archive,
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
        good: json!({"instance": {"name": "n", "flavorRef": 1, "volume": {"size": 1},
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
        good: json!({"backup_strategy": {"instance_id": A1, "swift_container": "c"}}),
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
        good: json!({"quotas": {"backups": 5, "instances": 6}}),
        fields: vec![
            ("/quotas", Kind::Object { required: true, nullable: false }),
            ("/quotas/backups", Kind::Quota),
            ("/quotas/instances", Kind::Quota),
        ],
    }
}

/// The good body with one field changed or left out.
fn spoiled(good: &Value, field: &str, value: Option<Value>) -> Value {
    let mut body = good.clone();
    if let Some(value) = value {
        *body.pointer_mut(field).unwrap() = value;
    } else {
        let (parent, key) = field.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    }
    body
}

/// Everything the catalog holds that these routes could change.
fn everything(house: &House) -> String {
    let project = api_support::project("project-a");
    let look = admin();
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}",
        house.catalog.every_backup().unwrap(),
        house.catalog.all_instances(&admin()).unwrap(),
        house.catalog.strategies(&look, Some(&project), None).unwrap(),
        house.catalog.quotas(&look, &project).unwrap(),
    )
}

async fn send(house: &House, route: &Route, body: &Value) -> Answer {
    house.ask(Ask::new(route.method.clone(), route.path).of(route.who).json(body)).await
}

#[actix_web::test]
async fn every_field_wrong_in_every_way_is_refused_by_name_and_changes_nothing() {
    let house = House::new();
    let backup = house.completed("alice", "project-a", A1, "there").await.to_string();
    house.shelf.put("project-a/found.tar.zst", b"found");
    let before = everything(&house);
    for route in routes(&house, &backup) {
        for (field, kind) in &route.fields {
            for value in wrong(*kind) {
                let body = spoiled(&route.good, field, value.clone());
                let answer = send(&house, &route, &body).await;
                let what = format!("{field} = {value:?}: {answer:?}");
                assert!((400..500).contains(&answer.status), "{what}");
                answer.must_be_fault(answer.status, &answer.fault().unwrap_or_default());
                let name = field.rsplit('/').next().unwrap();
                assert!(answer.message().contains(name), "{name} is not named: {what}");
            }
        }
    }
    assert_eq!(everything(&house), before);
}

#[actix_web::test]
async fn the_bodies_that_are_spoiled_here_are_fine_before_that() {
    for index in 0..5 {
        let house = House::new();
        let backup = house.completed("alice", "project-a", A1, "there").await.to_string();
        let route = routes(&house, &backup).swap_remove(index);
        let answer = send(&house, &route, &route.good).await;
        assert!(answer.status < 300, "{answer:?}");
    }
}

#[actix_web::test]
async fn what_is_no_body_at_all_is_refused() {
    let house = House::new();
    let before = everything(&house);
    let path = "/v1.0/project-a/backups";
    let deep = "[".repeat(100_000);
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
        let ask = Ask::post(path).of("alice").header("Content-Type", "application/json");
        house.ask(ask.body(body.to_vec())).await.must_be_fault(400, "badRequest");
    }
    let long = json!({"backup": {"name": "n", "instance": A1, "junk": "j".repeat(1 << 20)}});
    house.post(path, "alice", &long).await.must_be_fault(413, "overLimit");
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "APPLICATION/JSON",
        "",
    ] {
        let ask = Ask::post(path).of("alice").header("Content-Type", media_type).body("{}");
        house.ask(ask).await.must_be_fault(415, "badMediaType");
    }
    house.ask(Ask::post(path).of("alice").body("{}")).await.must_be_fault(415, "badMediaType");
    assert_eq!(everything(&house), before);
}

#[actix_web::test]
async fn a_media_type_may_have_parameters() {
    let house = House::new();
    let body = json!({"backup": {"name": "n", "instance": A1}}).to_string();
    let ask = Ask::post("/v1.0/project-a/backups").of("alice");
    let ask = ask.header("Content-Type", "application/json; charset=utf-8").body(body);
    assert_eq!(house.ask(ask).await.status, 202);
}

#[actix_web::test]
async fn a_query_that_is_not_understood_is_refused() {
    let house = House::new();
    house.completed("alice", "project-a", A1, "there").await;
    let long = "x".repeat(3000);
    for query in [
        "limit=0",
        "limit=-1",
        "limit=abc",
        "limit=",
        "limit=1&limit=2",
        "limit=1.5",
        "marker=",
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
        let answer = house.get(&format!("/v1.0/project-a/backups?{query}"), "alice").await;
        answer.must_be_fault(400, "badRequest");
        let name = query.split('=').next().unwrap();
        assert!(answer.message().contains(name), "{query}: {answer:?}");
    }
    for query in ["limit=0", "marker=abc", "marker=deadbeef-0000-4000-8000-00000000dead"] {
        let answer = house.get(&format!("/v1.0/project-a/instances?{query}"), "alice").await;
        answer.must_be_fault(400, "badRequest");
    }
    // Of no instance, and of no known engine.
    let none = house.get("/v1.0/project-a/backups?instance_id=%27%20OR%201", "alice").await;
    assert_eq!(none.ids(), [""; 0]);
    let unknown = house.get("/v1.0/project-a/backups?datastore=oracle", "alice").await;
    unknown.must_be_fault(404, "itemNotFound");
}

#[actix_web::test]
async fn an_id_in_a_path_that_is_none_is_not_found_whatever_it_holds() {
    let house = House::new();
    let there = house.completed("alice", "project-a", A1, "there").await.to_string();
    for id in [
        "abc",
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "%ff",
        "%C3%A9",
        "%27",
        "a%0d%0aSet-Cookie:%20x",
        &there.to_uppercase(),
        &there.replace('-', ""),
        &format!("{there}.json"),
        &"9".repeat(2000),
    ] {
        for (method, place) in [
            (Method::GET, "backups/"),
            (Method::DELETE, "backups/"),
            (Method::GET, "instances/"),
            (Method::DELETE, "instances/"),
        ] {
            let path = format!("/v1.0/project-a/{place}{id}");
            let answer = house.ask(Ask::new(method, &path).of("alice")).await;
            answer.must_be_fault(404, "itemNotFound");
            assert!(answer.body.len() < 600, "{answer:?}");
        }
        let path = format!("/v1.0/project-a/backups/{id}/archive");
        house.get(&path, "alice").await.must_be_fault(404, "itemNotFound");
    }
}
