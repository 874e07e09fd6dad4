//! A backup as clients see it.

use std::time::Duration;

use coffer::domain::{
    Backup, BackupId, Datastore, Drill, DrillFacts, DrillOutcome, Failure, FailureCode, Location,
    NextDrill, Timestamp, Verdict,
};
use coffer::wire::{ArchiveUrls, BackupView, gigabytes};
use serde_json::{Value, json};

struct NoArchives;

impl ArchiveUrls for NoArchives {
    fn url(&self, location: &Location) -> String {
        location.to_string()
    }

    fn driver(&self) -> &'static str {
        "none"
    }
}

#[test]
fn a_small_archive_is_not_rounded_to_nothing() {
    assert!((gigabytes(42_000) - 0.000_039_115_548_133_850_1).abs() < 1e-12);
    assert!((gigabytes(10 << 30) - 10.0).abs() < f64::EPSILON);
    assert!(gigabytes(0).abs() < f64::EPSILON);
}

/// What is shown of the last drill, and of the one to come.
fn shown(next: Option<NextDrill>, verdict: Option<Verdict>) -> (Value, Value) {
    let at = Timestamp::from_micros(1_795_460_400_000_000);
    let took = Duration::from_millis(1250);
    let last = verdict.map(|verdict| DrillOutcome { at, took, verdict });
    let datastore = Datastore { engine: "sqlite".to_owned(), version: "3.51".to_owned() };
    let (id, project) = (BackupId::generate(), "a".parse().unwrap());
    let mut backup = Backup::new(id, project, "n".to_owned(), datastore, at);
    backup.drill = Drill { next, last };
    let mut view = serde_json::to_value(BackupView::new(backup, &NoArchives)).unwrap();
    (view["drill"].take(), view["next_drill"].take())
}

fn facts() -> DrillFacts {
    DrillFacts { version: "3.51".into(), check: "integrity_check".into(), tables: 2, rows: 7 }
}

#[test]
fn a_backup_without_drill_shows_null_and_an_ended_drill_shows_what_it_found() {
    assert_eq!(shown(None, None), (Value::Null, Value::Null));
    let passed = json!({
        "status": "passed", "at": "2026-11-23T19:00:00", "seconds": 1.25, "tables": 2,
        "rows": 7, "check": "integrity_check", "version": "3.51", "failure": null,
    });
    assert_eq!(shown(None, Some(Verdict::Passed(facts()))), (passed, Value::Null));
    let failure = Failure::new(FailureCode::DiskFull, "no room");
    let stopped = json!({
        "status": "inconclusive", "at": "2026-11-23T19:00:00", "seconds": 1.25, "tables": null,
        "rows": null, "check": null, "version": null,
        "failure": {"code": "disk_full", "message": "no room"},
    });
    assert_eq!(shown(None, Some(Verdict::Inconclusive(failure.clone()))).0, stopped);
    let (damaged, _) = shown(None, Some(Verdict::Damaged(failure)));
    assert_eq!(damaged["status"], "damaged");
}

#[test]
fn a_drill_that_has_not_ended_is_shown_beside_the_last_that_did() {
    assert_eq!(shown(Some(NextDrill::Waiting), None), (Value::Null, json!("waiting")));
    let (last, next) = shown(Some(NextDrill::Running), Some(Verdict::Passed(facts())));
    assert_eq!((&last["status"], &last["rows"]), (&json!("passed"), &json!(7)));
    assert_eq!(next, "running");
}
