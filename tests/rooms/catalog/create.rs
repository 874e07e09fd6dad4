//! Which new backups are accepted, and what they are built on.

use super::fixture::*;
use super::*;
use coffer::domain::{
    ArchiveFacts, BackupId, InstanceId, InstanceStatus, Kind, NewBackup, ParentChoice,
    QuotaResource, Registration, Status, Timestamp, VerifyLevel,
};

#[test]
fn an_accepted_backup_takes_over_its_instances_datastore_and_rings_the_bell() {
    let fixture = Fixture::new();
    let seen = fixture.bell.count();
    let made = fixture.ask(shop(), ParentChoice::Newest).unwrap();
    assert!(fixture.bell.count() > seen);
    assert_eq!((made.status, made.kind, made.parent), (Status::New, Kind::Full, None));
    assert_eq!((made.project.as_str(), made.datastore.clone()), ("a", sqlite()));
    assert_eq!(fixture.catalog.find(made.id).unwrap(), made);
}

#[test]
fn an_unknown_instance_and_another_projects_are_the_same_to_a_client() {
    let fixture = Fixture::new();
    for id in [InstanceId::generate(), configured("b", "shop").id] {
        let new = new_backup(id, ParentChoice::None);
        let error = fixture.catalog.create_backup(&member("a"), new).wait().unwrap_err();
        assert!(matches!(error, CatalogError::NoSuchInstance { id: unknown } if unknown == id));
    }
}

#[test]
fn an_admins_backup_belongs_to_the_instances_project() {
    let fixture = Fixture::new();
    let new = new_backup(configured("b", "shop").id, ParentChoice::None);
    let made = fixture.catalog.create_backup(&admin(), new).wait().unwrap();
    assert_eq!(made.project, project("b"));
}

#[test]
fn an_instance_without_an_engine_here_is_not_supported() {
    let fixture = Fixture::new();
    let error = fixture.ask(configured("a", "old").id, ParentChoice::None).unwrap_err();
    let (operation, engine) = match error {
        CatalogError::NotSupported { operation, engine } => (operation, engine),
        other => panic!("{other}"),
    };
    assert_eq!((operation, engine.as_str()), (Operation::Backup, "vertica"));
}

#[test]
fn a_second_backup_of_a_busy_instance_is_refused_before_its_parent_is_checked() {
    let fixture = Fixture::new();
    fixture.ask(shop(), ParentChoice::None).unwrap();
    let unknown = ParentChoice::This(BackupId::generate());
    let error = fixture.ask(shop(), unknown).unwrap_err();
    assert!(
        matches!(error, CatalogError::InstanceBusy { status: InstanceStatus::Backup, .. }),
        "{error}"
    );
    assert!(fixture.ask(configured("a", "web").id, ParentChoice::None).is_ok());
}

#[test]
fn a_detached_instance_takes_no_backups() {
    let fixture = Fixture::new();
    fixture.catalog.sync_instances(vec![configured("a", "web")]).wait().unwrap();
    let error = fixture.ask(shop(), ParentChoice::None).unwrap_err();
    assert!(
        matches!(error, CatalogError::InstanceBusy { status: InstanceStatus::Detached, .. }),
        "{error}"
    );
}

#[test]
fn newest_builds_on_the_newest_completed_backup_and_starts_a_new_chain_when_that_is_full() {
    let fixture = Fixture::new();
    let full = fixture.completed(ParentChoice::Newest);
    let mut last = full;
    for _ in 0..settings().max_chain {
        let next = fixture.completed(ParentChoice::Newest);
        let row = fixture.catalog.find(next).unwrap();
        assert_eq!((row.kind, row.parent), (Kind::Incremental, Some(last)));
        last = next;
    }
    let fresh = fixture.catalog.find(fixture.completed(ParentChoice::Newest)).unwrap();
    assert_eq!((fresh.kind, fresh.parent), (Kind::Full, None));
}

#[test]
fn newest_passes_over_failed_ones() {
    let fixture = Fixture::new();
    let sound = fixture.completed(ParentChoice::None);
    let failed = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.catalog.fail(failed, failure("no")).wait().unwrap();
    assert_eq!(fixture.ask(shop(), ParentChoice::Newest).unwrap().parent, Some(sound));
}

#[test]
fn newest_is_a_full_one_when_a_link_of_its_chain_is_damaged() {
    let fixture = Fixture::new();
    fixture.completed(ParentChoice::None);
    let root = fixture.completed(ParentChoice::None);
    fixture.completed(ParentChoice::Newest);
    fixture.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    assert_eq!(fixture.ask(shop(), ParentChoice::Newest).unwrap().kind, Kind::Full);
}

#[test]
fn a_named_parent_must_be_of_the_project_and_not_being_deleted() {
    let fixture = Fixture::new();
    let foreign = fixture.completed_of(configured("b", "shop").id, ParentChoice::None);
    let deleted = fixture.completed(ParentChoice::None);
    fixture.delete(deleted).unwrap();
    for id in [BackupId::generate(), foreign, deleted] {
        let new = new_backup(shop(), ParentChoice::This(id));
        let error = fixture.catalog.create_backup(&member("a"), new).wait().unwrap_err();
        assert!(
            matches!(error, CatalogError::NoSuchBackup { id: unknown } if unknown == id),
            "{error}"
        );
    }
}

#[test]
fn a_named_parent_must_be_of_the_instance_and_usable() {
    let fixture = Fixture::new();
    let other = fixture.completed_of(configured("a", "web").id, ParentChoice::None);
    let error = fixture.ask(shop(), ParentChoice::This(other)).unwrap_err();
    assert!(
        matches!(&error, CatalogError::Invalid(Invalid::ParentOfOther { parent, .. }) if *parent == other)
    );
    let failed = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.catalog.fail(failed, failure("no")).wait().unwrap();
    let error = fixture.ask(shop(), ParentChoice::This(failed)).unwrap_err();
    assert!(matches!(error, CatalogError::NotNow(_)), "{error}");
    let root = fixture.completed(ParentChoice::None);
    let child = fixture.completed(ParentChoice::This(root));
    fixture.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    let error = fixture.ask(shop(), ParentChoice::This(root)).unwrap_err();
    assert!(matches!(error, CatalogError::NotNow(_)), "{error}");
    let error = fixture.ask(shop(), ParentChoice::This(child)).unwrap_err();
    assert!(matches!(error, CatalogError::ChainBroken { bad_backup, .. } if bad_backup == root));
}

#[test]
fn a_parent_the_client_insists_on_is_honoured_beyond_the_usual_chain() {
    let fixture = Fixture::with(Settings { max_chain: 0, ..settings() });
    let root = fixture.completed(ParentChoice::None);
    assert_eq!(fixture.ask(shop(), ParentChoice::This(root)).unwrap().parent, Some(root));
}

#[test]
fn the_container_is_the_one_asked_for_or_the_instances_or_the_projects() {
    let fixture = Fixture::new();
    let scope = member("a");
    let put = |instance, container: &str| {
        let container = container.parse().unwrap();
        fixture.catalog.put_strategy(&scope, NewStrategy { instance, container }).wait().unwrap();
    };
    let made = |container: Option<&str>| {
        let container = container.map(|it| it.parse().unwrap());
        let new = NewBackup { container, ..new_backup(shop(), ParentChoice::None) };
        let backup = fixture.catalog.create_backup(&scope, new).wait().unwrap();
        fixture.catalog.fail(backup.id, failure("next")).wait().unwrap();
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
fn a_quota_counts_all_but_failed_and_deleted_backups() {
    let fixture = Fixture::with(Settings { max_backups: 2, ..settings() });
    let failed = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.catalog.fail(failed, failure("no")).wait().unwrap();
    let first = fixture.completed(ParentChoice::None);
    fixture.completed(ParentChoice::None);
    let full = |fixture: &Fixture| {
        let error = fixture.ask(shop(), ParentChoice::None).unwrap_err();
        let resource = QuotaResource::Backups;
        assert!(matches!(error, CatalogError::QuotaExceeded { resource: of } if of == resource));
    };
    full(&fixture);
    fixture.delete(first).unwrap();
    let next = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.catalog.fail(next, failure("no")).wait().unwrap();
    assert_eq!(fixture.removal(), [first]);
    // It comes back into view, and counts again.
    fixture.catalog.removal_failed(first, failure("no")).wait().unwrap();
    full(&fixture);
    fixture.delete(first).unwrap();
    assert_eq!(fixture.removal(), [first]);
    fixture.catalog.removed(vec![first]).wait().unwrap();
    fixture.ask(shop(), ParentChoice::None).unwrap();
    the_quota_of_another_project_does_not_count(&fixture);
}

fn the_quota_of_another_project_does_not_count(fixture: &Fixture) {
    assert!(fixture.ask(configured("b", "shop").id, ParentChoice::None).is_ok());
}

#[test]
fn a_backup_is_created_after_every_earlier_one_even_if_the_clock_goes_back() {
    let fixture = Fixture::new();
    let first = fixture.completed(ParentChoice::None);
    let first = fixture.catalog.find(first).unwrap();
    let again = fixture.reopened();
    again.set_engines(vec![sqlite()]);
    let new = new_backup(shop(), ParentChoice::None);
    let second = again.create_backup(&admin(), new).wait().unwrap();
    assert_eq!(second.created.as_micros(), first.created.as_micros() + 1);
}

#[test]
fn a_backup_made_under_a_clock_far_ahead_holds_up_neither_the_times_of_later_ones_nor_their_chains()
{
    let day = 24 * 3600 * 1_000_000;
    for (ahead, follows) in [(20 * day, true), (5 * 365 * day, false)] {
        let fixture = Fixture::new();
        let first = fixture.completed(ParentChoice::None);
        let first = fixture.catalog.find(first).unwrap();
        rusqlite::Connection::open(&fixture.path)
            .unwrap()
            .execute("UPDATE backups SET created = created + ?1", [ahead])
            .unwrap();
        let jumped = fixture.catalog.why_clock_jumped().unwrap().expect("the clock jumped");
        assert_eq!(jumped.contains("dated just after it"), follows, "{jumped}");
        let second = fixture.completed(ParentChoice::Newest);
        let second = fixture.catalog.find(second).unwrap();
        assert_eq!(second.parent, follows.then_some(first.id));
        let off = second.created.as_micros() - first.created.as_micros();
        assert_eq!(off > ahead, follows, "{off}");
        // The later ones are in order, and build on each other.
        let third = fixture.completed(ParentChoice::Newest);
        let third = fixture.catalog.find(third).unwrap();
        assert!(third.created > second.created);
        assert_eq!(third.parent, Some(second.id));
    }
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
fn a_registration_becomes_restored_with_the_facts_of_its_archive() {
    let fixture = Fixture::new();
    let made = fixture.catalog.register_backup(&member("a"), registration("a/x.tar.zst"));
    let made = made.wait().unwrap();
    assert_eq!((made.status, made.instance, made.facts.clone()), (Status::New, None, None));
    let Some(Job::Register(job)) = fixture.catalog.claim_any().unwrap() else { panic!("no job") };
    assert_eq!((job.location.as_str(), job.backup.id), ("a/x.tar.zst", made.id));
    let proof = ArchiveFacts { location: "a/x.tar.zst".parse().unwrap(), ..facts(made.id) };
    fixture.catalog.registered(made.id, Kind::Full, None, proof.clone()).wait().unwrap();
    let row = fixture.catalog.find(made.id).unwrap();
    assert_eq!((row.status, row.facts), (Status::Restored, Some(proof)));
    assert!(fixture.restore_of(made.id).is_ok());
}

#[test]
fn an_archive_is_registered_once_and_again_only_after_that_failed() {
    let fixture = Fixture::new();
    let own = fixture.completed(ParentChoice::None);
    let ask = || fixture.catalog.register_backup(&member("a"), registration("a/x.tar.zst")).wait();
    let first = ask().unwrap().id;
    assert!(matches!(ask().unwrap_err(), CatalogError::Invalid(_)));
    fixture.catalog.fail(first, failure("not an archive")).wait().unwrap();
    assert!(ask().is_ok());
    let its = registration(facts(own).location.as_str());
    let error = fixture.catalog.register_backup(&member("a"), its).wait().unwrap_err();
    assert!(matches!(&error, CatalogError::Invalid(Invalid::ArchiveTaken(owner)) if *owner == own));
}

#[test]
fn a_registration_names_a_known_version_and_its_own_projects_folder() {
    let fixture = Fixture::new();
    let unknown = Registration { version_id: "7".to_owned(), ..registration("a/x.tar.zst") };
    let error = fixture.catalog.register_backup(&member("a"), unknown).wait().unwrap_err();
    let CatalogError::Invalid(Invalid::DatastoreVersion(version)) = error else {
        panic!("{error}");
    };
    assert_eq!(version, "7");
    let foreign = fixture.catalog.register_backup(&member("a"), registration("b/x.tar.zst")).wait();
    assert!(matches!(foreign.unwrap_err(), CatalogError::Invalid(_)));
    assert!(fixture.catalog.register_backup(&admin(), registration("b/x.tar.zst")).wait().is_ok());
}

#[test]
fn an_instance_shows_that_a_backup_of_it_runs_and_the_size_of_the_newest() {
    let fixture = Fixture::new();
    let shown = || fixture.catalog.instance(&member("a"), shop()).unwrap();
    assert_eq!((shown().status, shown().used_bytes), (InstanceStatus::Active, 0));
    fixture.completed(ParentChoice::None);
    fixture.ask(shop(), ParentChoice::None).unwrap();
    assert_eq!((shown().status, shown().used_bytes), (InstanceStatus::Backup, 4000));
}

#[test]
fn a_proof_of_an_archive_keeps_its_strongest_level_and_clears_damage() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    fixture.catalog.report_damage(id, failure("bits rot")).wait().unwrap();
    let row = fixture.catalog.find(id).unwrap();
    assert_eq!((row.status, row.failure), (Status::Completed, Some(failure("bits rot"))));
    let at = Timestamp::from_micros(START.as_micros() + 7);
    fixture.catalog.report_verified(id, at, vec![(id, VerifyLevel::Bytes)]).wait().unwrap();
    let row = fixture.catalog.find(id).unwrap();
    assert_eq!((row.failure, row.updated), (None, at));
    assert_eq!(row.facts.unwrap().verify_level, VerifyLevel::Checked);
}
