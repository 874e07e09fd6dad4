//! After a crash, and after the loss of the catalog itself.

use super::tests_house::*;
use super::*;
use crate::domain::{Backup, BackupId, InstanceStatus, Kind, ParentChoice, Status, Timestamp};

#[test]
fn what_a_worker_had_is_found_and_what_only_waited_still_waits() {
    let house = House::new();
    let had = house.ask(shop(), ParentChoice::None).unwrap().id;
    house.claim_backup();
    let waits = house.ask(configured("a", "web").id, ParentChoice::None).unwrap().id;
    let again = house.reopened();
    let interrupted = again.interrupted().unwrap();
    assert_eq!(interrupted.iter().map(|it| it.id).collect::<Vec<_>>(), [had]);
    let Some(Job::Backup(job)) = again.claim().unwrap() else { panic!("nothing waits") };
    assert_eq!(job.backup.id, waits);
}

#[test]
fn a_claimed_restore_can_be_claimed_again() {
    let house = House::new();
    let copy = house.restore_of(house.completed(ParentChoice::None)).unwrap();
    assert!(matches!(house.catalog.claim().unwrap(), Some(Job::Restore(_))));
    let again = house.reopened();
    assert_eq!(again.claim().unwrap(), None);
    assert_eq!(again.reopen_restores().wait().unwrap(), [copy]);
    assert!(matches!(again.claim().unwrap(), Some(Job::Restore(_))));
}

#[test]
fn claimed_removals_of_backups_and_instances_can_be_claimed_again() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    let copy = house.restore_of(id).unwrap().id;
    house.catalog.restore_failed(copy, failure("no")).wait().unwrap();
    house.catalog.delete_instance(&member("a"), copy).wait().unwrap();
    house.delete(id).unwrap();
    let both = |catalog: &Catalog| {
        assert!(matches!(catalog.claim().unwrap(), Some(Job::Remove(_))));
        assert!(matches!(catalog.claim().unwrap(), Some(Job::RemoveInstance(_))));
        assert_eq!(catalog.claim().unwrap(), None);
    };
    both(&house.catalog);
    let again = house.reopened();
    again.reopen_removals().wait().unwrap();
    both(&again);
}

#[test]
fn a_published_archive_is_adopted_whatever_its_row_says_but_not_once_it_is_to_go() {
    let house = House::new();
    for steps in 0..3 {
        let id = house.ask(shop(), ParentChoice::None).unwrap().id;
        if steps > 0 {
            house.claim_backup();
        }
        if steps > 1 {
            house.catalog.fail(id, failure("interrupted")).wait().unwrap();
        }
        house.catalog.adopt(id, facts(id), "unknown").wait().unwrap();
        house.catalog.adopt(id, facts(id), "unknown").wait().unwrap();
        let row = house.catalog.find(id).unwrap();
        assert_eq!((row.status, row.failure), (Status::Completed, None));
        assert_eq!((row.updated, row.facts), (facts(id).verified_at, Some(facts(id))));
    }
    let doomed = house.completed(ParentChoice::None);
    house.delete(doomed).unwrap();
    assert!(house.catalog.adopt(doomed, facts(doomed), "unknown").wait().is_err());
    let unknown = BackupId::generate();
    let error = house.catalog.adopt(unknown, facts(unknown), "unknown").wait().unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { .. }));
}

fn recovered(backups: &[Backup]) -> Vec<Recovered> {
    let name = Some("shop".to_owned());
    backups.iter().map(|it| Recovered { backup: it.clone(), instance_name: name.clone() }).collect()
}

#[test]
fn a_rebuilt_catalog_equals_the_lost_one() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    let child = house.completed(ParentChoice::This(root));
    let rows = house.catalog.every_backup().unwrap();
    assert_eq!(rows.iter().map(|it| it.id).collect::<Vec<_>>(), [root, child]);
    let fresh = House::new();
    fresh.catalog.sync_instances(Vec::new()).wait().unwrap();
    assert_eq!(fresh.catalog.import(recovered(&rows)).wait().unwrap(), 2);
    assert_eq!(fresh.catalog.import(recovered(&rows)).wait().unwrap(), 0);
    assert_eq!(fresh.catalog.every_backup().unwrap(), rows);
    assert_eq!(fresh.catalog.chain(child).unwrap(), rows);
}

#[test]
fn an_import_makes_an_unknown_instance_a_detached_one_until_the_configuration_names_it() {
    let house = House::new();
    house.completed(ParentChoice::None);
    let rows = house.catalog.every_backup().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Arc::new(crate::domain::FixedClock::starting_at(START));
    let path = folder.path().join("catalog.db");
    let fresh = Catalog::open(&path, settings(), clock, Arc::default()).unwrap();
    fresh.import(recovered(&rows)).wait().unwrap();
    let instance = fresh.find_instance(shop()).unwrap();
    assert_eq!((instance.status, instance.name.as_str()), (InstanceStatus::Detached, "shop"));
    fresh.sync_instances(vec![configured("a", "shop")]).wait().unwrap();
    assert_eq!(fresh.find_instance(shop()).unwrap().status, InstanceStatus::Active);
}

#[test]
fn an_import_refuses_what_is_not_finished_and_bends_times_into_the_calendar() {
    let house = House::new();
    house.completed(ParentChoice::None);
    let whole = house.catalog.every_backup().unwrap().remove(0);
    let fresh = House::new();
    let broken = [
        Backup { status: Status::New, ..whole.clone() },
        Backup { facts: None, ..whole.clone() },
        Backup { kind: Kind::Incremental, ..whole.clone() },
    ];
    for backup in broken {
        let error = fresh.catalog.import(recovered(&[backup])).wait().unwrap_err();
        assert!(matches!(error, CatalogError::Invalid { .. }), "{error}");
    }
    let far = Backup { created: Timestamp::from_micros(i64::MAX), ..whole };
    assert_eq!(fresh.catalog.import(recovered(&[far])).wait().unwrap(), 1);
    assert!(fresh.ask(shop(), ParentChoice::None).is_ok());
}

#[test]
fn rows_that_name_each_other_as_parents_end_every_walk() {
    let house = House::new();
    house.completed(ParentChoice::None);
    let whole = house.catalog.every_backup().unwrap().remove(0);
    let [one, two] = [BackupId::generate(), BackupId::generate()];
    let ring = |id, parent| Backup {
        id,
        parent: Some(parent),
        kind: Kind::Incremental,
        facts: Some(facts(id)),
        ..whole.clone()
    };
    let rows = recovered(&[ring(one, two), ring(two, one)]);
    house.catalog.import(rows).wait().unwrap();
    assert!(matches!(house.catalog.chain(one), Err(CatalogError::ChainBroken { .. })));
    house.delete(one).unwrap();
    assert_eq!(house.removal().len(), 2);
}
