//! Drills as they go over the wire, in their backups: an extension.

use serde::Serialize;

use crate::domain::{Drill, DrillOutcome, DrillTurn, Failure, RowsByTable};

/// A drill. While the next one waits or runs, all but its status is the last one's.
#[derive(Debug, Serialize)]
pub(super) struct DrillView<'a> {
    status: &'static str,
    at: Option<String>,
    seconds: Option<f64>,
    tables: Option<u64>,
    rows: Option<u64>,
    check: Option<&'a str>,
    version: Option<&'a str>,
    failure: Option<&'a Failure>,
    /// Only where one backup is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_by_table: Option<RowsByTable>,
}

/// Where a backup stands with drills, and what the last one counted if it passed; `None`: there is none.
pub(super) fn drill(drill: &Drill, counted: Option<RowsByTable>) -> Option<DrillView<'_>> {
    let last = drill.last.as_ref();
    let facts = last.and_then(|it| it.found.as_ref().ok());
    Some(DrillView {
        status: status(drill.next, last)?,
        at: last.map(|it| it.at.to_wire()),
        seconds: last.map(|it| it.took.as_secs_f64()),
        tables: facts.map(|it| it.tables),
        rows: facts.map(|it| it.rows),
        check: facts.map(|it| it.check.as_str()),
        version: facts.map(|it| it.version.as_str()),
        failure: last.and_then(|it| it.found.as_ref().err()),
        rows_by_table: counted.filter(|_rows| facts.is_some()),
    })
}

fn status(next: Option<DrillTurn>, last: Option<&DrillOutcome>) -> Option<&'static str> {
    match (next, last.map(|it| it.found.is_ok())) {
        (Some(DrillTurn::Asked), _) => Some("waiting"),
        (Some(DrillTurn::Claimed), _) => Some("running"),
        (None, Some(true)) => Some("passed"),
        (None, Some(false)) => Some("failed"),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{DrillFacts, FailureCode, Timestamp};

    fn shown(next: Option<DrillTurn>, found: Option<Result<DrillFacts, Failure>>) -> Value {
        let last = found.map(|found| DrillOutcome {
            at: Timestamp::from_micros(1_795_460_400_000_000),
            took: Duration::from_millis(1250),
            found,
        });
        serde_json::to_value(drill(&Drill { next, last }, None)).unwrap()
    }

    fn facts() -> DrillFacts {
        DrillFacts { version: "3.51".into(), check: "integrity_check".into(), tables: 2, rows: 7 }
    }

    #[test]
    fn no_drill_is_null_and_one_that_ended_tells_what_it_found() {
        assert_eq!(shown(None, None), Value::Null);
        let passed = json!({
            "status": "passed", "at": "2026-11-23T19:00:00", "seconds": 1.25, "tables": 2,
            "rows": 7, "check": "integrity_check", "version": "3.51", "failure": null,
        });
        assert_eq!(shown(None, Some(Ok(facts()))), passed);
        let failure = Failure::new(FailureCode::DiskFull, "no room");
        let failed = json!({
            "status": "failed", "at": "2026-11-23T19:00:00", "seconds": 1.25, "tables": null,
            "rows": null, "check": null, "version": null,
            "failure": {"code": "disk_full", "message": "no room"},
        });
        assert_eq!(shown(None, Some(Err(failure))), failed);
    }

    #[test]
    fn one_that_is_to_come_shows_the_one_before() {
        let first = shown(Some(DrillTurn::Asked), None);
        assert_eq!((&first["status"], &first["at"]), (&json!("waiting"), &Value::Null));
        let again = shown(Some(DrillTurn::Claimed), Some(Ok(facts())));
        assert_eq!((&again["status"], &again["rows"]), (&json!("running"), &json!(7)));
    }
}
