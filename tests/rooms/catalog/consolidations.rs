//! Consolidations: which backups, who makes them and when, and what becomes of the full backup.

use super::fixture::*;
use super::*;
use coffer::domain::{
    ArchiveFacts, Backup, BackupId, Cancel, Kind, ParentChoice, Run, RunKind, RunNumbers,
    RunResult, Status,
};

impl Fixture {
    /// A full backup and an incremental one.
    fn chain(&self) -> (BackupId, BackupId) {
        let root = self.completed(ParentChoice::None);
        (root, self.completed(ParentChoice::This(root)))
    }

    fn ask_consolidation(&self, id: BackupId) -> Result<Consolidation, CatalogError> {
        self.catalog.ask_consolidation(&member("a"), id).wait()
    }

    fn refused(&self, id: BackupId) -> String {
        self.ask_consolidation(id).unwrap_err().to_string()
    }

    fn claim_consolidation(&self) -> ConsolidationJob {
        match self.catalog.claim_any().unwrap() {
            Some(Job::Consolidate(job)) => *job,
            other => panic!("not a consolidation: {other:?}"),
        }
    }

    fn end(&self, job: &ConsolidationJob) -> bool {
        let id = job.new_id;
        let facts = Some(ArchiveFacts { ..facts(id) });
        let made = Backup { id, kind: Kind::Full, parent: None, facts, ..job.backup.clone() };
        self.catalog.consolidated(job.backup.id, made, RunNumbers::default()).wait().unwrap()
    }

    fn last_run(&self, id: BackupId) -> Option<Run> {
        self.catalog.consolidation(&member("a"), id).unwrap().run
    }
}

#[test]
fn the_full_backup_has_name_and_time_of_the_incremental_one_and_is_what_the_next_is_built_on() {
    let fixture = Fixture::new();
    let (root, id) = fixture.chain();
    let asked = fixture.ask_consolidation(id).unwrap();
    assert!(asked.full.is_none() && asked.run.unwrap().begun.is_none());
    fixture.ask_consolidation(id).unwrap();
    let job = fixture.claim_consolidation();
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, id]);
    assert_eq!(
        fixture.catalog.claim_any().unwrap(),
        None,
        "it was asked for twice and is made once"
    );
    assert!(
        fixture.catalog.begin_run(RunKind::Consolidation, id, Cancel::default()).wait().unwrap()
    );
    assert!(fixture.end(&job));
    let (made, of) = (fixture.catalog.find(job.new_id).unwrap(), fixture.catalog.find(id).unwrap());
    assert_eq!((&made.name, made.created, made.instance), (&of.name, of.created, of.instance));
    assert_eq!((made.kind, made.parent, made.status), (Kind::Full, None, Status::Completed));
    assert_eq!(of.parent, Some(root), "the incremental one stays as it is");
    let known = fixture.catalog.consolidation(&member("a"), id).unwrap();
    assert_eq!(known.full, Some(job.new_id));
    assert_eq!(known.run.unwrap().end.unwrap().result, RunResult::Done);
    let next = fixture.ask(shop(), ParentChoice::Newest).unwrap();
    assert_eq!(next.parent, Some(job.new_id));
}

#[test]
fn only_a_finished_incremental_backup_without_a_full_one_of_its_moment_is_consolidated() {
    let fixture = Fixture::new();
    let (root, id) = fixture.chain();
    assert!(fixture.refused(root).contains("needs no other archive"));
    assert!(fixture.catalog.ask_consolidation(&member("b"), id).wait().unwrap_err().is_not_found());
    let runs = fixture.ask(shop(), ParentChoice::This(id)).unwrap().id;
    assert!(fixture.refused(runs).contains("can be consolidated"));
    fixture.ask_consolidation(id).unwrap();
    let backup = fixture.claim_backup().backup.id;
    assert_eq!(backup, runs, "backups come first");
    let job = fixture.claim_consolidation();
    fixture.end(&job);
    let refused = fixture.refused(id);
    assert!(refused.contains(&job.new_id.to_string()), "{refused}");
}

#[test]
fn a_delete_cancels_the_consolidation_and_what_was_made_is_not_taken() {
    let fixture = Fixture::new();
    let (_, id) = fixture.chain();
    fixture.ask_consolidation(id).unwrap();
    let job = fixture.claim_consolidation();
    let cancel = Cancel::default();
    assert!(fixture.catalog.begin_run(RunKind::Consolidation, id, cancel.clone()).wait().unwrap());
    fixture.delete(id).unwrap();
    assert!(cancel.is_cancelled());
    assert!(!fixture.end(&job), "nobody wants it any more");
    assert!(fixture.catalog.find(job.new_id).is_err());
    assert!(
        !fixture.catalog.begin_run(RunKind::Consolidation, id, Cancel::default()).wait().unwrap()
    );
}

#[test]
fn one_that_was_interrupted_is_made_again_unless_the_full_backup_is_there_by_now() {
    let fixture = Fixture::new();
    let (_, id) = fixture.chain();
    fixture.ask_consolidation(id).unwrap();
    let first = fixture.claim_consolidation();
    assert_eq!(fixture.catalog.interrupted_consolidations().unwrap(), [id]);
    assert_eq!(fixture.catalog.reopen_consolidations().wait().unwrap(), 1);
    let again = fixture.claim_consolidation();
    assert_ne!(again.new_id, first.new_id);
    // As after a crash between the publication and its record: the archive is imported.
    let found = Recovered {
        backup: Backup {
            kind: Kind::Full,
            parent: None,
            id: again.new_id,
            facts: Some(facts(again.new_id)),
            ..again.backup
        },
        instance_name: None,
        drill: None,
        damage: None,
        trashed: None,
    };
    assert_eq!(fixture.catalog.import(vec![found]).wait().unwrap(), 1);
    fixture.catalog.reopen_consolidations().wait().unwrap();
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    assert_eq!(fixture.last_run(id).unwrap().end.unwrap().result, RunResult::Done);
}

#[test]
fn one_that_fails_says_why_and_leaves_the_backup_as_it_was() {
    let fixture = Fixture::new();
    let (_, id) = fixture.chain();
    fixture.ask_consolidation(id).unwrap();
    fixture.claim_consolidation();
    let why = failure("no room");
    fixture.catalog.consolidation_failed(id, why.clone(), None).wait().unwrap();
    let end = fixture.last_run(id).unwrap().end.unwrap();
    assert_eq!(end.result, RunResult::Failed(why));
    assert_eq!(fixture.catalog.find(id).unwrap().status, Status::Completed);
    fixture.ask_consolidation(id).unwrap();
    fixture.claim_consolidation();
}
