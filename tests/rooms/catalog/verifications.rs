//! Verifications that somebody asked for: which backups, how many, and what becomes of them.

use super::fixture::*;
use super::*;
use coffer::domain::{
    BackupId, Cancel, Damage, DamageIn, Failure, FailureCode, ParentChoice, Run, RunEnd, RunKind,
    RunResult, VerifyLevel,
};

impl Fixture {
    fn ask_verification(&self, id: BackupId) -> Result<Option<Run>, CatalogError> {
        self.catalog.ask_verification(&member("a"), id).wait()
    }

    fn verification(&self, id: BackupId) -> Option<Run> {
        self.catalog.verification(&member("a"), id).unwrap()
    }

    fn claim_verification(&self) -> VerificationJob {
        match self.catalog.claim(Lane::Verifications).unwrap() {
            Some(Job::Verify(job)) => *job,
            other => panic!("not a verification: {other:?}"),
        }
    }

    fn end_verification(&self, id: BackupId, result: RunResult, damage: Option<Damage>) {
        let end = RunEnd::new(START, result);
        self.catalog
            .end_verification(id, end, vec![(id, VerifyLevel::Bytes)], damage)
            .wait()
            .unwrap();
    }
}

fn rotten() -> Failure {
    Failure::new(FailureCode::ArchiveDamaged, "a bit is wrong")
}

#[test]
fn it_reads_the_whole_chain_is_made_once_and_clears_damage_that_is_not_there() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let id = fixture.completed(ParentChoice::This(root));
    fixture.catalog.report_damage(id, rotten()).wait().unwrap();
    assert_eq!(fixture.verification(id), None);
    let asked = fixture.ask_verification(id).unwrap().unwrap();
    assert!(asked.begun.is_none() && asked.end.is_none());
    assert_eq!(fixture.ask_verification(id).unwrap().unwrap().id, asked.id);
    let job = fixture.claim_verification();
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, id]);
    assert_eq!(fixture.catalog.claim(Lane::Verifications).unwrap(), None);
    assert!(fixture.catalog.begin_run(RunKind::Verify, id, Cancel::default()).wait().unwrap());
    assert!(fixture.verification(id).unwrap().begun.is_some());
    fixture.end_verification(id, RunResult::Done, None);
    assert_eq!(fixture.verification(id).unwrap().end.unwrap().result, RunResult::Done);
    let row = fixture.catalog.find(id).unwrap();
    assert_eq!((row.failure, row.facts.unwrap().verified_at), (None, START));
}

#[test]
fn damage_that_it_finds_is_remembered_and_what_stops_it_is_not_damage() {
    let fixture = Fixture::new();
    let (one, other) =
        (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    for id in [one, other] {
        fixture.ask_verification(id).unwrap();
        fixture.claim_verification();
    }
    let damage = Damage { id: one, place: DamageIn::Archive, failure: rotten() };
    fixture.end_verification(one, RunResult::Damaged(rotten()), Some(damage));
    fixture.end_verification(other, RunResult::Failed(failure("no such place")), None);
    assert_eq!(fixture.catalog.find(one).unwrap().failure, Some(rotten()));
    let spared = fixture.catalog.find(other).unwrap();
    assert_eq!(spared.failure, None);
    assert_ne!(spared.facts.unwrap().verified_at, START, "it is no proof");
}

#[test]
fn a_delete_cancels_those_that_wait_and_those_that_run_and_what_they_find_comes_too_late() {
    let fixture = Fixture::new();
    let (runs, waits) =
        (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    fixture.ask_verification(runs).unwrap();
    fixture.ask_verification(waits).unwrap();
    assert_eq!(fixture.claim_verification().backup.id, runs);
    let cancel = Cancel::default();
    assert!(fixture.catalog.begin_run(RunKind::Verify, runs, cancel.clone()).wait().unwrap());
    fixture.delete(waits).unwrap();
    assert!(!cancel.is_cancelled(), "another backup was deleted");
    fixture.delete(runs).unwrap();
    assert!(cancel.is_cancelled());
    for id in [runs, waits] {
        let mut all = fixture.catalog.runs_of_backup(id).unwrap();
        all.retain(|it| it.kind == RunKind::Verify);
        let ends: Vec<_> = all.into_iter().map(|it| it.end.map(|end| end.result)).collect();
        assert_eq!(ends, [Some(RunResult::Cancelled)], "{id}");
    }
    assert!(!fixture.catalog.begin_run(RunKind::Verify, runs, Cancel::default()).wait().unwrap());
    let damage = Damage { id: runs, place: DamageIn::Archive, failure: rotten() };
    fixture.end_verification(runs, RunResult::Damaged(rotten()), Some(damage));
    fixture.catalog.retry_run(RunKind::Verify, runs).wait().unwrap();
    assert_eq!(fixture.catalog.claim(Lane::Verifications).unwrap(), None);
    assert_eq!(fixture.catalog.find(runs).unwrap().failure, None);
}

#[test]
fn one_that_waits_is_not_ended_by_an_earlier_one_that_was_cancelled_and_ends_late() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    fixture.ask_verification(id).unwrap();
    fixture.claim_verification();
    fixture.delete(id).unwrap();
    assert_eq!(fixture.removal(), [id]);
    fixture.catalog.trashed(vec![id]).wait().unwrap();
    fixture.catalog.undeleted(vec![id], id, Actor::command_line()).wait().unwrap();
    fixture.ask_verification(id).unwrap();
    fixture.end_verification(id, RunResult::Done, None);
    let waits = fixture.verification(id).unwrap();
    assert!(waits.begun.is_none() && waits.end.is_none(), "{waits:?}");
    assert_eq!(fixture.claim_verification().backup.id, id);
}

#[test]
fn it_survives_a_restart_waiting_or_under_way() {
    let fixture = Fixture::new();
    let (runs, waits) =
        (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    let asked = [runs, waits].map(|id| fixture.ask_verification(id).unwrap().unwrap().asked);
    fixture.claim_verification();
    fixture.catalog.retry_run(RunKind::Verify, runs).wait().unwrap();
    assert_eq!(fixture.claim_verification().backup.id, runs, "it was asked for first");
    let again = fixture.reopened();
    again.reopen_drills().wait().unwrap();
    for (id, asked) in [runs, waits].into_iter().zip(asked) {
        let waiting = again.verification(&member("a"), id).unwrap().unwrap();
        assert_eq!((waiting.asked, waiting.begun), (asked, None), "when a person asked");
        let claimed = again.claim(Lane::Verifications).unwrap();
        assert!(matches!(&claimed, Some(Job::Verify(job)) if job.backup.id == id), "{claimed:?}");
    }
}

#[test]
fn what_a_command_or_the_pace_of_the_server_reads_ends_none_that_was_asked_for() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    fixture.ask_verification(id).unwrap();
    fixture.catalog.report_verified(id, START, vec![(id, VerifyLevel::Bytes)]).wait().unwrap();
    let end = RunEnd::new(START, RunResult::Done);
    fixture.catalog.end_scrub(id, end, VerifyLevel::Bytes, None).wait().unwrap();
    assert!(fixture.verification(id).unwrap().end.is_none());
    assert!(fixture.catalog.is_working().unwrap(), "the server's own choice waits");
    assert_eq!(fixture.claim_verification().backup.id, id);
    fixture.end_verification(id, RunResult::Done, None);
    assert!(!fixture.catalog.is_working().unwrap());
}

#[test]
fn only_finished_backups_of_the_project_and_a_hundred_of_them_at_once() {
    let fixture = Fixture::new();
    let first = fixture.completed(ParentChoice::None);
    let foreign = fixture.catalog.ask_verification(&member("b"), first).wait();
    assert!(foreign.unwrap_err().is_not_found());
    let runs = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    assert!(fixture.ask_verification(runs).unwrap_err().to_string().contains("can be verified"));
    fixture.catalog.fail(fixture.claim_backup().backup.id, failure("no")).wait().unwrap();
    fixture.ask_verification(first).unwrap();
    for _ in 1..100 {
        fixture.ask_verification(fixture.completed(ParentChoice::None)).unwrap();
    }
    let more = fixture.completed(ParentChoice::None);
    let refused = fixture.ask_verification(more).unwrap_err();
    assert!(matches!(refused, CatalogError::TooManyVerifications { most: 100 }), "{refused}");
    assert!(fixture.ask_verification(first).unwrap().is_some(), "it waits already");
    fixture.delete(first).unwrap();
    assert!(fixture.ask_verification(more).is_ok());
}
