//! Instances of the configuration and of restores, strategies, quotas, tokens, datastores.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::fixture::*;
use super::*;
use coffer::domain::{
    BackupId, Caller, Datastore, Instance, InstanceId, InstanceOrigin, InstanceStatus,
    ParentChoice, ProjectQuota, QuotaResource, Role, Source,
};

fn names(fixture: &Fixture, of: &str) -> Vec<String> {
    let page = fixture.catalog.instances(&member(of), None, 100).unwrap();
    page.rows.into_iter().map(|it| it.name).collect()
}

#[test]
fn the_configuration_decides_which_instances_there_are() {
    let fixture = Fixture::new();
    assert_eq!(names(&fixture, "a"), ["old", "shop", "web"]);
    let moved = Instance { source: Source::from_path("/new"), ..configured("a", "shop") };
    fixture.catalog.sync_instances(vec![moved.clone()]).wait().unwrap();
    assert_eq!(names(&fixture, "a"), ["shop"]);
    assert_eq!(fixture.catalog.instance(&admin(), shop()).unwrap().source, moved.source);
    let web = fixture.catalog.instance(&admin(), configured("a", "web").id).unwrap();
    assert_eq!(web.status, InstanceStatus::Detached);
    fixture.catalog.sync_instances(vec![configured("a", "web")]).wait().unwrap();
    assert_eq!(names(&fixture, "a"), ["web"]);
}

#[test]
fn an_instance_that_did_not_change_keeps_its_times_and_a_known_version() {
    let fixture = Fixture::new();
    let before = fixture.catalog.instance(&admin(), shop()).unwrap();
    let unknown = Datastore { version: "unknown".to_owned(), ..sqlite() };
    let again = Instance { datastore: unknown, ..configured("a", "shop") };
    fixture.catalog.sync_instances(vec![again]).wait().unwrap();
    assert_eq!(fixture.catalog.instance(&admin(), shop()).unwrap(), before);
}

#[test]
fn two_configured_instances_of_one_id_are_refused_and_nothing_changes() {
    let fixture = Fixture::new();
    let twice = vec![configured("a", "web"), configured("a", "web")];
    let error = fixture.catalog.sync_instances(twice).wait().unwrap_err();
    assert!(matches!(error, CatalogError::Invalid(_)));
    assert_eq!(names(&fixture, "a"), ["old", "shop", "web"]);
}

#[test]
fn instances_are_paged_by_name_within_the_callers_project() {
    let fixture = Fixture::new();
    let first = fixture.catalog.instances(&member("a"), None, 2).unwrap();
    assert_eq!(first.rows.len(), 2);
    let second = fixture.catalog.instances(&member("a"), first.next, 2).unwrap();
    assert_eq!((second.rows.len(), second.next), (1, None));
    assert_eq!(second.rows[0].name, "web");
    let gone = Some(InstanceId::generate());
    let error = fixture.catalog.instances(&member("a"), gone, 2).unwrap_err();
    assert!(matches!(error, CatalogError::Invalid(_)));
    assert_eq!(fixture.catalog.all_instances(&admin(), None, 100).unwrap().rows.len(), 4);
    assert!(fixture.catalog.instance(&member("b"), shop()).is_err());
    assert!(fixture.catalog.instance(&admin(), shop()).is_ok());
}

#[test]
fn a_restore_is_claimed_with_its_chain_and_placed() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let child = fixture.completed(ParentChoice::This(root));
    let copy = fixture.restore_of(child).unwrap();
    assert_eq!(
        (copy.status, copy.origin),
        (InstanceStatus::Build, InstanceOrigin::Restored(child))
    );
    let busy = fixture.ask(copy.id, ParentChoice::None).unwrap_err();
    assert!(matches!(busy, CatalogError::InstanceBusy { status: InstanceStatus::Build, .. }));
    let Some(Job::Restore(job)) = fixture.catalog.claim_any().unwrap() else {
        panic!("no restore")
    };
    assert_eq!(job.instance, copy);
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, child]);
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    let source = Source::from_path("/restored/copy.db");
    fixture.catalog.restored(copy.id, source.clone(), 99).wait().unwrap();
    let row = fixture.catalog.instance(&admin(), copy.id).unwrap();
    assert_eq!((row.status, row.used_bytes, row.source), (InstanceStatus::Active, 99, source));
    assert!(fixture.ask(copy.id, ParentChoice::None).is_ok());
}

#[test]
fn a_restore_that_failed_says_why_and_ends_once() {
    let fixture = Fixture::new();
    let copy = fixture.restore_of(fixture.completed(ParentChoice::None)).unwrap();
    fixture.catalog.restore_failed(copy.id, failure("no room")).wait().unwrap();
    let row = fixture.catalog.instance(&admin(), copy.id).unwrap();
    assert_eq!((row.status, row.failure), (InstanceStatus::Error, Some(failure("no room"))));
    let again = fixture.catalog.restored(copy.id, Source::default(), 1).wait().unwrap_err();
    assert!(matches!(again, CatalogError::InstanceBusy { status: InstanceStatus::Error, .. }));
}

#[test]
fn a_restore_whose_chain_breaks_while_it_waits_fails_with_the_name_of_the_bad_backup() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    let child = fixture.completed(ParentChoice::This(root));
    // Reported damage does not stand between a person and the only copy: the restore compares every byte.
    fixture.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    fixture.restore_of(child).unwrap();
    assert!(matches!(fixture.catalog.claim_any().unwrap(), Some(Job::Restore(_))));
    let copy = fixture.restore_of(child).unwrap();
    fixture.forget_row(root);
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    let row = fixture.catalog.instance(&admin(), copy.id).unwrap();
    assert!(row.failure.unwrap().message.contains(&root.to_string()));
    let error = fixture.restore_of(child).unwrap_err();
    assert!(matches!(error, CatalogError::ChainBroken { bad_backup, .. } if bad_backup == root));
}

#[test]
fn only_a_visible_usable_backup_of_the_named_engine_is_restored() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    let ask = |scope: &Scope<Write>, backup: BackupId, engine: Option<&str>| {
        let engine = engine.map(str::to_owned);
        let new = NewInstance { name: "copy".to_owned(), backup, engine, version: None };
        fixture.catalog.create_instance(scope, new).wait()
    };
    let error = ask(&member("b"), id, None).unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { .. }));
    let error = ask(&member("a"), id, Some("redis")).unwrap_err();
    assert!(matches!(error, CatalogError::Invalid(_)));
    let running = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    let error = ask(&member("a"), running, None).unwrap_err();
    assert!(matches!(error, CatalogError::NotNow(_)));
    assert!(ask(&member("a"), id, Some("sqlite")).is_ok());
    assert!(ask(&member("a"), id, None).is_ok());
}

#[test]
fn a_restored_instance_whose_removal_failed_is_shown_and_tried_again() {
    let fixture = Fixture::new();
    let backup = fixture.completed(ParentChoice::None);
    let copy = fixture.restore_of(backup).unwrap();
    fixture.catalog.restored(copy.id, Source::default(), 1).wait().unwrap();
    let delete = || fixture.catalog.delete_instance(&member("a"), copy.id).wait();
    let claimed = || matches!(fixture.catalog.claim_any().unwrap(), Some(Job::RemoveInstance(_)));
    let fail = || fixture.catalog.instance_removal_failed(copy.id, failure("no")).wait().unwrap();
    delete().unwrap();
    assert!(claimed());
    fail();
    let shown = fixture.catalog.instance(&member("a"), copy.id).unwrap();
    assert_eq!((shown.status, shown.failure), (InstanceStatus::Error, Some(failure("no"))));
    // Not yet, then after a while, at the next delete, and at the next start.
    fixture.catalog.retry_failed_removals(Duration::from_secs(3600)).unwrap();
    assert!(!claimed());
    fixture.catalog.retry_failed_removals(Duration::ZERO).unwrap();
    assert!(fixture.catalog.instance(&member("a"), copy.id).is_err());
    assert!(claimed());
    fail();
    delete().unwrap();
    assert!(claimed());
    fail();
    fixture.catalog.reopen_removals().wait().unwrap();
    assert!(claimed());
    fixture.catalog.instance_removed(copy.id).wait().unwrap();
    assert!(fixture.catalog.instance(&admin(), copy.id).is_err());
}

#[test]
fn a_restore_that_failed_is_not_deleted_by_itself() {
    let fixture = Fixture::new();
    let copy = fixture.restore_of(fixture.completed(ParentChoice::None)).unwrap();
    fixture.catalog.restore_failed(copy.id, failure("no")).wait().unwrap();
    fixture.catalog.retry_failed_removals(Duration::ZERO).unwrap();
    assert!(fixture.catalog.instance(&member("a"), copy.id).is_ok());
}

#[test]
fn a_restored_instance_can_be_deleted_and_a_configured_one_cannot() {
    let fixture = Fixture::with(Settings { max_instances: 1, ..settings() });
    let backup = fixture.completed(ParentChoice::None);
    let copy = fixture.restore_of(backup).unwrap();
    assert!(matches!(fixture.restore_of(backup), Err(CatalogError::QuotaExceeded { .. })));
    let delete = |id| fixture.catalog.delete_instance(&member("a"), id).wait();
    assert!(matches!(
        delete(copy.id),
        Err(CatalogError::InstanceBusy { status: InstanceStatus::Build, .. })
    ));
    fixture.catalog.restored(copy.id, Source::default(), 1).wait().unwrap();
    delete(copy.id).unwrap();
    assert!(!names(&fixture, "a").contains(&"copy".to_owned()));
    assert!(matches!(delete(copy.id), Err(CatalogError::NoSuchInstance { .. })));
    let Some(Job::RemoveInstance(job)) = fixture.catalog.claim_any().unwrap() else {
        panic!("no job")
    };
    assert_eq!((job.id, job.project.as_str()), (copy.id, "a"));
    fixture.catalog.instance_removed(copy.id).wait().unwrap();
    assert!(fixture.catalog.instance(&admin(), copy.id).is_err());
    assert!(fixture.restore_of(backup).is_ok());
    assert!(matches!(delete(shop()), Err(CatalogError::Forbidden(_))));
}

#[test]
fn strategies_are_kept_by_project_and_instance() {
    let fixture = Fixture::new();
    let put = |instance, container: &str| {
        let container = container.parse().unwrap();
        fixture.catalog.put_strategy(&member("a"), NewStrategy { instance, container }).wait()
    };
    put(None, "one").unwrap();
    put(None, "two").unwrap();
    put(Some(shop()), "three").unwrap();
    let (own, of_shop) = (project("a"), shop().to_string());
    let list = |scope: &Scope<Read>, project, instance| {
        let found = fixture.catalog.strategies(scope, project, instance)?;
        Ok(found.into_iter().map(|it| it.container.to_string()).collect::<Vec<_>>())
    };
    let none: Result<Vec<String>, CatalogError> = list(&member("a"), None, Some("abc"));
    assert!(none.unwrap().is_empty());
    assert_eq!(list(&member("a"), None, None).unwrap(), ["two", "three"]);
    assert_eq!(list(&member("a"), None, Some(&of_shop)).unwrap(), ["three"]);
    assert_eq!(list(&admin(), Some(&own), None).unwrap(), ["two", "three"]);
    let error = list(&member("b"), Some(&own), None).unwrap_err();
    let CatalogError::Forbidden(Forbidden::OtherProject(own)) = error else {
        panic!("{error}");
    };
    assert_eq!(own, project("b"));
    let delete = || fixture.catalog.delete_strategy(&member("a"), None, Some(shop())).wait();
    delete().unwrap();
    assert!(matches!(delete(), Err(CatalogError::NoSuchStrategy { .. })));
}

#[test]
fn quotas_are_the_operators_until_an_admin_sets_a_projects_own() {
    let fixture = Fixture::with(Settings { max_backups: 5, ..settings() });
    fixture.completed(ParentChoice::None);
    let of = |name: &str| fixture.catalog.quotas(&member("a"), &project(name));
    let backups = |quotas: Vec<ProjectQuota>| {
        quotas.into_iter().find(|it| it.resource == QuotaResource::Backups).unwrap()
    };
    let quota = backups(of("a").unwrap());
    assert_eq!((quota.in_use, quota.limit), (1, 5));
    assert!(matches!(of("b"), Err(CatalogError::Forbidden(_))));
    let set = |limit| {
        let limits = vec![(QuotaResource::Backups, limit)];
        fixture.catalog.set_quotas(&admin(), &project("a"), limits).wait()
    };
    assert!(set(-2).is_err());
    set(1).unwrap();
    assert!(matches!(
        fixture.ask(shop(), ParentChoice::None),
        Err(CatalogError::QuotaExceeded { .. })
    ));
    set(-1).unwrap();
    assert!(fixture.ask(shop(), ParentChoice::None).is_ok());
}

#[test]
fn a_token_is_known_by_its_secret_alone_and_survives_a_restart() {
    let fixture = Fixture::new();
    let caller = |name: &str| Caller {
        name: name.to_owned(),
        project: Some(project("a")),
        roles: vec![Role::Admin, Role::Reader],
    };
    let digest = |secret: &str| Sha256::digest(secret.as_bytes()).into();
    fixture.catalog.set_configured_tokens(vec![(caller("alice"), digest("s1"))]);
    fixture.catalog.add_token(caller("admin"), digest("s2")).wait().unwrap();
    assert_eq!(fixture.catalog.token_count().unwrap(), 2);
    assert_eq!(fixture.catalog.authenticate("s1"), Some(Arc::new(caller("alice"))));
    assert_eq!(fixture.catalog.authenticate("s2"), Some(Arc::new(caller("admin"))));
    for wrong in ["", "s3", "alice"] {
        assert_eq!(fixture.catalog.authenticate(wrong), None);
    }
    fixture.catalog.add_token(caller("admin"), digest("s4")).wait().unwrap();
    assert_eq!(fixture.catalog.authenticate("s2"), None);
    let again = fixture.reopened();
    assert_eq!(again.authenticate("s4"), Some(Arc::new(caller("admin"))));
    assert_eq!((again.authenticate("s1"), again.token_count().unwrap()), (None, 1));
}

#[test]
fn datastores_are_those_of_engines_instances_and_backups_without_repeats() {
    let fixture = Fixture::new();
    fixture.completed(ParentChoice::None);
    let later = Datastore { engine: "redis".to_owned(), version: "8".to_owned() };
    fixture.catalog.set_engines(vec![later.clone(), sqlite()]);
    let vertica = Datastore { engine: "vertica".to_owned(), version: "9".to_owned() };
    assert_eq!(fixture.catalog.datastores().unwrap(), [later, sqlite(), vertica]);
}
