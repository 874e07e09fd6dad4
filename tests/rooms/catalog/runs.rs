//! Runs: what is kept of every attempt, and for how long.

use super::fixture::*;
use super::*;
use coffer::domain::{
    Failure, FailureCode, InstanceStatus, ParentChoice, RunEnd, RunKind, RunNumbers, RunResult,
    Source, Timestamp, VerifyLevel,
};

/// Kind and result of each run of a backup; open ones are `waits` or `runs`.
fn runs(catalog: &Catalog, id: BackupId) -> Vec<(RunKind, &'static str)> {
    let found = catalog.runs_of_backup(id).unwrap();
    let result = |run: &Run| match &run.end {
        Some(end) => end.result.as_str(),
        None if run.begun.is_some() => "runs",
        None => "waits",
    };
    found.iter().map(|run| (run.kind, result(run))).collect()
}

fn end_drill(fixture: &Fixture, id: BackupId, result: RunResult) {
    fixture.catalog.end_drill(id, RunEnd::new(START, result), None).wait().unwrap();
}

#[test]
fn a_backup_is_a_run_from_the_request_to_its_end_with_what_was_measured() {
    let fixture = Fixture::new();
    let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    assert_eq!(runs(&fixture.catalog, id), [(RunKind::Backup, "waits")]);
    fixture.claim_backup();
    assert_eq!(runs(&fixture.catalog, id), [(RunKind::Backup, "runs")]);
    fixture.catalog.saving(id, START).wait().unwrap();
    let numbers = RunNumbers { took_ms: Some(12), ..RunNumbers::default() };
    fixture.catalog.complete(id, facts(id), "unknown", numbers).wait().unwrap();
    let run = fixture.catalog.runs_of_backup(id).unwrap().remove(0);
    let end = run.end.unwrap();
    assert!(run.asked < run.begun.unwrap() && run.begun.unwrap() < end.at);
    assert_eq!((run.instance, end.result), (Some(shop()), RunResult::Done));
    let RunNumbers { took_ms, read_bytes, stored_bytes, .. } = end.numbers;
    assert_eq!((took_ms, read_bytes, stored_bytes), (Some(12), Some(4000), Some(1000)));
}

#[test]
fn failures_damage_and_interruptions_are_different_results() {
    let fixture = Fixture::new();
    let ends = [
        (failure("no"), "failed"),
        (Failure::new(FailureCode::SourceDamaged, "torn"), "damaged"),
        (Failure::new(FailureCode::Interrupted, "stopped"), "interrupted"),
    ];
    for (failure, result) in ends {
        let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
        fixture.claim_backup();
        fixture.catalog.fail(id, failure.clone()).wait().unwrap();
        assert_eq!(runs(&fixture.catalog, id), [(RunKind::Backup, result)]);
        let end = fixture.catalog.runs_of_backup(id).unwrap().remove(0).end.unwrap();
        let kept = (result != "interrupted").then_some(failure);
        assert_eq!(end.result.failure(), kept.as_ref());
    }
}

#[test]
fn another_drill_leaves_the_history_of_those_before() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    end_drill(&fixture, id, RunResult::Failed(failure("no room")));
    fixture.catalog.ask_drill(&member("a"), id).wait().unwrap();
    // A drill made by hand is not the one that waits.
    end_drill(&fixture, id, RunResult::Done);
    assert!(matches!(fixture.catalog.claim_any().unwrap(), Some(Job::Drill(_))));
    fixture.catalog.retry_run(RunKind::Drill, id).wait().unwrap();
    let drills: Vec<_> = runs(&fixture.catalog, id)
        .into_iter()
        .filter(|(kind, _)| *kind == RunKind::Drill)
        .map(|(_, result)| result)
        .collect();
    assert_eq!(drills, ["waits", "failed", "done", "interrupted"]);
    // What was interrupted has found nothing.
    let last = fixture.catalog.find(id).unwrap().drill.last.unwrap();
    assert!(last.verdict.facts().is_some());
}

#[test]
fn proofs_by_hand_are_runs() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    fixture.catalog.report_verified(id, START, vec![(id, VerifyLevel::Bytes)]).wait().unwrap();
    let damage = Failure::new(FailureCode::ArchiveDamaged, "bits rot");
    fixture.catalog.report_verify_failed(id, damage).wait().unwrap();
    let expected =
        [(RunKind::Backup, "done"), (RunKind::Verify, "done"), (RunKind::Verify, "damaged")];
    assert_eq!(runs(&fixture.catalog, id), expected);
}

#[test]
fn a_restore_that_an_orderly_stop_interrupts_begins_again_as_after_a_crash() {
    let fixture = Fixture::new();
    let backup = fixture.completed(ParentChoice::None);
    let copy = fixture.restore_of(backup).unwrap().id;
    assert!(matches!(fixture.catalog.claim_any().unwrap(), Some(Job::Restore(_))));
    fixture.catalog.retry_restore(copy).wait().unwrap();
    let shown = fixture.catalog.instance(&admin(), copy).unwrap();
    assert_eq!((shown.status, shown.failure), (InstanceStatus::Build, None));
    let again = fixture.reopened();
    assert_eq!(again.reopen_restores().wait().unwrap(), []);
    assert!(
        matches!(again.claim_any().unwrap(), Some(Job::Restore(job)) if job.instance.id == copy)
    );
    again.restored(copy, Source::from_path("/x"), 9).wait().unwrap();
    // The clock starts again with the reopened catalog, so the second restore ends first.
    let expected =
        [(RunKind::Backup, "done"), (RunKind::Restore, "done"), (RunKind::Restore, "interrupted")];
    assert_eq!(runs(&again, backup), expected);
}

#[test]
fn of_one_backup_and_result_the_newest_twenty_are_kept() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    end_drill(&fixture, id, RunResult::Done);
    for number in 0..30 {
        let at = Timestamp::from_micros(START.as_micros() + number);
        let result = RunResult::Failed(failure(&number.to_string()));
        fixture.catalog.end_drill(id, RunEnd::new(at, result), None).wait().unwrap();
    }
    let kept = fixture.catalog.runs_of_backup(id).unwrap();
    let failures: Vec<_> = kept
        .iter()
        .filter_map(|run| run.end.as_ref()?.result.failure().map(|it| it.message.clone()))
        .collect();
    assert_eq!(failures, (10..30).map(|it| it.to_string()).collect::<Vec<_>>());
    // The one that passed is another result.
    assert_eq!(kept.len(), 22);
}

#[test]
fn the_runs_of_a_deleted_backup_expire_after_ninety_days() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    fixture.delete(id).unwrap();
    fixture.removal();
    fixture.catalog.removed(vec![id]).wait().unwrap();
    let expected = [(RunKind::Backup, "done"), (RunKind::Removal, "done")];
    assert_eq!(runs(&fixture.catalog, id), expected);
    let other = fixture.completed(ParentChoice::None);
    let day = 24 * 3600 * 1_000_000;
    for (days, left) in [(89, 2), (91, 0)] {
        let at = Timestamp::from_micros(START.as_micros() + days * day);
        fixture
            .catalog
            .report_verified(other, at, vec![(other, VerifyLevel::Bytes)])
            .wait()
            .unwrap();
        assert_eq!(runs(&fixture.catalog, id).len(), left, "after {days} days");
    }
    assert_eq!(runs(&fixture.catalog, other).len(), 3);
}
