//! What clients read when something is refused: Trove's sentences where it has them.

use crate::support::{A1, A2, Answer, Fixture, UNKNOWN_ID, VERTICA, datastore};
use actix_web::http::Method;
use coffer::wire::ArchiveUrls as _;
use serde_json::{Value, json};

const BACKUPS: &str = "/v1.0/project-a/backups";

async fn create(fixture: &Fixture, backup: Value) -> Answer {
    fixture.post(BACKUPS, "alice", &json!({"backup": backup})).await
}

#[track_caller]
fn assert_says(answer: &Answer, status: u16, sentence: &str) {
    assert_eq!((answer.status, answer.message().as_str()), (status, sentence));
}

#[actix_web::test]
async fn what_does_not_exist_is_named() {
    let fixture = Fixture::new();
    let answer = fixture.get(&format!("{BACKUPS}/{UNKNOWN_ID}"), "alice").await;
    assert_says(&answer, 404, &format!("Resource {UNKNOWN_ID} cannot be found."));
    let answer = fixture.get(&format!("{BACKUPS}?datastore=SQLite"), "alice").await;
    assert_says(&answer, 404, "Datastore 'SQLite' cannot be found.");
    fixture.archives.put("project-a/found.tar.zst", b"found");
    let archive = fixture.archives.url(&"project-a/found.tar.zst".parse().unwrap());
    let version = datastore("oracle", "7").version_id();
    let from = json!({
        "remote_location": archive, "local_datastore_version_id": version, "size": 1
    });
    let answer = create(&fixture, json!({"name": "n", "restore_from": from})).await;
    assert_says(&answer, 400, &format!("Datastore version '{version}' cannot be found."));
}

#[actix_web::test]
async fn what_a_caller_may_not_do_is_said_in_troves_words() {
    let fixture = Fixture::new();
    let strategies = "/v1.0/project-a/backup_strategies?project_id=project-b";
    let answer = fixture.get(strategies, "alice").await;
    assert_says(&answer, 403, "Operation not allowed for tenant project-a.");
    let answer = create(&fixture, json!({"name": "n", "instance": VERTICA})).await;
    assert_says(
        &answer,
        501,
        "The 'backup_create' operation is not supported for the 'vertica' datastore.",
    );
    let quota = json!({"quotas": {"backups": 0}});
    let request = crate::support::Request::new(Method::PUT, "/v1.0/p-admin/mgmt/quotas/project-a");
    assert_eq!(fixture.send(request.token_of("admin").json(&quota)).await.status, 200);
    let answer = create(&fixture, json!({"name": "n", "instance": A1})).await;
    assert_says(&answer, 413, "Quota exceeded for resources: ['backups'].");
}

#[actix_web::test]
async fn what_has_to_end_first_is_named_with_its_status() {
    let fixture = Fixture::new();
    let root = fixture.completed_backup("alice", "project-a", A1, "root").await;
    let child = create(&fixture, json!({"name": "n", "instance": A1, "parent_id": root})).await;
    let child = child.json()["backup"]["id"].as_str().unwrap().to_owned();
    let answer = create(&fixture, json!({"name": "n", "instance": A1})).await;
    let busy = format!(
        "Instance {A1} is not currently available for an action to be performed (instance status \
         was BACKUP)."
    );
    assert_says(&answer, 422, &busy);
    let answer = create(&fixture, json!({"name": "n", "instance": A2, "parent_id": root})).await;
    let other = format!("parent_id: backup {root} is not a backup of instance {A2}.");
    assert_says(&answer, 400, &other);
    let answer = fixture.post(&format!("{BACKUPS}/{child}/drill"), "alice", &json!({})).await;
    let new = format!("Backup {child} is NEW: only COMPLETED and RESTORED ones can be drilled.");
    assert_says(&answer, 422, &new);
    for (id, which) in [
        (child.clone(), format!("Backup {child}")),
        (root.to_string(), format!("Backup {child}, which is built on {root},")),
    ] {
        let answer = fixture.delete(&format!("{BACKUPS}/{id}"), "alice").await;
        let wait = format!("{which} is NEW: wait until it has ended, then delete again.");
        assert_says(&answer, 422, &wait);
    }
}
