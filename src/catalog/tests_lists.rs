//! Lists of backups: whose, which, and page by page.

use super::tests_house::*;
use super::*;
use crate::domain::{BackupId, Datastore, ParentChoice, Position, Status};

/// The ids of one page, and where the next one starts.
fn page(
    house: &House,
    scope: &Scope<Read>,
    filter: &BackupFilter,
) -> Result<(Vec<BackupId>, Option<Position>), CatalogError> {
    let mut ids = Vec::new();
    let next = house.catalog.backups(scope, filter, |row| ids.push(row.id))?;
    Ok((ids, next))
}

fn list(house: &House, filter: &BackupFilter) -> Vec<BackupId> {
    page(house, &member("a"), filter).unwrap().0
}

#[test]
fn a_list_holds_the_own_project_newest_first() {
    let house = House::new();
    let first = house.completed(ParentChoice::None);
    house.completed_of(configured("b", "shop").id, ParentChoice::None);
    let second = house.completed(ParentChoice::None);
    assert_eq!(list(&house, &everything(10)), [second, first]);
    assert!(page(&house, &admin(), &everything(10)).unwrap().0.is_empty());
}

#[test]
fn only_an_admin_looks_beyond_its_project() {
    let house = House::new();
    house.completed(ParentChoice::None);
    let in_b = house.completed_of(configured("b", "shop").id, ParentChoice::None);
    let all = BackupFilter { all_projects: true, ..everything(10) };
    let of_b = BackupFilter { project: Some(project("b")), ..everything(10) };
    for filter in [&all, &of_b] {
        let error = page(&house, &member("a"), filter).unwrap_err();
        assert!(matches!(error, CatalogError::Forbidden { .. }));
    }
    assert_eq!(page(&house, &admin(), &all).unwrap().0.len(), 2);
    assert_eq!(page(&house, &admin(), &of_b).unwrap().0, [in_b]);
}

#[test]
fn filters_hold_together() {
    let house = House::new();
    let done = house.completed(ParentChoice::None);
    let web = house.completed_of(configured("a", "web").id, ParentChoice::None);
    let failed = house.ask(shop(), ParentChoice::None).unwrap().id;
    house.catalog.fail(failed, failure("no")).wait().unwrap();
    let of_shop = BackupFilter { instance: Some(shop().to_string()), ..everything(10) };
    assert_eq!(list(&house, &of_shop), [failed, done]);
    let completed = BackupFilter { status: Some(Status::Completed), ..everything(10) };
    assert_eq!(list(&house, &completed), [web, done]);
    let both = BackupFilter { status: Some(Status::Completed), ..of_shop };
    assert_eq!(list(&house, &both), [done]);
    let no_id = BackupFilter { instance: Some("abc".to_owned()), ..everything(10) };
    assert!(list(&house, &no_id).is_empty());
    let foreign = configured("b", "shop").id.to_string();
    let foreign = BackupFilter { instance: Some(foreign), ..everything(10) };
    assert!(list(&house, &foreign).is_empty());
}

#[test]
fn an_engine_is_found_by_name_or_id_and_an_unknown_one_is_an_error() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    let of = |engine: &str| BackupFilter { engine: Some(engine.to_owned()), ..everything(10) };
    assert_eq!(list(&house, &of("sqlite")), [id]);
    assert_eq!(list(&house, &of(&Datastore::datastore_id("sqlite"))), [id]);
    assert!(list(&house, &of("vertica")).is_empty());
    let error = page(&house, &member("a"), &of("SQLite")).unwrap_err();
    assert_eq!(error.to_string(), "Datastore 'SQLite' cannot be found.");
}

/// Deletes a backup that nothing is built on, for good.
fn remove(house: &House, id: BackupId) {
    house.delete(id).unwrap();
    assert_eq!(house.removal(), [id]);
    house.catalog.removed(vec![id]).wait().unwrap();
}

#[test]
fn pages_neither_repeat_nor_lose_rows_while_others_come_and_go() {
    let house = House::new();
    let mut expected: Vec<_> = (0..12).map(|_| house.completed(ParentChoice::None)).collect();
    expected.reverse();
    let mut filter = everything(5);
    let mut met: Vec<BackupId> = Vec::new();
    loop {
        let (ids, next) = page(&house, &member("a"), &filter).unwrap();
        met.extend(&ids);
        let Some(next) = next else { break };
        // The row that the next page starts behind goes, another that was met goes, a new one comes.
        remove(&house, next.id);
        remove(&house, ids[1]);
        house.completed(ParentChoice::None);
        filter.after = Some(next);
    }
    assert_eq!(met, expected);
}

#[test]
fn the_last_page_says_so_even_when_it_is_full() {
    let house = House::new();
    let old = house.completed(ParentChoice::None);
    let new = house.completed(ParentChoice::None);
    let (one, after) = page(&house, &member("a"), &everything(1)).unwrap();
    assert_eq!(one, [new]);
    assert!(after.is_some_and(|it| it.id == new));
    let last = BackupFilter { after, ..everything(1) };
    assert_eq!(page(&house, &member("a"), &last).unwrap(), (vec![old], None));
    assert_eq!(page(&house, &member("a"), &everything(2)).unwrap().1, None);
}

#[test]
fn one_backup_is_seen_by_its_project_and_by_admins() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    assert!(house.catalog.backup(&member("a"), id).is_ok());
    assert!(house.catalog.backup(&admin(), id).is_ok());
    let error = house.catalog.backup(&member("b"), id).unwrap_err();
    assert_eq!(error.to_string(), format!("Resource {id} cannot be found."));
}

#[test]
fn progress_is_shown_while_a_backup_runs_and_forgotten_when_it_ends() {
    let house = House::new();
    let id = house.ask(shop(), ParentChoice::None).unwrap().id;
    let shown = || house.catalog.backup(&member("a"), id).unwrap().progress;
    assert!(shown() == 0.0);
    house.claim_backup();
    for (told, seen) in [(0.25, 0.25), (7.0, 1.0), (f64::NAN, 0.0)] {
        house.catalog.progress(id, told);
        assert!((shown() - seen).abs() < f64::EPSILON);
    }
    house.catalog.progress(id, 0.5);
    house.catalog.fail(id, failure("no")).wait().unwrap();
    assert!(shown() == 0.0);
}
