//! The event log through the API.

use coffer::catalog::Reply;

use crate::support::{A1, Fixture, Request, blocking};
use actix_web::http::Method;
use serde_json::{Value, json};

const PROJECT: &str = "/v1.0/project-a";
const EVERY: &str = "/v1.0/p-admin/events?all_projects=true";

async fn events(fixture: &Fixture, path: &str, who: &str) -> Vec<Value> {
    let answer = fixture.get(path, who).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["events"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn a_project_lists_its_own_events_by_pages_and_an_administrator_all_with_their_origins() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "nightly").await.to_string();
    let pin = Request::new(Method::PUT, &format!("{PROJECT}/backups/{id}/pin")).token_of("alice");
    assert_eq!(fixture.send(pin).await.status, 200);
    let listed = events(&fixture, &format!("{PROJECT}/events"), "reader").await;
    let pinned = &listed[0];
    assert_eq!(
        *pinned,
        json!({
            "id": 2, "created": pinned["created"], "project_id": "project-a", "who": "alice", "origin": null,
            "action": "backup_pin", "object_id": id, "outcome": "done", "detail": "", "hash": null
        })
    );
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[1]["action"], &listed[1]["detail"]),
        (&json!("backup_create"), &json!("of instance a1"))
    );
    assert_eq!(events(&fixture, "/v1.0/project-b/events", "bob").await, Vec::<Value>::new());
    let all = events(&fixture, EVERY, "admin").await;
    assert_eq!((all.len(), &all[0]["id"]), (2, &json!(2)));
    assert!(all[0]["origin"].is_string() && all[0]["hash"].as_str().unwrap().len() == 64);

    let first = fixture.get(&format!("{PROJECT}/events?limit=1&object_id={id}"), "alice").await;
    assert_eq!(first.json()["events"], json!([pinned]));
    let second = fixture.get(&first.next().unwrap(), "alice").await;
    assert_eq!((&second.json()["events"], second.next()), (&json!([listed[1]]), None));
    let narrowed = |query: &str| format!("{PROJECT}/events?{query}");
    let pins = events(&fixture, &narrowed("action=backup_pin&who=alice"), "alice").await;
    assert_eq!(pins, std::slice::from_ref(pinned));
    assert_eq!(events(&fixture, &narrowed("who=schedule"), "alice").await, Vec::<Value>::new());
    let unknown = fixture.get(&narrowed("action=walk"), "alice").await;
    unknown.assert_fault(400, "badRequest");
    fixture
        .get(&format!("{PROJECT}/events?marker=x"), "alice")
        .await
        .assert_fault(400, "badRequest");
}

#[actix_web::test]
async fn wrong_tokens_requests_that_are_not_allowed_and_downloads_are_counted_without_any_secret() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "nightly").await.to_string();
    for _attempt in 0..3 {
        assert_eq!(fixture.get(&format!("{PROJECT}/backups"), "stranger").await.status, 401);
        assert_eq!(
            fixture.get(&format!("{PROJECT}/backups/{id}/archive"), "reader").await.status,
            200
        );
    }
    assert_eq!(
        fixture.get(&format!("{PROJECT}/backups"), "").await.status,
        401,
        "no token is no wrong one"
    );
    assert_eq!(fixture.delete(&format!("{PROJECT}/backups/{id}"), "reader").await.status, 403);
    assert_eq!(fixture.get(&format!("{PROJECT}/backups"), "bob").await.status, 403);
    assert_eq!(events(&fixture, EVERY, "admin").await.len(), 1, "they are not written one by one");
    blocking(|| fixture.catalog.write_counted(false).map(Reply::wait)).unwrap().unwrap();
    let written = fixture.get(EVERY, "admin").await;
    assert!(!String::from_utf8_lossy(&written.body).contains("secret"), "{written:?}");
    let mut found: Vec<Value> = events(&fixture, EVERY, "admin").await;
    found.pop();
    found.sort_by_key(|it| (it["action"].to_string(), it["who"].to_string()));
    let short = |it: &Value| {
        ["action", "who", "outcome", "project_id", "object_id", "detail"].map(|key| it[key].clone())
    };
    let found: Vec<_> = found.iter().map(short).collect();
    let row = |values: [Value; 6]| values;
    assert_eq!(
        found,
        [
            row([
                json!("access"),
                json!("bob"),
                json!("refused"),
                Value::Null,
                Value::Null,
                json!("")
            ]),
            row([
                json!("access"),
                json!("reader"),
                json!("refused"),
                json!("project-a"),
                Value::Null,
                json!("")
            ]),
            row([
                json!("backup_download"),
                json!("reader"),
                json!("done"),
                json!("project-a"),
                json!(id),
                json!("3 times")
            ]),
            row([
                json!("sign_in"),
                json!("unknown"),
                json!("refused"),
                Value::Null,
                Value::Null,
                json!("3 times")
            ]),
        ]
    );
}
