//! Deleting: a whole subtree or nothing, children before parents, and nothing that is still needed.

use super::fixture::*;
use super::*;
use coffer::domain::{ArchiveFacts, BackupId, Kind, ParentChoice, Registration, Status};

/// A full with two branches: root ← child ← grandchild, root ← other.
fn tree(fixture: &Fixture) -> [BackupId; 4] {
    let root = fixture.completed(ParentChoice::None);
    let child = fixture.completed(ParentChoice::This(root));
    let grandchild = fixture.completed(ParentChoice::This(child));
    let other = fixture.completed(ParentChoice::This(root));
    [root, child, grandchild, other]
}

#[test]
fn a_backup_goes_with_everything_built_on_it_newest_first() {
    let fixture = Fixture::new();
    let [root, child, grandchild, other] = tree(&fixture);
    let seen = fixture.bell.count();
    fixture.delete(root).unwrap();
    assert!(fixture.bell.count() > seen);
    assert_eq!(fixture.removal(), [other, grandchild, child, root]);
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    fixture.catalog.removed(vec![other, grandchild, child, root]).wait().unwrap();
    assert!(matches!(fixture.catalog.find(root), Err(CatalogError::NoSuchBackup { .. })));
    assert!(matches!(fixture.delete(root), Err(CatalogError::NoSuchBackup { .. })));
}

#[test]
fn a_branch_goes_alone() {
    let fixture = Fixture::new();
    let [root, child, grandchild, other] = tree(&fixture);
    fixture.delete(child).unwrap();
    assert_eq!(fixture.removal(), [grandchild, child]);
    fixture.catalog.removed(vec![grandchild, child]).wait().unwrap();
    assert_eq!(fixture.catalog.chain(other).unwrap().len(), 2);
    assert_eq!(fixture.catalog.chain(root).unwrap().len(), 1);
}

#[test]
fn deleting_twice_finds_nothing_and_makes_one_job() {
    let fixture = Fixture::new();
    let [root, ..] = tree(&fixture);
    assert_eq!(fixture.delete(root).unwrap(), 4);
    assert!(matches!(fixture.delete(root), Err(CatalogError::NoSuchBackup { .. })));
    assert_eq!(fixture.removal().len(), 4);
    assert!(matches!(fixture.delete(root), Err(CatalogError::NoSuchBackup { .. })));
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
}

#[test]
fn nothing_is_marked_while_a_member_of_the_subtree_runs() {
    let fixture = Fixture::new();
    let [root, child, ..] = tree(&fixture);
    let running = fixture.ask(shop(), ParentChoice::This(child)).unwrap().id;
    for deleted in [root, child, running] {
        let error = fixture.delete(deleted).unwrap_err();
        let CatalogError::NotNow(NotNow::Running { member, .. }) = error else { panic!("{error}") };
        assert_eq!(member, running);
    }
    assert_eq!(fixture.claim_backup().backup.id, running);
    assert!(fixture.delete(root).is_err());
    fixture.catalog.fail(running, failure("no")).wait().unwrap();
    fixture.delete(root).unwrap();
    assert_eq!(fixture.removal().len(), 5);
}

#[test]
fn nothing_is_marked_while_a_restore_reads_it() {
    let fixture = Fixture::new();
    let [root, child, grandchild, other] = tree(&fixture);
    let copy = fixture.restore_of(child).unwrap();
    let error = fixture.delete(root).unwrap_err();
    let CatalogError::NotNow(NotNow::BeingRestored { instance, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(instance, copy.id);
    assert!(fixture.delete(child).is_err());
    // What the restore does not read may be deleted.
    fixture.delete(grandchild).unwrap();
    fixture.delete(other).unwrap();
    fixture.catalog.restore_failed(copy.id, failure("no")).wait().unwrap();
    fixture.delete(root).unwrap();
}

#[test]
fn another_projects_backup_is_unknown_and_an_admin_may_delete_any() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    let error = fixture.catalog.delete_backup(&member("b"), id).wait().unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { .. }));
    fixture.catalog.delete_backup(&admin(), id).wait().unwrap();
}

#[test]
fn a_delete_neither_depends_on_another_project_nor_affects_it() {
    let fixture = Fixture::new();
    let root = fixture.completed(ParentChoice::None);
    // An archive of project b says it is built on a backup of project a.
    let version_id = sqlite().version_id();
    let new = Registration {
        name: "n".to_owned(),
        description: None,
        location: "b/x.tar.zst".parse().unwrap(),
        version_id,
    };
    let child = fixture.catalog.register_backup(&member("b"), new).wait().unwrap().id;
    assert!(matches!(fixture.catalog.claim_any().unwrap(), Some(Job::Register(_))));
    let proof = ArchiveFacts { location: "b/x.tar.zst".parse().unwrap(), ..facts(child) };
    let kind = Kind::Incremental;
    fixture.catalog.registered(child, kind, Some(root), proof).wait().unwrap();
    let error = fixture.catalog.chain(child).unwrap_err();
    assert!(matches!(error, CatalogError::ChainBroken { bad_backup, .. } if bad_backup == root));
    fixture.delete(root).unwrap();
    assert_eq!(fixture.removal(), [root]);
    assert_eq!(fixture.catalog.find(child).unwrap().status, Status::Restored);
}

#[test]
fn a_removal_that_fails_is_visible_and_tried_again_at_the_next_delete_with_its_parents() {
    let fixture = Fixture::new();
    let [root, child, grandchild, other] = tree(&fixture);
    fixture.delete(root).unwrap();
    assert_eq!(fixture.removal(), [other, grandchild, child, root]);
    fixture.catalog.removed(vec![other]).wait().unwrap();
    fixture.catalog.removal_failed(grandchild, failure("disk says no")).wait().unwrap();
    let row = fixture.catalog.find(grandchild).unwrap();
    assert_eq!((row.status, row.failure), (Status::DeleteFailed, Some(failure("disk says no"))));
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    fixture.delete(root).unwrap();
    assert_eq!(fixture.removal(), [grandchild, child, root]);
    fixture.catalog.removal_failed(grandchild, failure("still no")).wait().unwrap();
    assert_eq!(fixture.catalog.find(grandchild).unwrap().failure, Some(failure("still no")));
    fixture.catalog.reopen_removals().wait().unwrap();
    assert_eq!(fixture.removal(), [grandchild, child, root]);
}

#[test]
fn a_row_that_is_not_marked_for_removal_stays() {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    assert!(fixture.catalog.removed(vec![id]).wait().is_err());
    assert!(fixture.catalog.removal_failed(id, failure("no")).wait().is_err());
    assert_eq!(fixture.catalog.find(id).unwrap().status, Status::Completed);
    fixture.catalog.removed(vec![BackupId::generate()]).wait().unwrap();
}

#[test]
fn a_backup_is_gone_as_soon_as_its_delete_is_accepted() {
    let fixture = Fixture::with(Settings { max_backups: 1, ..settings() });
    let id = fixture.completed(ParentChoice::None);
    fixture.delete(id).unwrap();
    let error = fixture.catalog.backup(&member("a"), id).unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { .. }));
    let listed = fixture.catalog.backups(&member("a"), &everything(10)).unwrap();
    assert!(listed.rows.is_empty());
    // Its quota is free, whatever the workers do.
    fixture.ask(shop(), ParentChoice::None).unwrap();
    assert!(matches!(fixture.restore_of(id), Err(CatalogError::NoSuchBackup { .. })));
    assert!(fixture.catalog.chain(id).is_err());
}

#[test]
fn what_a_delete_took_comes_back_from_the_trash_as_it_was() {
    let fixture = Fixture::new();
    let [root, child, grandchild, other] = tree(&fixture);
    let was = [root, child, grandchild].map(|id| fixture.catalog.find(id).unwrap());
    fixture.delete(root).unwrap();
    let deleted = |id| fixture.catalog.deleted(id, |_project| true);
    assert!(matches!(deleted(child), Err(CatalogError::NotNow(NotNow::StillDeleting(_)))));
    fixture.catalog.trashed(fixture.removal()).wait().unwrap();
    for id in [root, child, grandchild, other] {
        assert!(matches!(fixture.catalog.find(id), Err(CatalogError::NoSuchBackup { .. })));
    }
    // A start leaves the trash alone.
    fixture.catalog.reopen_removals().wait().unwrap();
    assert_eq!(fixture.catalog.claim_any().unwrap(), None);
    assert!(matches!(
        fixture.catalog.deleted(root, |_| false),
        Err(CatalogError::NoSuchBackup { .. })
    ));
    // A branch comes with what it is built on and what was built on it.
    let found: Vec<_> = deleted(child).unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(found, [root, child, grandchild]);
    fixture.catalog.undeleted(found, child, Actor::command_line()).wait().unwrap();
    for mut row in was {
        let now = fixture.catalog.find(row.id).unwrap();
        row.updated = now.updated;
        assert_eq!(now, row);
    }
    assert_eq!(fixture.catalog.chain(grandchild).unwrap().len(), 3);
    assert_eq!(deleted(other).unwrap().len(), 1);
    // The window ends: the row is gone for good.
    fixture.catalog.forget_trashed(std::time::Duration::from_secs(3600)).unwrap();
    assert_eq!(deleted(other).unwrap().len(), 1);
    fixture.catalog.forget_trashed(std::time::Duration::ZERO).unwrap();
    assert!(matches!(deleted(other), Err(CatalogError::NoSuchBackup { .. })));
}
