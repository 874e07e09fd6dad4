//! Drills: who may ask, who makes them and when, and what becomes of what they find.

use std::time::Duration;

use super::fixture::*;
use super::*;
use coffer::domain::{
    Backup, BackupId, Caller, Cancel, Damage, DamageIn, Drill, DrillFacts, Failure, FailureCode,
    Instance, NextDrill, ParentChoice, Role, RowsByTable, RunEnd, RunKind, RunNumbers, RunResult,
    Status, Verdict, Verify, VerifyLevel,
};

const TOOK: Duration = Duration::from_millis(1500);

fn drilled_facts() -> DrillFacts {
    let check = "integrity_check".to_owned();
    DrillFacts { version: "3.51".to_owned(), check, tables: 2, rows: 7 }
}

impl Fixture {
    /// A fixture whose `shop` in project `a` has every backup drilled.
    fn drilling() -> Self {
        let fixture = Self::new();
        let shop = Instance { verify: Verify::Restore, ..configured("a", "shop") };
        fixture.catalog.sync_instances(vec![shop, configured("a", "web")]).wait().unwrap();
        fixture
    }

    fn ask_drill(&self, id: BackupId) -> Result<Backup, CatalogError> {
        self.catalog.ask_drill(&member("a"), id).wait()
    }

    fn drill_of(&self, id: BackupId) -> Drill {
        self.catalog.find(id).unwrap().drill
    }

    fn claim_drill(&self) -> DrillJob {
        match self.catalog.claim_any().unwrap() {
            Some(Job::Drill(job)) => *job,
            other => panic!("not a drill: {other:?}"),
        }
    }

    fn pass(&self, id: BackupId) {
        let numbers = RunNumbers {
            took_ms: Some(1500),
            drill: Some(drilled_facts()),
            rows_by_table: RowsByTable::from([("orders".to_owned(), 7)]),
            ..RunNumbers::default()
        };
        let end = RunEnd { at: START, result: RunResult::Done, numbers };
        self.catalog.end_drill(id, end, None).wait().unwrap();
    }

    fn fail_drill(&self, id: BackupId, failure: Failure) {
        let end = RunEnd::new(START, RunResult::from_failure(failure));
        self.catalog.end_drill(id, end, None).wait().unwrap();
    }

    fn find_damage(&self, id: BackupId) {
        let failure = Failure::new(FailureCode::ArchiveDamaged, "an index is torn");
        let damage = Damage { id, place: DamageIn::Data, failure: failure.clone() };
        let end = RunEnd::new(START, RunResult::from_failure(failure));
        self.catalog.end_drill(id, end, Some(damage)).wait().unwrap();
    }
}

#[test]
fn a_completed_backup_waits_for_its_drill_where_the_instance_says_so_and_behind_backups() {
    let fixture = Fixture::drilling();
    let root = fixture.completed(ParentChoice::None);
    let other = fixture.completed_of_web();
    let id = fixture.completed(ParentChoice::This(root));
    for (backup, next) in [(root, Some(NextDrill::Waiting)), (other, None)] {
        assert_eq!(fixture.drill_of(backup), Drill { next, last: None });
    }
    let waits = fixture.ask(shop(), ParentChoice::Newest).unwrap().id;
    assert_eq!(fixture.claim_backup().backup.id, waits);
    let job = fixture.claim_drill();
    assert_eq!((job.id, job.chain.len()), (root, 1));
    assert_eq!(job.source, Some(configured("a", "shop").source));
    assert_eq!(fixture.drill_of(root).next, Some(NextDrill::Running));
    let job = fixture.claim_drill();
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, id]);
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
}

impl Fixture {
    fn completed_of_web(&self) -> BackupId {
        let id = self.ask(configured("a", "web").id, ParentChoice::None).unwrap().id;
        assert_eq!(self.claim_backup().backup.id, id);
        self.catalog.saving(id, START).wait().unwrap();
        self.catalog.complete(id, facts(id), "3.51", RunNumbers::default()).wait().unwrap();
        id
    }
}

#[test]
fn an_adopted_backup_waits_for_its_drill_too() {
    let fixture = Fixture::drilling();
    let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.claim_backup();
    fixture.catalog.adopt(id, facts(id), "3.51").wait().unwrap();
    assert_eq!(fixture.claim_drill().id, id);
}

#[test]
fn members_and_admins_ask_for_a_drill_once_and_only_of_what_is_finished() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    let rings = fixture.bell.count();
    for ask in [fixture.ask_drill(id), fixture.catalog.ask_drill(&admin(), id).wait()] {
        assert_eq!(ask.unwrap().drill.next, Some(NextDrill::Waiting));
    }
    assert!(fixture.bell.count() > rings);
    assert_eq!(fixture.claim_drill().id, id);
    assert_eq!(fixture.ask_drill(id).unwrap().drill.next, Some(NextDrill::Running));
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);

    let runs = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    assert!(matches!(fixture.ask_drill(runs), Err(CatalogError::NotNow(_))));
    let stranger = fixture.catalog.ask_drill(&member("b"), id).wait();
    assert!(matches!(stranger, Err(CatalogError::NoSuchBackup { .. })));
    let unknown = fixture.ask_drill(BackupId::generate());
    assert!(matches!(unknown, Err(CatalogError::NoSuchBackup { .. })));
    fixture.delete(id).unwrap();
    assert!(matches!(fixture.ask_drill(id), Err(CatalogError::NoSuchBackup { .. })));
    let reader =
        Caller { name: "r".to_owned(), project: Some(project("a")), roles: vec![Role::Reader] };
    let refused = Scope::<Write>::enter(reader, project("a")).unwrap_err();
    assert!(matches!(refused, CatalogError::Forbidden(_)));
}

#[test]
fn a_drill_that_passed_is_the_strongest_proof_and_keeps_what_it_counted() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    assert!(fixture.catalog.drill_rows(&member("a"), id).unwrap().is_empty());
    fixture.ask_drill(id).unwrap();
    fixture.claim_drill();
    fixture.pass(id);
    let row = fixture.catalog.find(id).unwrap();
    let proof = row.facts.unwrap();
    assert_eq!((proof.verify_level, proof.verified_at), (VerifyLevel::Restored, START));
    let last = row.drill.last.unwrap();
    assert_eq!((row.drill.next, last.at, last.took), (None, START, TOOK));
    assert_eq!(last.verdict, Verdict::Passed(drilled_facts()));
    assert_eq!(fixture.catalog.drill_rows(&member("a"), id).unwrap()["orders"], 7);
    let stranger = fixture.catalog.drill_rows(&member("b"), id);
    assert!(matches!(stranger, Err(CatalogError::NoSuchBackup { .. })));
    // A proof of the bytes alone does not lower the level.
    fixture.catalog.report_verified(id, START, vec![(id, VerifyLevel::Bytes)]).wait().unwrap();
    let again = fixture.catalog.find(id).unwrap().facts.unwrap();
    assert_eq!(again.verify_level, VerifyLevel::Restored);
}

#[test]
fn nothing_is_built_on_what_a_drill_found_damaged_until_another_drill_passes() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    fixture.find_damage(id);
    let row = fixture.catalog.find(id).unwrap();
    assert_eq!(
        (row.status, row.failure.unwrap().message),
        (Status::Completed, "an index is torn".into())
    );
    assert!(matches!(fixture.catalog.chain(id), Err(CatalogError::ChainBroken { .. })));
    // Its bytes are as they were read: that proves nothing of the data.
    fixture.catalog.report_verified(id, START, vec![(id, VerifyLevel::Bytes)]).wait().unwrap();
    assert!(fixture.catalog.chain(id).is_err());
    // Nor does a drill that was inconclusive.
    let failure = Failure::new(FailureCode::DiskFull, "no room");
    fixture.fail_drill(id, failure.clone());
    assert_eq!(fixture.drill_of(id).last.unwrap().verdict, Verdict::Inconclusive(failure));
    assert!(fixture.catalog.chain(id).is_err());
    fixture.ask_drill(id).unwrap();
    assert_eq!(fixture.claim_drill().id, id);
    fixture.pass(id);
    assert!(fixture.catalog.chain(id).is_ok());
    assert_eq!(fixture.catalog.find(id).unwrap().failure, None);
}

#[test]
fn a_drill_does_not_clear_damage_of_the_archives_bytes() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    fixture.catalog.report_damage(id, failure("bits rot")).wait().unwrap();
    fixture.pass(id);
    assert!(fixture.catalog.chain(id).is_err());
    fixture.catalog.report_verified(id, START, vec![(id, VerifyLevel::Bytes)]).wait().unwrap();
    assert!(fixture.catalog.chain(id).is_ok());
}

#[test]
fn a_chain_that_was_read_whole_clears_damage_of_the_bytes_of_each_of_its_members() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let parent = fixture.completed(ParentChoice::This(root));
    let child = fixture.completed(ParentChoice::This(parent));
    fixture.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    fixture.find_damage(parent);
    // A drill of the child read what the child needs of them, and neither all of their bytes nor their data.
    fixture.pass(child);
    let failure_of = |id| fixture.catalog.find(id).unwrap().failure;
    assert!(failure_of(root).is_some() && failure_of(parent).is_some());
    assert_eq!(failure_of(child), None);

    let at = Timestamp::from_micros(START.as_micros() + 7);
    let gone = BackupId::generate();
    let others = [root, gone, parent].map(|it| (it, VerifyLevel::Bytes));
    let proven = [(child, VerifyLevel::Checked)].into_iter().chain(others).collect();
    fixture.catalog.report_verified(child, at, proven).wait().unwrap();
    assert_eq!(failure_of(root), None);
    assert!(failure_of(parent).is_some(), "its data is as bad as it was");
    for (id, level) in [
        (root, VerifyLevel::Checked),
        (parent, VerifyLevel::Checked),
        (child, VerifyLevel::Restored),
    ] {
        let facts = fixture.catalog.find(id).unwrap().facts.unwrap();
        assert_eq!((facts.verified_at, facts.verify_level), (at, level));
        let runs = fixture.catalog.runs_of_backup(id).unwrap();
        assert!(runs.iter().any(|it| it.kind == RunKind::Verify), "{runs:?}");
    }
}

#[test]
fn an_inconclusive_drill_takes_nothing_from_its_backup() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    let failure = Failure::new(FailureCode::Tool, "mariadbd is missing");
    fixture.fail_drill(id, failure.clone());
    let row = fixture.catalog.find(id).unwrap();
    assert_eq!(
        (row.failure, row.drill.last.unwrap().verdict),
        (None, Verdict::Inconclusive(failure))
    );
    assert_eq!(row.facts.unwrap().verify_level, VerifyLevel::Checked);
    assert!(fixture.catalog.chain(id).is_ok());
}

#[test]
fn a_delete_cancels_drills_that_wait_and_drills_that_run() {
    let fixture = Fixture::drilling();
    let (runs, waits) =
        (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    assert_eq!(fixture.claim_drill().id, runs);
    let (cancel, other) = (Cancel::default(), Cancel::default());
    assert!(fixture.catalog.begin_drill(runs, cancel.clone()).wait().unwrap());
    assert!(!fixture.catalog.begin_drill(waits, other.clone()).wait().unwrap());
    let kept = fixture.completed(ParentChoice::None);
    fixture.delete(runs).unwrap();
    fixture.delete(waits).unwrap();
    assert!(cancel.is_cancelled());
    assert!(!fixture.catalog.begin_drill(runs, other.clone()).wait().unwrap());
    fixture.catalog.retry_run(RunKind::Drill, runs).wait().unwrap();
    assert_eq!(fixture.drill_of(runs).next, None);
    assert_eq!(fixture.removal(), [runs]);
    fixture.catalog.removed(vec![runs]).wait().unwrap();
    // What it found comes too late, and is no error.
    fixture.pass(runs);
    fixture.find_damage(runs);
    assert_eq!(fixture.removal(), [waits]);
    fixture.catalog.removal_failed(waits, failure("no")).wait().unwrap();
    assert_eq!(fixture.claim_drill().id, kept);
    assert!(fixture.catalog.begin_drill(kept, other.clone()).wait().unwrap());
    fixture.delete(waits).unwrap();
    assert!(!other.is_cancelled(), "another backup was deleted");
}

#[test]
fn an_interrupted_drill_is_made_again() {
    let fixture = Fixture::drilling();
    let id = fixture.completed(ParentChoice::None);
    fixture.claim_drill();
    fixture.catalog.retry_run(RunKind::Drill, id).wait().unwrap();
    assert_eq!(fixture.claim_drill().id, id);
    let again = fixture.reopened();
    assert_eq!(again.claim_any().unwrap(), None);
    assert_eq!(again.reopen_drills().wait().unwrap(), 1);
    assert_eq!(again.reopen_drills().wait().unwrap(), 0);
    assert!(matches!(again.claim_any().unwrap(), Some(Job::Drill(job)) if job.id == id));
}

#[test]
fn a_drill_whose_chain_is_no_longer_there_fails_and_says_which_link() {
    let fixture = Fixture::drilling();
    let root = fixture.completed(ParentChoice::None);
    let child = fixture.completed(ParentChoice::This(root));
    fixture.claim_drill();
    fixture.forget_row(root);
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    let Drill { next, last } = fixture.drill_of(child);
    let last = last.unwrap();
    let why = last.verdict.failure().unwrap();
    assert_eq!((next, why.code), (None, FailureCode::ChainBroken));
    assert!(why.message.contains(&root.to_string()), "{why}");
}

impl Fixture {
    /// Takes a row out of the catalog and leaves what is built on it, as a hand might.
    pub(super) fn forget_row(&self, id: BackupId) {
        let db = rusqlite::Connection::open(&self.path).unwrap();
        db.execute("DELETE FROM backups WHERE id = ?1", [id.to_string()]).unwrap();
    }
}

#[test]
fn a_backup_and_its_instance_have_the_version_that_was_read() {
    let fixture = Fixture::new();
    let unknown = |name| Instance {
        datastore: Datastore { engine: "sqlite".to_owned(), version: "unknown".to_owned() },
        ..configured("a", name)
    };
    fixture.catalog.sync_instances(vec![unknown("new"), configured("a", "shop")]).wait().unwrap();
    let new = configured("a", "new").id;
    let version = |id| fixture.catalog.instance(&admin(), id).unwrap().datastore.version;
    let made = |version: &str| {
        let id = fixture.ask(new, ParentChoice::None).unwrap().id;
        fixture.claim_backup();
        fixture.catalog.saving(id, START).wait().unwrap();
        fixture.catalog.complete(id, facts(id), version, RunNumbers::default()).wait().unwrap();
        fixture.catalog.find(id).unwrap().datastore.version
    };
    assert_eq!((made("unknown"), version(new)), ("unknown".into(), "unknown".into()));
    assert_eq!((made("16.3"), version(new)), ("16.3".into(), "16.3".into()));
    assert_eq!((made(""), version(new)), ("16.3".into(), "16.3".into()));
    let seen = |engine: &str| Datastore { engine: engine.to_owned(), version: "17".to_owned() };
    fixture.catalog.note_version(new, seen("vertica")).wait().unwrap();
    assert_eq!(version(new), "16.3");
    fixture.catalog.note_version(new, seen("sqlite")).wait().unwrap();
    assert_eq!((version(new), version(shop())), ("17".into(), "3.51".into()));
    // A start that does not reach it keeps what is known.
    fixture.catalog.sync_instances(vec![unknown("new")]).wait().unwrap();
    assert_eq!(version(new), "17");
}
