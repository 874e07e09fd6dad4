//! Lists of backups: whose, which, and page by page.

use super::fixture::*;
use super::*;
use coffer::domain::{BackupId, Datastore, ParentChoice, Position, Status};

/// The ids of one page, and where the next one starts.
fn page(
    fixture: &Fixture,
    scope: &Scope<Read>,
    filter: &BackupFilter,
) -> Result<(Vec<BackupId>, Option<Position>), CatalogError> {
    let page = fixture.catalog.backups(scope, filter)?;
    Ok((page.rows.iter().map(|row| row.id).collect(), page.next))
}

fn list(fixture: &Fixture, filter: &BackupFilter) -> Vec<BackupId> {
    page(fixture, &member("a"), filter).unwrap().0
}

#[test]
fn a_list_has_the_backups_of_the_callers_project_newest_first() {
    let fixture = Fixture::new();
    let first = fixture.completed(ParentChoice::None);
    fixture.completed_of(configured("b", "shop").id, ParentChoice::None);
    let second = fixture.completed(ParentChoice::None);
    assert_eq!(list(&fixture, &everything(10)), [second, first]);
    assert!(page(&fixture, &admin(), &everything(10)).unwrap().0.is_empty());
}

#[test]
fn only_an_admin_lists_beyond_its_project() {
    let fixture = Fixture::new();
    fixture.completed(ParentChoice::None);
    let in_b = fixture.completed_of(configured("b", "shop").id, ParentChoice::None);
    let all = BackupFilter { all_projects: true, ..everything(10) };
    let of_b = BackupFilter { project: Some(project("b")), ..everything(10) };
    for filter in [&all, &of_b] {
        let error = page(&fixture, &member("a"), filter).unwrap_err();
        assert!(matches!(error, CatalogError::Forbidden(_)));
    }
    assert_eq!(page(&fixture, &admin(), &all).unwrap().0.len(), 2);
    assert_eq!(page(&fixture, &admin(), &of_b).unwrap().0, [in_b]);
}

#[test]
fn filters_apply_together() {
    let fixture = Fixture::new();
    let done = fixture.completed(ParentChoice::None);
    let web = fixture.completed_of(configured("a", "web").id, ParentChoice::None);
    let failed = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    fixture.catalog.fail(failed, failure("no")).wait().unwrap();
    let of_shop = BackupFilter { instance: Some(shop().to_string()), ..everything(10) };
    assert_eq!(list(&fixture, &of_shop), [failed, done]);
    let completed = BackupFilter { status: Some(Status::Completed), ..everything(10) };
    assert_eq!(list(&fixture, &completed), [web, done]);
    let both = BackupFilter { status: Some(Status::Completed), ..of_shop };
    assert_eq!(list(&fixture, &both), [done]);
    let no_id = BackupFilter { instance: Some("abc".to_owned()), ..everything(10) };
    assert!(list(&fixture, &no_id).is_empty());
    let foreign = configured("b", "shop").id.to_string();
    let foreign = BackupFilter { instance: Some(foreign), ..everything(10) };
    assert!(list(&fixture, &foreign).is_empty());
}

#[test]
fn an_engine_is_found_by_name_or_id_and_an_unknown_one_is_an_error() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    let of = |engine: &str| BackupFilter { engine: Some(engine.to_owned()), ..everything(10) };
    assert_eq!(list(&fixture, &of("sqlite")), [id]);
    assert_eq!(list(&fixture, &of(&Datastore::datastore_id("sqlite"))), [id]);
    assert!(list(&fixture, &of("vertica")).is_empty());
    let error = page(&fixture, &member("a"), &of("SQLite")).unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchDatastore { name } if name == "SQLite"));
}

/// Deletes a backup that nothing is built on, for good.
fn remove(fixture: &Fixture, id: BackupId) {
    fixture.delete(id).unwrap();
    assert_eq!(fixture.removal(), [id]);
    fixture.catalog.removed(vec![id]).wait().unwrap();
}

#[test]
fn pages_neither_repeat_nor_lose_rows_while_others_come_and_go() {
    let fixture = Fixture::new();
    let mut expected: Vec<_> = (0..12).map(|_| fixture.completed(ParentChoice::None)).collect();
    expected.reverse();
    let mut filter = everything(5);
    let mut seen: Vec<BackupId> = Vec::new();
    loop {
        let (ids, next) = page(&fixture, &member("a"), &filter).unwrap();
        seen.extend(&ids);
        let Some(next) = next else { break };
        // The row that the next page starts behind goes, another that was listed goes, a new one comes.
        remove(&fixture, next.id);
        remove(&fixture, ids[1]);
        fixture.completed(ParentChoice::None);
        filter.after = Some(next);
    }
    assert_eq!(seen, expected);
}

#[test]
fn the_last_page_says_so_even_when_it_is_full() {
    let fixture = Fixture::new();
    let old = fixture.completed(ParentChoice::None);
    let new = fixture.completed(ParentChoice::None);
    let (one, after) = page(&fixture, &member("a"), &everything(1)).unwrap();
    assert_eq!(one, [new]);
    assert!(after.is_some_and(|it| it.id == new));
    let last = BackupFilter { after, ..everything(1) };
    assert_eq!(page(&fixture, &member("a"), &last).unwrap(), (vec![old], None));
    assert_eq!(page(&fixture, &member("a"), &everything(2)).unwrap().1, None);
}

#[test]
fn a_backup_is_visible_to_its_project_and_to_admins() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    assert!(fixture.catalog.backup(&member("a"), id).is_ok());
    assert!(fixture.catalog.backup(&admin(), id).is_ok());
    let error = fixture.catalog.backup(&member("b"), id).unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { id: unknown } if unknown == id));
}

#[test]
fn progress_is_shown_while_a_backup_runs_and_forgotten_when_it_ends() {
    let fixture = Fixture::new();
    let id = fixture.ask(shop(), ParentChoice::None).unwrap().id;
    let shown = || fixture.catalog.backup(&member("a"), id).unwrap().progress;
    assert!(shown() == 0.0);
    fixture.claim_backup();
    for (reported, seen) in [(0.25, 0.25), (7.0, 1.0), (f64::NAN, 0.0)] {
        fixture.catalog.progress(id, reported);
        assert!((shown() - seen).abs() < f64::EPSILON);
    }
    fixture.catalog.progress(id, 0.5);
    fixture.catalog.fail(id, failure("no")).wait().unwrap();
    assert!(shown() == 0.0);
}
