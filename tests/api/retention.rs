//! Schedules, what retention would delete, and pins.

use std::collections::HashMap;

use crate::support::{A1, B1, Fixture, Request};
use actix_web::http::Method;
use coffer::domain::InstanceId;
use coffer::policy::{FullEvery, HealthLimits, Keep, Policy, Span, Tier, Timetable};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

const PROJECT: &str = "/v1.0/project-a";

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

/// Each hour; the newest is kept.
fn hourly() -> Policy {
    let timetable = Timetable {
        schedule: "hourly :15".parse().unwrap(),
        zone: TimeZone::UTC,
        jitter: Span::default(),
        window: None,
        full_every: FullEvery::Week,
        retries: 3,
    };
    let keep = Keep::new([(Tier::Last, 1)]);
    Policy {
        zone: TimeZone::UTC,
        timetable: Some(timetable),
        keep: Some(keep),
        drill: None,
        staging: None,
        health: HealthLimits::default(),
    }
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.catalog.set_policies(HashMap::from([(id(A1), hourly()), (id(B1), hourly())]));
    fixture
}

#[actix_web::test]
async fn a_project_lists_its_own_schedules_with_their_next_runs() {
    let fixture = fixture();
    // The scheduler sees the schedule for the first time.
    crate::support::blocking(|| fixture.catalog.advance_schedule(id(A1)).wait()).unwrap();
    let answer = fixture.get(&format!("{PROJECT}/backup_schedules"), "reader").await;
    assert_eq!(
        answer.json(),
        json!({"backup_schedules": [{
            "instance_id": A1, "instance_name": "a1", "project_id": "project-a",
            "schedule": "hourly :15", "timezone": "UTC", "window": null, "full_every": "weekly",
            "next_run": "2026-11-23T19:15:00", "last_backup_id": null,
            "overdue_since": null, "drill": null, "last_drill": null, "next_drill": null,
            "staging_to": null, "next_staging": null, "next_scrub": null, "set_through_api": false,
        }]})
    );
    let all = "/v1.0/p-admin/backup_schedules?all_projects=true";
    let all = fixture.get(all, "admin").await.json();
    assert_eq!(all["backup_schedules"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn the_preview_says_what_would_go_and_a_pin_keeps_it() {
    let fixture = fixture();
    let old = fixture.completed_backup("alice", "project-a", A1, "old").await.to_string();
    let new = fixture.completed_backup("alice", "project-a", A1, "new").await.to_string();
    let preview = async || {
        let answer = fixture.get(&format!("{PROJECT}/instances/{A1}/retention"), "reader").await;
        answer.json()["retention"].clone()
    };
    let first = preview().await;
    assert_eq!((&first["keep"], &first["suspended"]), (&json!({"last": 1}), &json!([])));
    let chain = |preview: &Value, at: usize, key: &str| preview["chains"][at][key].clone();
    assert_eq!(chain(&first, 0, "root_id"), new);
    assert_eq!(chain(&first, 0, "kept_by"), json!(["last"]));
    assert_eq!(chain(&first, 0, "held_by"), json!(["newest_proven", "no_newer_root"]));
    assert_eq!(
        (chain(&first, 1, "goes"), chain(&first, 1, "reason")),
        (json!(true), json!("expired"))
    );
    assert_eq!(first["freed_bytes"], chain(&first, 1, "size_bytes"));
    assert_eq!(first["restore_points_left"], 1);

    let pin = format!("{PROJECT}/backups/{old}/pin");
    let pinned = fixture.send(Request::new(Method::PUT, &pin).token_of("alice")).await;
    assert_eq!(pinned.status, 200, "{pinned:?}");
    assert!(pinned.json()["backup"]["pinned_at"].is_string());
    let second = preview().await;
    assert_eq!(
        (chain(&second, 1, "goes"), chain(&second, 1, "held_by")),
        (json!(false), json!(["pinned"]))
    );
    let refused = fixture.delete(&format!("{PROJECT}/backups/{old}"), "alice").await;
    assert_eq!((refused.status, refused.message().contains("is pinned: unpin it")), (422, true));
    let unpinned = fixture.delete(&pin, "alice").await.json();
    assert_eq!(unpinned["backup"]["pinned_at"], Value::Null);
    assert_eq!(preview().await, first);
}

#[actix_web::test]
async fn a_backup_without_an_archive_cannot_be_pinned() {
    let fixture = fixture();
    let waiting = fixture.create_backup("alice", "project-a", A1, "waiting").await;
    let pin = format!("{PROJECT}/backups/{waiting}/pin");
    let refused = fixture.send(Request::new(Method::PUT, &pin).token_of("alice")).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    fixture.run_jobs(b"x");
}
