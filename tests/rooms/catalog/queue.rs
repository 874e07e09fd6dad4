//! Claiming and settling: every job once, every step once.

use super::fixture::*;
use super::*;
use coffer::domain::{FailureCode, InstanceStatus, Kind, ParentChoice, RunNumbers, Status};
use coffer::store::StoreError;

fn illegal<T: std::fmt::Debug>(result: Result<T, CatalogError>, was: Status, wanted: Status) {
    let error = result.unwrap_err();
    let expected = matches!(
        error,
        CatalogError::Store(StoreError::IllegalTransition { from, to, .. })
            if from == was && to == wanted
    );
    assert!(expected, "{error:?}");
}

#[test]
fn jobs_are_claimed_once_and_oldest_first_within_their_kind() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let first = fixture.ask(configured("a", "web").id, ParentChoice::None).unwrap().id;
    let second = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    let deleted = fixture.completed_instance_of_b();
    fixture.catalog.delete_backup(&admin(), deleted).wait().unwrap();
    let copy = fixture.restore_of(root).unwrap();
    let kinds: Vec<_> = std::iter::from_fn(|| fixture.catalog.claim_any().unwrap())
        .map(|job| match job {
            Job::Remove(job) => job.backups[0].id.to_string(),
            Job::Restore(job) => job.instance.id.to_string(),
            Job::Backup(job) => job.backup.id.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected =
        [deleted.to_string(), copy.id.to_string(), first.to_string(), second.to_string()];
    assert_eq!(kinds, expected);
}

impl Fixture {
    /// A completed backup in project `b`, made while others wait: ended without a worker.
    fn completed_instance_of_b(&self) -> BackupId {
        let id = self.ask(configured("b", "shop").id, ParentChoice::None).unwrap().id;
        self.catalog.fail(id, failure("no")).wait().unwrap();
        id
    }
}

#[test]
fn a_backup_job_has_its_chain_and_the_number_of_earlier_backups() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let child = fixture.completed(ParentChoice::This(root));
    fixture.ask(shop(), ParentChoice::Newest).unwrap();
    let job = fixture.claim_backup();
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, child]);
    assert_eq!((job.earlier, job.may_become_full), (2, true));
    assert_eq!(job.backup.status, Status::Building);
    assert_eq!(job.instance.id, shop());
    assert_eq!(job.instance.status, InstanceStatus::Backup);
}

#[test]
fn a_chain_that_breaks_while_the_job_waits_makes_a_full_or_a_failure_if_the_client_insisted() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let id = fixture.ask(shop(), ParentChoice::Newest).unwrap().id;
    fixture.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    let job = fixture.claim_backup();
    assert_eq!((job.backup.id, job.backup.kind, job.chain.len()), (id, Kind::Full, 0));
    assert_eq!(fixture.catalog.find(id).unwrap(), job.backup);
    fixture.catalog.fail(id, failure("next")).wait().unwrap();

    let root = fixture.completed(ParentChoice::None);
    let id = fixture.ask(shop(), ParentChoice::This(root)).unwrap().id;
    fixture.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    let row = fixture.catalog.find(id).unwrap();
    let why = row.failure.unwrap();
    assert_eq!((row.status, why.code), (Status::Failed, FailureCode::ChainBroken));
    assert!(why.message.contains(&root.to_string()));
}

#[test]
fn a_backup_that_waited_while_its_instance_left_the_configuration_fails_and_says_so() {
    let fixture = Fixture::new();
    let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.catalog.sync_instances(vec![configured("a", "web")]).wait().unwrap();
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    let row = fixture.catalog.find(id).unwrap();
    assert_eq!(
        (row.status, row.failure.unwrap().code),
        (Status::Failed, FailureCode::SourceMissing)
    );
}

#[test]
fn a_backup_only_goes_forward_and_takes_each_step_once() {
    let fixture = Fixture::new();
    let catalog = &fixture.catalog;
    let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    illegal(catalog.saving(id, START).wait(), Status::New, Status::Saving);
    illegal(
        catalog.complete(id, facts(id), "unknown", RunNumbers::default()).wait(),
        Status::New,
        Status::Completed,
    );
    fixture.claim_backup();
    illegal(
        catalog.complete(id, facts(id), "unknown", RunNumbers::default()).wait(),
        Status::Building,
        Status::Completed,
    );
    catalog.saving(id, START).wait().unwrap();
    illegal(catalog.saving(id, START).wait(), Status::Saving, Status::Saving);
    illegal(catalog.becomes_full(id).wait(), Status::Saving, Status::Building);
    illegal(
        catalog.registered(id, Kind::Full, None, facts(id)).wait(),
        Status::Saving,
        Status::Restored,
    );
    catalog.complete(id, facts(id), "unknown", RunNumbers::default()).wait().unwrap();
    let row = catalog.find(id).unwrap();
    assert_eq!((row.status, row.updated), (Status::Completed, facts(id).verified_at));
    assert_eq!(row.facts, Some(facts(id)));
    illegal(
        catalog.complete(id, facts(id), "unknown", RunNumbers::default()).wait(),
        Status::Completed,
        Status::Completed,
    );
    illegal(catalog.fail(id, failure("late")).wait(), Status::Completed, Status::Failed);
    assert_eq!(catalog.find(id).unwrap(), row);
}

#[test]
fn a_backup_fails_from_any_running_status_and_stays_failed() {
    let fixture = Fixture::new();
    for steps in 0..3 {
        let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
        if steps > 0 {
            fixture.claim_backup();
        }
        if steps > 1 {
            fixture.catalog.saving(id, START).wait().unwrap();
        }
        fixture.catalog.fail(id, failure("no")).wait().unwrap();
        let row = fixture.catalog.find(id).unwrap();
        assert_eq!((row.status, row.failure), (Status::Failed, Some(failure("no"))));
        illegal(fixture.catalog.saving(id, START).wait(), Status::Failed, Status::Saving);
    }
}

#[test]
fn a_claimed_incremental_may_become_full() {
    let fixture = Fixture::new();
    fixture.completed(ParentChoice::None);
    let id = fixture.ask(shop(), ParentChoice::Newest).unwrap().id;
    fixture.claim_backup();
    fixture.catalog.becomes_full(id).wait().unwrap();
    let row = fixture.catalog.find(id).unwrap();
    assert_eq!((row.kind, row.parent), (Kind::Full, None));
}

#[test]
fn a_broken_chain_names_the_link_that_cannot_be_used() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let middle = fixture.completed(ParentChoice::This(root));
    let top = fixture.completed(ParentChoice::This(middle));
    let chain = fixture.catalog.chain(top).unwrap();
    assert_eq!(chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, middle, top]);
    for bad in [top, middle, root] {
        fixture.catalog.report_damage(bad, failure("bits rot")).wait().unwrap();
        let error = fixture.catalog.chain(top).unwrap_err();
        assert!(matches!(error, CatalogError::ChainBroken { bad_backup, .. } if bad_backup == bad));
        assert!(error.to_string().contains("bits rot"), "{error}");
        let again = START;
        let level = VerifyLevel::Bytes;
        fixture.catalog.report_verified(bad, again, vec![(bad, level)]).wait().unwrap();
    }
    assert!(fixture.catalog.chain(top).is_ok());
}
