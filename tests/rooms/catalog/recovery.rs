//! After a crash, and after the loss of the catalog itself.

use super::fixture::*;
use super::*;
use coffer::domain::{Backup, BackupId, InstanceStatus, Kind, ParentChoice, Status, Timestamp};

#[test]
fn interrupted_backups_are_found_and_waiting_ones_still_wait() {
    let fixture = Fixture::new();
    let had = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.claim_backup();
    let waits = fixture.ask(configured("a", "web").id, ParentChoice::None).unwrap().id;
    let again = fixture.reopened();
    let interrupted = again.interrupted().unwrap();
    assert_eq!(interrupted.iter().map(|it| it.id).collect::<Vec<_>>(), [had]);
    let Some(Job::Backup(job)) = again.claim_any().unwrap() else { panic!("nothing waits") };
    assert_eq!(job.backup.id, waits);
}

#[test]
fn a_claimed_restore_can_be_claimed_again() {
    let fixture = Fixture::new();
    let copy = fixture.restore_of(fixture.completed(ParentChoice::None)).unwrap();
    assert!(matches!(fixture.catalog.claim_any().unwrap(), Some(Job::Restore(_))));
    let again = fixture.reopened();
    assert_eq!(again.claim_any().unwrap(), None);
    assert_eq!(again.reopen_restores().wait().unwrap(), [copy]);
    assert!(matches!(again.claim_any().unwrap(), Some(Job::Restore(_))));
}

#[test]
fn claimed_removals_of_backups_and_instances_can_be_claimed_again() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    let copy = fixture.restore_of(id).unwrap().id;
    fixture.catalog.restore_failed(copy, failure("no")).wait().unwrap();
    fixture.catalog.delete_instance(&member("a"), copy).wait().unwrap();
    fixture.delete(id).unwrap();
    let both = |catalog: &Catalog| {
        assert!(matches!(catalog.claim_any().unwrap(), Some(Job::Remove(_))));
        assert!(matches!(catalog.claim_any().unwrap(), Some(Job::RemoveInstance(_))));
        assert_eq!(catalog.claim_any().unwrap(), None);
    };
    both(&fixture.catalog);
    let again = fixture.reopened();
    again.reopen_removals().wait().unwrap();
    both(&again);
}

#[test]
fn a_published_archive_is_adopted_whatever_its_status_unless_it_is_being_deleted() {
    let fixture = Fixture::new();
    for steps in 0..3 {
        let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
        if steps > 0 {
            fixture.claim_backup();
        }
        if steps > 1 {
            fixture.catalog.fail(id, failure("interrupted")).wait().unwrap();
        }
        fixture.catalog.adopt(id, facts(id), "unknown").wait().unwrap();
        fixture.catalog.adopt(id, facts(id), "unknown").wait().unwrap();
        let row = fixture.catalog.find(id).unwrap();
        assert_eq!((row.status, row.failure), (Status::Completed, None));
        assert_eq!((row.updated, row.facts), (facts(id).verified_at, Some(facts(id))));
    }
    let deleted = fixture.completed(ParentChoice::None);
    fixture.delete(deleted).unwrap();
    assert!(fixture.catalog.adopt(deleted, facts(deleted), "unknown").wait().is_err());
    let unknown = BackupId::generate();
    let error = fixture.catalog.adopt(unknown, facts(unknown), "unknown").wait().unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { .. }));
}

fn recovered(backups: &[Backup]) -> Vec<Recovered> {
    let name = Some("shop".to_owned());
    let row = |it: &Backup| Recovered {
        backup: it.clone(),
        instance_name: name.clone(),
        drill: None,
        damage: None,
        trashed: None,
    };
    backups.iter().map(row).collect()
}

#[test]
fn a_rebuilt_catalog_equals_the_lost_one() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let child = fixture.completed(ParentChoice::This(root));
    let rows = fixture.catalog.every_backup().unwrap();
    assert_eq!(rows.iter().map(|it| it.id).collect::<Vec<_>>(), [root, child]);
    let fresh = Fixture::new();
    fresh.catalog.sync_instances(Vec::new()).wait().unwrap();
    assert_eq!(fresh.catalog.import(recovered(&rows)).wait().unwrap(), 2);
    assert_eq!(fresh.catalog.import(recovered(&rows)).wait().unwrap(), 0);
    assert_eq!(fresh.catalog.every_backup().unwrap(), rows);
    assert_eq!(fresh.catalog.chain(child).unwrap(), rows);
}

#[test]
fn an_import_makes_an_unknown_instance_a_detached_one_until_the_configuration_names_it() {
    let fixture = Fixture::new();
    fixture.completed(ParentChoice::None);
    let rows = fixture.catalog.every_backup().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Arc::new(FixedClock::starting_at(START));
    let path = folder.path().join("catalog.db");
    let fresh = Catalog::open(&path, settings(), clock, Arc::default()).unwrap();
    fresh.import(recovered(&rows)).wait().unwrap();
    let instance = fresh.instance(&admin(), shop()).unwrap();
    assert_eq!((instance.status, instance.name.as_str()), (InstanceStatus::Detached, "shop"));
    fresh.sync_instances(vec![configured("a", "shop")]).wait().unwrap();
    assert_eq!(fresh.instance(&admin(), shop()).unwrap().status, InstanceStatus::Active);
}

#[test]
fn an_import_refuses_unfinished_backups_and_clamps_times_to_the_calendar() {
    let fixture = Fixture::new();
    fixture.completed(ParentChoice::None);
    let finished = fixture.catalog.every_backup().unwrap().remove(0);
    let fresh = Fixture::new();
    let broken = [
        Backup { status: Status::New, ..finished.clone() },
        Backup { facts: None, ..finished.clone() },
        Backup { kind: Kind::Incremental, ..finished.clone() },
    ];
    for backup in broken {
        let error = fresh.catalog.import(recovered(&[backup])).wait().unwrap_err();
        assert!(matches!(error, CatalogError::Invalid(_)), "{error}");
    }
    let far = Backup { created: Timestamp::from_micros(i64::MAX), ..finished };
    assert_eq!(fresh.catalog.import(recovered(&[far])).wait().unwrap(), 1);
    assert!(fresh.ask(shop(), ParentChoice::None).is_ok());
}

#[test]
fn rows_that_name_each_other_as_parents_end_every_walk() {
    let fixture = Fixture::new();
    fixture.completed(ParentChoice::None);
    let finished = fixture.catalog.every_backup().unwrap().remove(0);
    let [one, two] = [BackupId::generate(), BackupId::generate()];
    let ring = |id, parent| Backup {
        id,
        parent: Some(parent),
        kind: Kind::Incremental,
        facts: Some(facts(id)),
        ..finished.clone()
    };
    let rows = recovered(&[ring(one, two), ring(two, one)]);
    fixture.catalog.import(rows).wait().unwrap();
    assert!(matches!(fixture.catalog.chain(one), Err(CatalogError::ChainBroken { .. })));
    fixture.delete(one).unwrap();
    assert_eq!(fixture.removal().len(), 2);
}
