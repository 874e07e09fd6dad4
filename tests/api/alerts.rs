//! Alerts: a project sees its own; what is wrong with the server, and where messages go, is for administrators.

use crate::support::{A1, B1, Fixture, START, blocking};
use coffer::policy::{AlertRoute, AlertRoutes, Problem, ProblemKind, Span};
use serde_json::{Value, json};

fn problem(kind: ProblemKind, instance: Option<&str>) -> Problem {
    Problem {
        kind,
        instance: instance.map(|id| id.parse().unwrap()),
        since: START,
        message: "It failed.".to_owned(),
        advice: "Look.".to_owned(),
    }
}

/// One alert of each project and one of the server, which nobody has been told of yet.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let default = AlertRoute { channels: vec!["ops".to_owned()], reminder: Span::days(1) };
    fixture.catalog.set_alert_routes(AlertRoutes { default, ..AlertRoutes::default() });
    let problems = vec![
        problem(ProblemKind::Failed, Some(A1)),
        problem(ProblemKind::Missed, Some(B1)),
        problem(ProblemKind::RoomLow, None),
    ];
    blocking(|| fixture.catalog.update_alerts(problems, true)).unwrap();
    fixture
}

fn kinds(list: &Value) -> Vec<&str> {
    list["alerts"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn a_project_sees_its_own_alerts_and_administrators_all_with_the_messages_that_wait() {
    let fixture = fixture();
    let own = fixture.get("/v1.0/project-a/alerts", "reader").await.json();
    assert_eq!((kinds(&own), &own["undelivered"]), (vec!["failed"], &json!([])));
    let mut alert = own["alerts"][0].clone();
    for key in ["id", "began", "said"] {
        assert!(alert.as_object_mut().unwrap().remove(key).unwrap().is_string(), "{own}");
    }
    assert_eq!(
        alert,
        json!({
            "kind": "failed", "severity": "critical", "instance_id": A1, "instance_name": "a1",
            "project_id": "project-a", "since": "2026-11-23T19:00:00", "ended": null,
            "message": "It failed.", "advice": "Look.",
        })
    );
    let all = fixture.get("/v1.0/p-admin/alerts?all_projects=true", "admin").await.json();
    assert_eq!(kinds(&all), ["failed", "missed", "room_low"]);
    let waiting = all["undelivered"].as_array().unwrap();
    assert_eq!(waiting.len(), 3);
    assert_eq!(waiting[0]["channel"], "ops");
    assert_eq!(waiting[0]["title"], "a1: the backup failed");
    assert_eq!((&waiting[0]["attempts"], &waiting[0]["last_error"]), (&json!(0), &Value::Null));
}

#[actix_web::test]
async fn an_alert_that_is_over_stays_in_the_list_with_its_end() {
    let fixture = fixture();
    blocking(|| fixture.catalog.update_alerts(Vec::new(), true)).unwrap();
    let own = fixture.get("/v1.0/project-b/alerts", "bob").await.json();
    assert_eq!(kinds(&own), ["missed"]);
    assert!(own["alerts"][0]["ended"].is_string(), "{own}");
}
