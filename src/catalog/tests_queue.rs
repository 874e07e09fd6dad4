//! Claiming and settling: every job once, every step once.

use super::tests_house::*;
use super::*;
use crate::domain::{FailureCode, InstanceStatus, Kind, ParentChoice, Status};
use crate::store::StoreError;

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
fn jobs_are_handed_out_once_and_oldest_first_within_their_kind() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    let first = house.ask(configured("a", "web").id, ParentChoice::None).unwrap().id;
    let second = house.ask(shop(), ParentChoice::None).unwrap().id;
    let doomed = house.completed_instance_of_b();
    house.catalog.delete_backup(&admin(), doomed).wait().unwrap();
    let copy = house.restore_of(root).unwrap();
    let kinds: Vec<_> = std::iter::from_fn(|| house.catalog.claim().unwrap())
        .map(|job| match job {
            Job::Remove(job) => job.backups[0].id.to_string(),
            Job::Restore(job) => job.instance.id.to_string(),
            Job::Backup(job) => job.backup.id.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [doomed.to_string(), copy.id.to_string(), first.to_string(), second.to_string()];
    assert_eq!(kinds, expected);
}

impl House {
    /// A completed backup in project `b`, made while others wait: settled without the queue's help.
    fn completed_instance_of_b(&self) -> crate::domain::BackupId {
        let id = self.ask(configured("b", "shop").id, ParentChoice::None).unwrap().id;
        self.catalog.fail(id, failure("no")).wait().unwrap();
        id
    }
}

#[test]
fn a_backup_job_knows_its_chain_and_how_many_came_before() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    let child = house.completed(ParentChoice::This(root));
    house.ask(shop(), ParentChoice::Newest).unwrap();
    let job = house.claim_backup();
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, child]);
    assert_eq!((job.earlier, job.may_become_full), (2, true));
    assert_eq!(job.backup.status, Status::Building);
    assert_eq!(job.instance.id, shop());
    assert_eq!(job.instance.status, InstanceStatus::Backup);
}

#[test]
fn a_chain_that_breaks_while_the_job_waits_makes_a_full_or_a_failure_if_the_client_insisted() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    let id = house.ask(shop(), ParentChoice::Newest).unwrap().id;
    house.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    let job = house.claim_backup();
    assert_eq!((job.backup.id, job.backup.kind, job.chain.len()), (id, Kind::Full, 0));
    assert_eq!(house.catalog.find(id).unwrap(), job.backup);
    house.catalog.fail(id, failure("next")).wait().unwrap();

    let root = house.completed(ParentChoice::None);
    let id = house.ask(shop(), ParentChoice::This(root)).unwrap().id;
    house.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    assert_eq!(house.catalog.claim().unwrap(), None);
    let row = house.catalog.find(id).unwrap();
    let why = row.failure.unwrap();
    assert_eq!((row.status, why.code), (Status::Failed, FailureCode::ChainBroken));
    assert!(why.message.contains(&root.to_string()));
}

#[test]
fn a_backup_that_waited_while_its_instance_left_the_configuration_fails_and_says_so() {
    let house = House::new();
    let id = house.ask(shop(), ParentChoice::None).unwrap().id;
    house.catalog.sync_instances(vec![configured("a", "web")]).wait().unwrap();
    assert_eq!(house.catalog.claim().unwrap(), None);
    let row = house.catalog.find(id).unwrap();
    assert_eq!(
        (row.status, row.failure.unwrap().code),
        (Status::Failed, FailureCode::SourceMissing)
    );
}

#[test]
fn a_life_goes_forward_only_and_each_step_is_made_once() {
    let house = House::new();
    let catalog = &house.catalog;
    let id = house.ask(shop(), ParentChoice::None).unwrap().id;
    illegal(catalog.saving(id).wait(), Status::New, Status::Saving);
    illegal(catalog.complete(id, facts(id), "unknown").wait(), Status::New, Status::Completed);
    house.claim_backup();
    illegal(catalog.complete(id, facts(id), "unknown").wait(), Status::Building, Status::Completed);
    catalog.saving(id).wait().unwrap();
    illegal(catalog.saving(id).wait(), Status::Saving, Status::Saving);
    illegal(catalog.becomes_full(id).wait(), Status::Saving, Status::Building);
    illegal(
        catalog.registered(id, Kind::Full, None, facts(id)).wait(),
        Status::Saving,
        Status::Restored,
    );
    catalog.complete(id, facts(id), "unknown").wait().unwrap();
    let row = catalog.find(id).unwrap();
    assert_eq!((row.status, row.updated), (Status::Completed, facts(id).verified_at));
    assert_eq!(row.facts, Some(facts(id)));
    illegal(
        catalog.complete(id, facts(id), "unknown").wait(),
        Status::Completed,
        Status::Completed,
    );
    illegal(catalog.fail(id, failure("late")).wait(), Status::Completed, Status::Failed);
    assert_eq!(catalog.find(id).unwrap(), row);
}

#[test]
fn a_backup_fails_from_any_running_status_and_stays_failed() {
    let house = House::new();
    for steps in 0..3 {
        let id = house.ask(shop(), ParentChoice::None).unwrap().id;
        if steps > 0 {
            house.claim_backup();
        }
        if steps > 1 {
            house.catalog.saving(id).wait().unwrap();
        }
        house.catalog.fail(id, failure("no")).wait().unwrap();
        let row = house.catalog.find(id).unwrap();
        assert_eq!((row.status, row.failure), (Status::Failed, Some(failure("no"))));
        illegal(house.catalog.saving(id).wait(), Status::Failed, Status::Saving);
    }
}

#[test]
fn a_claimed_incremental_may_become_full() {
    let house = House::new();
    house.completed(ParentChoice::None);
    let id = house.ask(shop(), ParentChoice::Newest).unwrap().id;
    house.claim_backup();
    house.catalog.becomes_full(id).wait().unwrap();
    let row = house.catalog.find(id).unwrap();
    assert_eq!((row.kind, row.parent), (Kind::Full, None));
}

#[test]
fn a_chain_names_the_link_that_does_not_hold() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    let middle = house.completed(ParentChoice::This(root));
    let top = house.completed(ParentChoice::This(middle));
    let chain = house.catalog.chain(top).unwrap();
    assert_eq!(chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, middle, top]);
    for bad in [top, middle, root] {
        house.catalog.report_damage(bad, failure("bits rot")).wait().unwrap();
        let error = house.catalog.chain(top).unwrap_err();
        assert!(matches!(error, CatalogError::ChainBroken { culprit, .. } if culprit == bad));
        assert!(error.to_string().contains("bits rot"), "{error}");
        let again = START;
        let level = crate::domain::VerifyLevel::Bytes;
        house.catalog.report_verified(bad, again, level).wait().unwrap();
    }
    assert!(house.catalog.chain(top).is_ok());
}
