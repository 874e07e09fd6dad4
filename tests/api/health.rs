//! Whether everything is safe, as clients are told; and the metrics of single instances.

use std::collections::BTreeSet;

use coffer::api::AuthMode;
use coffer::catalog::Notice;
use coffer::domain::{DiskRoom, Failure, FailureCode};
use serde_json::{Value, json};

use crate::support::{A1, B1, Fixture, blocking};

async fn health(fixture: &Fixture, path: &str, caller: &str) -> Value {
    fixture.get(path, caller).await.json()["health"].clone()
}

fn of<'a>(health: &'a Value, id: &str) -> &'a Value {
    let all = health["instances"].as_array().unwrap();
    all.iter().find(|it| it["instance_id"] == id).unwrap()
}

#[actix_web::test]
async fn a_reader_sees_how_the_instances_of_the_project_are() {
    let fixture = Fixture::new();
    let made = fixture.completed_backup("alice", "project-a", A1, "made").await.to_string();
    let found = health(&fixture, "/v1.0/project-a/health", "reader").await;
    let shown = of(&found, A1);
    assert_eq!((&shown["state"], &shown["restore_points"]), (&json!("safe"), &json!(1)));
    assert_eq!(shown["last_good"]["backup_id"], made);
    assert_eq!((&shown["problems"], &shown["next_run"]), (&json!([]), &Value::Null));
    // Nobody backs up the others.
    assert_eq!((&found["state"], &found["problems"]), (&json!("not_backed_up"), &json!([])));
    let projects: BTreeSet<_> =
        found["instances"].as_array().unwrap().iter().map(|it| it["project_id"].as_str()).collect();
    assert_eq!(projects, [Some("project-a")].into());
}

#[actix_web::test]
async fn damage_is_critical_and_only_an_administrator_sees_every_project() {
    let fixture = Fixture::new();
    let made = fixture.completed_backup("bob", "project-b", B1, "made").await;
    let failure = Failure::new(FailureCode::ArchiveDamaged, "a bit is wrong");
    blocking(|| fixture.catalog.report_damage(made, failure).wait()).unwrap();
    let all = "/v1.0/p-admin/health?all_projects=true";
    let found = health(&fixture, all, "admin").await;
    assert_eq!(found["state"], "critical");
    let problem = &found["problems"][0];
    assert_eq!((&problem["kind"], &problem["severity"]), (&json!("damaged"), &json!("critical")));
    assert_eq!(problem["instance_id"], B1);
    assert!(problem["message"].as_str().unwrap().contains("a bit is wrong"), "{problem}");
    let other = health(&fixture, "/v1.0/project-a/health", "alice").await;
    assert_eq!(other["problems"], json!([]));
    let refused = fixture.get("/v1.0/project-a/health?all_projects=true", "alice").await;
    refused.assert_fault(403, "forbidden");
}

#[actix_web::test]
async fn a_server_that_begins_nothing_says_so_and_still_answers_200() {
    let fixture = Fixture::new();
    let status = async || fixture.get("/healthcheck", "").await.json()["status"].clone();
    fixture.catalog.set_notice(Notice::CatalogRebuilt, Some("it was rebuilt".to_owned()));
    assert_eq!(status().await, "ok", "that stops nothing");
    fixture.catalog.set_notice(Notice::ArchivesMissing, Some("they are gone".to_owned()));
    assert_eq!(status().await, "stopped");
    let found = health(&fixture, "/v1.0/project-a/health", "reader").await;
    assert_eq!(found["problems"][0]["kind"], "server_stopped");
    assert_eq!(found["notices"], json!(["it was rebuilt"]));
    fixture.catalog.set_notice(Notice::ArchivesMissing, None);
    assert_eq!(status().await, "ok");
}

async fn metrics(fixture: &Fixture, caller: &str) -> String {
    let answer = fixture.get("/metrics", caller).await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|it| it == line)
}

#[actix_web::test]
async fn metrics_name_an_instance_only_to_who_may_see_it() {
    let fixture = Fixture::new();
    let room = DiskRoom { free_bytes: 900, total_bytes: 1000, headroom_bytes: 100 };
    fixture.catalog.note_room(room, 0);
    fixture.completed_backup("alice", "project-a", A1, "made").await;
    let of_a = format!("coffer_restore_points{{project=\"project-a\",name=\"a1\",id=\"{A1}\"}} 1");
    let of_b = format!("coffer_restore_points{{project=\"project-b\",name=\"b1\",id=\"{B1}\"}} 0");
    let anonymous = metrics(&fixture, "").await;
    for line in [
        "coffer_catalog_up 1",
        "coffer_stopped 0",
        "coffer_disk_free_bytes 800",
        "coffer_queue_length{kind=\"backup\"} 0",
    ] {
        assert!(has(&anonymous, line), "{line} is not in\n{anonymous}");
    }
    assert!(!anonymous.contains("project") && !anonymous.contains(A1), "{anonymous}");
    let reader = metrics(&fixture, "reader").await;
    assert!(has(&reader, &of_a) && !reader.contains("project-b"), "{reader}");
    assert!(!reader.contains("coffer_archives_bytes"), "{reader}");
    let admin = metrics(&fixture, "admin").await;
    assert!(has(&admin, &of_a) && has(&admin, &of_b), "{admin}");
    fixture.get("/metrics", "nobody").await.assert_fault(401, "unauthorized");
    let open = Fixture::with(AuthMode::None, None);
    assert!(metrics(&open, "").await.contains(A1));
}

#[actix_web::test]
async fn every_family_of_the_metrics_has_one_head_and_its_series_follow_it() {
    let fixture = Fixture::new();
    fixture.completed_backup("alice", "project-a", A1, "made").await;
    fixture.catalog.set_notice(Notice::DiskFull, Some("it is full".to_owned()));
    let text = metrics(&fixture, "admin").await;
    let (mut seen, mut family) = (BTreeSet::new(), String::new());
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            family = head.split(' ').next().unwrap().to_owned();
            assert!(seen.insert(family.clone()), "{family} twice in\n{text}");
        } else if !line.starts_with('#') {
            assert!(line.split(['{', ' ']).next() == Some(&family), "{line} under {family}");
        }
    }
    let stopped = "coffer_problem{kind=\"server_stopped\",severity=\"critical\"} 1";
    assert!(has(&text, stopped), "{text}");
}
