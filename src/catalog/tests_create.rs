//! What a new backup is accepted for, and what it is built on.

use super::tests_house::*;
use super::*;
use crate::domain::{
    ArchiveFacts, BackupId, InstanceId, InstanceStatus, Kind, NewBackup, ParentChoice,
    Registration, Status, Timestamp, VerifyLevel,
};

#[test]
fn a_backup_is_accepted_with_what_is_known_of_its_instance_and_rings_the_bell() {
    let house = House::new();
    let seen = house.bell.count();
    let made = house.ask(shop(), ParentChoice::Newest).unwrap();
    assert!(house.bell.count() > seen);
    assert_eq!((made.status, made.kind, made.parent), (Status::New, Kind::Full, None));
    assert_eq!((made.project.as_str(), made.datastore.clone()), ("a", sqlite()));
    assert_eq!(house.catalog.find(made.id).unwrap(), made);
}

#[test]
fn an_unknown_instance_and_another_projects_are_the_same_to_a_client() {
    let house = House::new();
    for id in [InstanceId::generate(), configured("b", "shop").id] {
        let new = new_backup(id, ParentChoice::None);
        let error = house.catalog.create_backup(&member("a"), new).wait().unwrap_err();
        assert!(matches!(error, CatalogError::NoSuchInstance { id: said } if said == id));
    }
}

#[test]
fn an_admins_backup_belongs_to_the_instances_project() {
    let house = House::new();
    let new = new_backup(configured("b", "shop").id, ParentChoice::None);
    let made = house.catalog.create_backup(&admin(), new).wait().unwrap();
    assert_eq!(made.project, project("b"));
}

#[test]
fn an_instance_without_an_engine_here_is_not_supported() {
    let house = House::new();
    let error = house.ask(configured("a", "old").id, ParentChoice::None).unwrap_err();
    let text = "The 'backup_create' operation is not supported for the 'vertica' datastore.";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_second_backup_of_a_busy_instance_is_refused_before_its_parent_is_looked_at() {
    let house = House::new();
    house.ask(shop(), ParentChoice::None).unwrap();
    let unknown = ParentChoice::This(BackupId::generate());
    let error = house.ask(shop(), unknown).unwrap_err();
    assert!(matches!(error, CatalogError::InstanceBusy { status: "BACKUP", .. }), "{error}");
    assert!(house.ask(configured("a", "web").id, ParentChoice::None).is_ok());
}

#[test]
fn a_detached_instance_takes_no_backups() {
    let house = House::new();
    house.catalog.sync_instances(vec![configured("a", "web")]).wait().unwrap();
    let error = house.ask(shop(), ParentChoice::None).unwrap_err();
    assert!(matches!(error, CatalogError::InstanceBusy { status: "DETACHED", .. }), "{error}");
}

#[test]
fn newest_builds_on_the_newest_completed_one_and_starts_anew_when_the_chain_is_full() {
    let house = House::new();
    let full = house.completed(ParentChoice::Newest);
    let mut last = full;
    for _ in 0..settings().max_chain {
        let next = house.completed(ParentChoice::Newest);
        let row = house.catalog.find(next).unwrap();
        assert_eq!((row.kind, row.parent), (Kind::Incremental, Some(last)));
        last = next;
    }
    let fresh = house.catalog.find(house.completed(ParentChoice::Newest)).unwrap();
    assert_eq!((fresh.kind, fresh.parent), (Kind::Full, None));
}

#[test]
fn newest_passes_over_failed_ones() {
    let house = House::new();
    let sound = house.completed(ParentChoice::None);
    let failed = house.ask(shop(), ParentChoice::None).unwrap().id;
    house.catalog.fail(failed, failure("no")).wait().unwrap();
    assert_eq!(house.ask(shop(), ParentChoice::Newest).unwrap().parent, Some(sound));
}

#[test]
fn newest_is_a_full_one_when_a_link_of_its_chain_is_damaged() {
    let house = House::new();
    house.completed(ParentChoice::None);
    let root = house.completed(ParentChoice::None);
    house.completed(ParentChoice::Newest);
    house.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    assert_eq!(house.ask(shop(), ParentChoice::Newest).unwrap().kind, Kind::Full);
}

#[test]
fn a_named_parent_has_to_be_known_and_this_projects_and_not_on_its_way_out() {
    let house = House::new();
    let foreign = house.completed_of(configured("b", "shop").id, ParentChoice::None);
    let doomed = house.completed(ParentChoice::None);
    house.delete(doomed).unwrap();
    for id in [BackupId::generate(), foreign, doomed] {
        let new = new_backup(shop(), ParentChoice::This(id));
        let error = house.catalog.create_backup(&member("a"), new).wait().unwrap_err();
        assert!(matches!(error, CatalogError::NoSuchBackup { id: said } if said == id), "{error}");
    }
}

#[test]
fn a_named_parent_has_to_be_of_the_instance_and_usable() {
    let house = House::new();
    let other = house.completed_of(configured("a", "web").id, ParentChoice::None);
    let error = house.ask(shop(), ParentChoice::This(other)).unwrap_err();
    assert!(matches!(&error, CatalogError::Invalid { why } if why.contains("parent_id")));
    let failed = house.ask(shop(), ParentChoice::None).unwrap().id;
    house.catalog.fail(failed, failure("no")).wait().unwrap();
    let error = house.ask(shop(), ParentChoice::This(failed)).unwrap_err();
    assert!(matches!(error, CatalogError::NotNow { .. }), "{error}");
    let root = house.completed(ParentChoice::None);
    let child = house.completed(ParentChoice::This(root));
    house.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    let error = house.ask(shop(), ParentChoice::This(root)).unwrap_err();
    assert!(matches!(error, CatalogError::NotNow { .. }), "{error}");
    let error = house.ask(shop(), ParentChoice::This(child)).unwrap_err();
    assert!(matches!(error, CatalogError::ChainBroken { culprit, .. } if culprit == root));
}

#[test]
fn a_parent_the_client_insists_on_is_honoured_beyond_the_usual_chain() {
    let house = House::with(Settings { max_chain: 0, ..settings() });
    let root = house.completed(ParentChoice::None);
    assert_eq!(house.ask(shop(), ParentChoice::This(root)).unwrap().parent, Some(root));
}

#[test]
fn the_container_is_the_one_asked_for_or_the_instances_or_the_projects() {
    let house = House::new();
    let scope = member("a");
    let put = |instance, container: &str| {
        let container = container.parse().unwrap();
        house.catalog.put_strategy(&scope, NewStrategy { instance, container }).wait().unwrap();
    };
    let made = |container: Option<&str>| {
        let container = container.map(|it| it.parse().unwrap());
        let new = NewBackup { container, ..new_backup(shop(), ParentChoice::None) };
        let backup = house.catalog.create_backup(&scope, new).wait().unwrap();
        house.catalog.fail(backup.id, failure("next")).wait().unwrap();
        backup.container.map(|it| it.to_string())
    };
    assert_eq!(made(None), None);
    put(None, "projects");
    assert_eq!(made(None).as_deref(), Some("projects"));
    put(Some(shop()), "shops");
    assert_eq!(made(None).as_deref(), Some("shops"));
    assert_eq!(made(Some("mine")).as_deref(), Some("mine"));
}

#[test]
fn a_quota_counts_everything_but_failures_until_it_is_really_gone() {
    let house = House::with(Settings { max_backups: 2, ..settings() });
    let failed = house.ask(shop(), ParentChoice::None).unwrap().id;
    house.catalog.fail(failed, failure("no")).wait().unwrap();
    let first = house.completed(ParentChoice::None);
    house.completed(ParentChoice::None);
    let full = |house: &House| {
        let error = house.ask(shop(), ParentChoice::None).unwrap_err();
        assert_eq!(error.to_string(), "Quota exceeded for resources: ['backups'].");
    };
    full(&house);
    house.delete(first).unwrap();
    full(&house);
    assert_eq!(house.removal(), [first]);
    house.catalog.removed(vec![first]).wait().unwrap();
    house.ask(shop(), ParentChoice::None).unwrap();
    full_of_another_project_is_no_matter(&house);
}

fn full_of_another_project_is_no_matter(house: &House) {
    assert!(house.ask(configured("b", "shop").id, ParentChoice::None).is_ok());
}

#[test]
fn a_backups_time_is_behind_every_earlier_ones_even_if_the_clock_goes_back() {
    let house = House::new();
    let first = house.completed(ParentChoice::None);
    let first = house.catalog.find(first).unwrap();
    let again = house.reopened();
    again.set_engines(vec![sqlite()]);
    let new = new_backup(shop(), ParentChoice::None);
    let second = again.create_backup(&admin(), new).wait().unwrap();
    assert_eq!(second.created.as_micros(), first.created.as_micros() + 1);
}

fn registration(location: &str) -> Registration {
    Registration {
        name: "found".to_owned(),
        description: None,
        location: location.parse().unwrap(),
        version_id: sqlite().version_id(),
    }
}

#[test]
fn a_registration_becomes_restored_with_what_the_archive_says_of_itself() {
    let house = House::new();
    let made = house.catalog.register_backup(&member("a"), registration("a/x.tar.zst"));
    let made = made.wait().unwrap();
    assert_eq!((made.status, made.instance, made.facts.clone()), (Status::New, None, None));
    let Some(Job::Register(job)) = house.catalog.claim().unwrap() else { panic!("no job") };
    assert_eq!((job.location.as_str(), job.backup.id), ("a/x.tar.zst", made.id));
    let proof = ArchiveFacts { location: "a/x.tar.zst".parse().unwrap(), ..facts(made.id) };
    house.catalog.registered(made.id, Kind::Full, None, proof.clone()).wait().unwrap();
    let row = house.catalog.find(made.id).unwrap();
    assert_eq!((row.status, row.facts), (Status::Restored, Some(proof)));
    assert!(house.restore_of(made.id).is_ok());
}

#[test]
fn an_archive_is_registered_once_and_again_only_after_that_failed() {
    let house = House::new();
    let own = house.completed(ParentChoice::None);
    let ask = || house.catalog.register_backup(&member("a"), registration("a/x.tar.zst")).wait();
    let first = ask().unwrap().id;
    assert!(matches!(ask().unwrap_err(), CatalogError::Invalid { .. }));
    house.catalog.fail(first, failure("not an archive")).wait().unwrap();
    assert!(ask().is_ok());
    let its = registration(facts(own).location.as_str());
    let error = house.catalog.register_backup(&member("a"), its).wait().unwrap_err();
    assert!(matches!(&error, CatalogError::Invalid { why } if why.contains(&own.to_string())));
}

#[test]
fn a_registration_names_a_known_version_and_its_own_projects_folder() {
    let house = House::new();
    let unknown = Registration { version_id: "7".to_owned(), ..registration("a/x.tar.zst") };
    let error = house.catalog.register_backup(&member("a"), unknown).wait().unwrap_err();
    assert_eq!(error.to_string(), "Datastore version '7' cannot be found.");
    let foreign = house.catalog.register_backup(&member("a"), registration("b/x.tar.zst")).wait();
    assert!(matches!(foreign.unwrap_err(), CatalogError::Invalid { .. }));
    assert!(house.catalog.register_backup(&admin(), registration("b/x.tar.zst")).wait().is_ok());
}

#[test]
fn the_instance_shows_that_a_backup_of_it_runs_and_how_big_the_newest_one_was() {
    let house = House::new();
    let look = || house.catalog.instance(&member("a"), shop()).unwrap();
    assert_eq!((look().status, look().used_bytes), (InstanceStatus::Active, 0));
    house.completed(ParentChoice::None);
    house.ask(shop(), ParentChoice::None).unwrap();
    assert_eq!((look().status, look().used_bytes), (InstanceStatus::Backup, 4000));
}

#[test]
fn proof_of_an_archive_keeps_its_strongest_level_and_takes_back_damage() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    house.catalog.report_damage(id, failure("bits rot")).wait().unwrap();
    let row = house.catalog.find(id).unwrap();
    assert_eq!((row.status, row.failure), (Status::Completed, Some(failure("bits rot"))));
    let at = Timestamp::from_micros(START.as_micros() + 7);
    house.catalog.report_verified(id, at, VerifyLevel::Bytes).wait().unwrap();
    let row = house.catalog.find(id).unwrap();
    assert_eq!((row.failure, row.updated), (None, at));
    assert_eq!(row.facts.unwrap().verify_level, VerifyLevel::Checked);
}
