//! What Trove does to the servers that it runs, and where a server is reached.

use crate::support::{A1, B1, Fixture, POSTGRES, UNKNOWN_ID};
use serde_json::{Value, json};

async fn act(fixture: &Fixture, who: &str, instance: &str, body: &Value) -> u16 {
    let project = if who == "admin" { "p-admin" } else { "project-a" };
    let path = format!("/v1.0/{project}/instances/{instance}/action");
    fixture.post(&path, who, body).await.status
}

#[actix_web::test]
async fn a_status_is_reset_by_administrators_unless_something_runs() {
    let fixture = Fixture::new();
    let reset = json!({"reset_status": {}});
    assert_eq!(act(&fixture, "admin", A1, &reset).await, 202);
    assert_eq!(act(&fixture, "admin", UNKNOWN_ID, &reset).await, 404);
    assert_eq!(act(&fixture, "alice", A1, &reset).await, 403);
    fixture.create_backup("alice", "project-a", A1, "n").await;
    let _running = fixture.claim_backup();
    assert_eq!(act(&fixture, "admin", A1, &reset).await, 422);
}

#[actix_web::test]
async fn other_actions_are_refused_with_the_reason() {
    let fixture = Fixture::new();
    let path = format!("/v1.0/project-a/instances/{A1}/action");
    let answer = fixture.post(&path, "alice", &json!({"restart": {}})).await;
    answer.assert_fault(501, "notImplemented");
    assert!(answer.message().contains("'restart'"), "{answer:?}");
    for body in [json!({}), json!({"dance": {}}), json!([])] {
        fixture.post(&path, "alice", &body).await.assert_fault(400, "badRequest");
    }
    assert_eq!(act(&fixture, "alice", B1, &json!({"reset_status": {}})).await, 403);
}

#[actix_web::test]
async fn the_address_of_an_instances_server_is_shown() {
    let fixture = Fixture::new();
    let answer = fixture.get(&format!("/v1.0/project-a/instances/{POSTGRES}"), "alice").await;
    let address = json!([{"address": "10.0.0.7", "type": "private"}]);
    assert_eq!(answer.json()["instance"]["addresses"], address);
    let file = fixture.get(&format!("/v1.0/project-a/instances/{A1}"), "alice").await;
    assert_eq!(file.json()["instance"].get("addresses"), None);
}
