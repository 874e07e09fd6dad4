//! Instances of the configuration and of restores, strategies, quotas, tokens, datastores.

use sha2::{Digest as _, Sha256};

use super::tests_house::*;
use super::*;
use crate::domain::{
    BackupId, Caller, Datastore, Instance, InstanceId, InstanceOrigin, InstanceStatus,
    ParentChoice, Role, Source,
};

fn names(house: &House, of: &str) -> Vec<String> {
    let page = house.catalog.instances(&member(of), None, 100).unwrap();
    page.rows.into_iter().map(|it| it.name).collect()
}

#[test]
fn the_configuration_decides_which_instances_there_are() {
    let house = House::new();
    assert_eq!(names(&house, "a"), ["old", "shop", "web"]);
    let moved = Instance { source: Source::from_path("/new"), ..configured("a", "shop") };
    house.catalog.sync_instances(vec![moved.clone()]).wait().unwrap();
    assert_eq!(names(&house, "a"), ["shop"]);
    assert_eq!(house.catalog.find_instance(shop()).unwrap().source, moved.source);
    let web = house.catalog.find_instance(configured("a", "web").id).unwrap();
    assert_eq!(web.status, InstanceStatus::Detached);
    house.catalog.sync_instances(vec![configured("a", "web")]).wait().unwrap();
    assert_eq!(names(&house, "a"), ["web"]);
}

#[test]
fn an_instance_that_did_not_change_keeps_its_times_and_a_known_version() {
    let house = House::new();
    let before = house.catalog.find_instance(shop()).unwrap();
    let unknown = Datastore { version: "unknown".to_owned(), ..sqlite() };
    let again = Instance { datastore: unknown, ..configured("a", "shop") };
    house.catalog.sync_instances(vec![again]).wait().unwrap();
    assert_eq!(house.catalog.find_instance(shop()).unwrap(), before);
}

#[test]
fn two_configured_instances_of_one_id_are_refused_and_nothing_changes() {
    let house = House::new();
    let twice = vec![configured("a", "web"), configured("a", "web")];
    let error = house.catalog.sync_instances(twice).wait().unwrap_err();
    assert!(matches!(error, CatalogError::Invalid { .. }));
    assert_eq!(names(&house, "a"), ["old", "shop", "web"]);
}

#[test]
fn instances_are_paged_by_name_and_only_of_the_own_project() {
    let house = House::new();
    let first = house.catalog.instances(&member("a"), None, 2).unwrap();
    assert_eq!(first.rows.len(), 2);
    let second = house.catalog.instances(&member("a"), first.next, 2).unwrap();
    assert_eq!((second.rows.len(), second.next), (1, None));
    assert_eq!(second.rows[0].name, "web");
    let gone = Some(InstanceId::generate());
    let error = house.catalog.instances(&member("a"), gone, 2).unwrap_err();
    assert!(matches!(error, CatalogError::Invalid { .. }));
    assert_eq!(house.catalog.all_instances(&admin()).unwrap().len(), 4);
    assert!(house.catalog.instance(&member("b"), shop()).is_err());
    assert!(house.catalog.instance(&admin(), shop()).is_ok());
}

#[test]
fn a_restore_is_claimed_with_its_chain_and_placed() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    let child = house.completed(ParentChoice::This(root));
    let copy = house.restore_of(child).unwrap();
    assert_eq!(
        (copy.status, copy.origin),
        (InstanceStatus::Build, InstanceOrigin::Restored(child))
    );
    let busy = house.ask(copy.id, ParentChoice::None).unwrap_err();
    assert!(matches!(busy, CatalogError::InstanceBusy { status: "BUILD", .. }));
    let Some(Job::Restore(job)) = house.catalog.claim().unwrap() else { panic!("no restore") };
    assert_eq!(job.instance, copy);
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, child]);
    assert_eq!(house.catalog.claim().unwrap(), None);
    let source = Source::from_path("/restored/copy.db");
    house.catalog.restored(copy.id, source.clone(), 99).wait().unwrap();
    let row = house.catalog.find_instance(copy.id).unwrap();
    assert_eq!((row.status, row.used_bytes, row.source), (InstanceStatus::Active, 99, source));
    assert!(house.ask(copy.id, ParentChoice::None).is_ok());
}

#[test]
fn a_restore_that_failed_says_why_and_settles_once() {
    let house = House::new();
    let copy = house.restore_of(house.completed(ParentChoice::None)).unwrap();
    house.catalog.restore_failed(copy.id, failure("no room")).wait().unwrap();
    let row = house.catalog.find_instance(copy.id).unwrap();
    assert_eq!((row.status, row.failure), (InstanceStatus::Error, Some(failure("no room"))));
    let again = house.catalog.restored(copy.id, Source::default(), 1).wait().unwrap_err();
    assert!(matches!(again, CatalogError::InstanceBusy { status: "ERROR", .. }));
}

#[test]
fn a_restore_whose_chain_breaks_while_it_waits_fails_with_the_culprits_name() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    let child = house.completed(ParentChoice::This(root));
    let copy = house.restore_of(child).unwrap();
    house.catalog.report_damage(root, failure("bits rot")).wait().unwrap();
    assert_eq!(house.catalog.claim().unwrap(), None);
    let row = house.catalog.find_instance(copy.id).unwrap();
    assert!(row.failure.unwrap().message.contains(&root.to_string()));
    let error = house.restore_of(child).unwrap_err();
    assert!(matches!(error, CatalogError::ChainBroken { culprit, .. } if culprit == root));
}

#[test]
fn only_a_visible_usable_backup_of_the_named_engine_is_restored() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    let ask = |scope: &Scope<Write>, backup: BackupId, engine: Option<&str>| {
        let engine = engine.map(str::to_owned);
        let new = NewInstance { name: "copy".to_owned(), backup, engine };
        house.catalog.create_instance(scope, new).wait()
    };
    let error = ask(&member("b"), id, None).unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { .. }));
    let error = ask(&member("a"), id, Some("redis")).unwrap_err();
    assert!(matches!(error, CatalogError::Invalid { .. }));
    let running = house.ask(shop(), ParentChoice::None).unwrap().id;
    let error = ask(&member("a"), running, None).unwrap_err();
    assert!(matches!(error, CatalogError::NotNow { .. }));
    assert!(ask(&member("a"), id, Some("sqlite")).is_ok());
    assert!(ask(&member("a"), id, None).is_ok());
}

#[test]
fn a_restored_instance_vanishes_when_its_removal_is_asked_and_a_configured_one_is_refused() {
    let house = House::with(Settings { max_instances: 1, ..settings() });
    let backup = house.completed(ParentChoice::None);
    let copy = house.restore_of(backup).unwrap();
    assert!(matches!(house.restore_of(backup), Err(CatalogError::QuotaExceeded { .. })));
    let delete = |id| house.catalog.delete_instance(&member("a"), id).wait();
    assert!(matches!(delete(copy.id), Err(CatalogError::InstanceBusy { status: "BUILD", .. })));
    house.catalog.restored(copy.id, Source::default(), 1).wait().unwrap();
    delete(copy.id).unwrap();
    assert!(!names(&house, "a").contains(&"copy".to_owned()));
    assert!(matches!(delete(copy.id), Err(CatalogError::NoSuchInstance { .. })));
    let Some(Job::RemoveInstance(job)) = house.catalog.claim().unwrap() else { panic!("no job") };
    assert_eq!((job.id, job.project.as_str()), (copy.id, "a"));
    house.catalog.instance_removed(copy.id).wait().unwrap();
    assert!(house.catalog.find_instance(copy.id).is_err());
    assert!(house.restore_of(backup).is_ok());
    assert!(matches!(delete(shop()), Err(CatalogError::Forbidden { .. })));
}

#[test]
fn strategies_are_kept_by_project_and_instance() {
    let house = House::new();
    let put = |instance, container: &str| {
        let container = container.parse().unwrap();
        house.catalog.put_strategy(&member("a"), NewStrategy { instance, container }).wait()
    };
    put(None, "one").unwrap();
    put(None, "two").unwrap();
    put(Some(shop()), "three").unwrap();
    let (own, of_shop) = (project("a"), shop().to_string());
    let list = |scope: &Scope<Read>, project, instance| {
        let found = house.catalog.strategies(scope, project, instance)?;
        Ok(found.into_iter().map(|it| it.container.to_string()).collect::<Vec<_>>())
    };
    let none: Result<Vec<String>, CatalogError> = list(&member("a"), None, Some("abc"));
    assert!(none.unwrap().is_empty());
    assert_eq!(list(&member("a"), None, None).unwrap(), ["two", "three"]);
    assert_eq!(list(&member("a"), None, Some(&of_shop)).unwrap(), ["three"]);
    assert_eq!(list(&admin(), Some(&own), None).unwrap(), ["two", "three"]);
    let error = list(&member("b"), Some(&own), None).unwrap_err();
    assert_eq!(error.to_string(), "Operation not allowed for tenant b.");
    let delete = || house.catalog.delete_strategy(&member("a"), None, Some(shop())).wait();
    delete().unwrap();
    assert!(matches!(delete(), Err(CatalogError::NoSuchStrategy { .. })));
}

#[test]
fn quotas_are_the_operators_until_an_admin_sets_a_projects_own() {
    let house = House::with(Settings { max_backups: 5, ..settings() });
    house.completed(ParentChoice::None);
    let of = |name: &str| house.catalog.quotas(&member("a"), &project(name));
    let backups = |quotas: Vec<Quota>| {
        quotas.into_iter().find(|it| it.resource == QuotaResource::Backups).unwrap()
    };
    let quota = backups(of("a").unwrap());
    assert_eq!((quota.in_use, quota.limit), (1, 5));
    assert!(matches!(of("b"), Err(CatalogError::Forbidden { .. })));
    let set = |limit| {
        let limits = vec![(QuotaResource::Backups, limit)];
        house.catalog.set_quotas(&admin(), &project("a"), limits).wait()
    };
    assert!(set(-2).is_err());
    set(1).unwrap();
    assert!(matches!(
        house.ask(shop(), ParentChoice::None),
        Err(CatalogError::QuotaExceeded { .. })
    ));
    set(-1).unwrap();
    assert!(house.ask(shop(), ParentChoice::None).is_ok());
}

#[test]
fn a_token_is_known_by_its_secret_alone_and_survives_a_restart() {
    let house = House::new();
    let caller = |name: &str| Caller {
        name: name.to_owned(),
        project: Some(project("a")),
        roles: vec![Role::Admin, Role::Reader],
    };
    let digest = |secret: &str| Sha256::digest(secret.as_bytes()).into();
    house.catalog.set_configured_tokens(vec![(caller("alice"), digest("s1"))]);
    house.catalog.add_token(caller("admin"), digest("s2")).wait().unwrap();
    assert_eq!(house.catalog.token_count().unwrap(), 2);
    assert_eq!(house.catalog.authenticate("s1"), Some(Arc::new(caller("alice"))));
    assert_eq!(house.catalog.authenticate("s2"), Some(Arc::new(caller("admin"))));
    for wrong in ["", "s3", "alice"] {
        assert_eq!(house.catalog.authenticate(wrong), None);
    }
    house.catalog.add_token(caller("admin"), digest("s4")).wait().unwrap();
    assert_eq!(house.catalog.authenticate("s2"), None);
    let again = house.reopened();
    assert_eq!(again.authenticate("s4"), Some(Arc::new(caller("admin"))));
    assert_eq!((again.authenticate("s1"), again.token_count().unwrap()), (None, 1));
}

#[test]
fn datastores_are_those_of_engines_instances_and_backups_each_once() {
    let house = House::new();
    house.completed(ParentChoice::None);
    let later = Datastore { engine: "redis".to_owned(), version: "8".to_owned() };
    house.catalog.set_engines(vec![later.clone(), sqlite()]);
    let vertica = Datastore { engine: "vertica".to_owned(), version: "9".to_owned() };
    assert_eq!(house.catalog.datastores().unwrap(), [later, sqlite(), vertica]);
}
