//! Deleting: a whole subtree or nothing, children before parents, and nothing that is still needed.

use super::tests_house::*;
use super::*;
use crate::domain::{ArchiveFacts, BackupId, Kind, ParentChoice, Registration, Status};

/// A full with two branches: root ← child ← grandchild, root ← other.
fn tree(house: &House) -> [BackupId; 4] {
    let root = house.completed(ParentChoice::None);
    let child = house.completed(ParentChoice::This(root));
    let grandchild = house.completed(ParentChoice::This(child));
    let other = house.completed(ParentChoice::This(root));
    [root, child, grandchild, other]
}

#[test]
fn a_backup_goes_with_everything_built_on_it_newest_first() {
    let house = House::new();
    let [root, child, grandchild, other] = tree(&house);
    let seen = house.bell.count();
    house.delete(root).unwrap();
    assert!(house.bell.count() > seen);
    assert_eq!(house.removal(), [other, grandchild, child, root]);
    assert_eq!(house.catalog.claim().unwrap(), None);
    house.catalog.removed(vec![other, grandchild, child, root]).wait().unwrap();
    assert!(matches!(house.catalog.find(root), Err(CatalogError::NoSuchBackup { .. })));
    assert!(matches!(house.delete(root), Err(CatalogError::NoSuchBackup { .. })));
}

#[test]
fn a_branch_goes_alone() {
    let house = House::new();
    let [root, child, grandchild, other] = tree(&house);
    house.delete(child).unwrap();
    assert_eq!(house.removal(), [grandchild, child]);
    house.catalog.removed(vec![grandchild, child]).wait().unwrap();
    assert_eq!(house.catalog.chain(other).unwrap().len(), 2);
    assert_eq!(house.catalog.chain(root).unwrap().len(), 1);
}

#[test]
fn deleting_twice_is_fine_and_makes_one_job() {
    let house = House::new();
    let [root, ..] = tree(&house);
    house.delete(root).unwrap();
    house.delete(root).unwrap();
    assert_eq!(house.removal().len(), 4);
    house.delete(root).unwrap();
    assert_eq!(house.catalog.claim().unwrap(), None);
}

#[test]
fn nothing_is_marked_while_a_member_of_the_subtree_runs() {
    let house = House::new();
    let [root, child, ..] = tree(&house);
    let running = house.ask(shop(), ParentChoice::This(child)).unwrap().id;
    for doomed in [root, child, running] {
        let error = house.delete(doomed).unwrap_err();
        assert!(
            matches!(&error, CatalogError::NotNow { why } if why.contains(&running.to_string()))
        );
    }
    assert_eq!(house.claim_backup().backup.id, running);
    assert!(house.delete(root).is_err());
    house.catalog.fail(running, failure("no")).wait().unwrap();
    house.delete(root).unwrap();
    assert_eq!(house.removal().len(), 5);
}

#[test]
fn nothing_is_marked_while_a_restore_reads_it() {
    let house = House::new();
    let [root, child, grandchild, other] = tree(&house);
    let copy = house.restore_of(child).unwrap();
    let error = house.delete(root).unwrap_err();
    assert!(matches!(&error, CatalogError::NotNow { why } if why.contains(&copy.id.to_string())));
    assert!(house.delete(child).is_err());
    // What the restore does not read may go.
    house.delete(grandchild).unwrap();
    house.delete(other).unwrap();
    house.catalog.restore_failed(copy.id, failure("no")).wait().unwrap();
    house.delete(root).unwrap();
}

#[test]
fn another_projects_backup_is_unknown_and_an_admin_may_delete_any() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    let error = house.catalog.delete_backup(&member("b"), id).wait().unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchBackup { .. }));
    house.catalog.delete_backup(&admin(), id).wait().unwrap();
}

#[test]
fn another_project_can_neither_block_nor_lose_by_a_delete() {
    let house = House::new();
    let root = house.completed(ParentChoice::None);
    // An archive of project b says it is built on a backup of project a.
    let version_id = sqlite().version_id();
    let new = Registration {
        name: "n".to_owned(),
        description: None,
        location: "b/x.tar.zst".parse().unwrap(),
        version_id,
    };
    let child = house.catalog.register_backup(&member("b"), new).wait().unwrap().id;
    assert!(matches!(house.catalog.claim().unwrap(), Some(Job::Register(_))));
    let proof = ArchiveFacts { location: "b/x.tar.zst".parse().unwrap(), ..facts(child) };
    let kind = Kind::Incremental;
    house.catalog.registered(child, kind, Some(root), proof).wait().unwrap();
    let error = house.catalog.chain(child).unwrap_err();
    assert!(matches!(error, CatalogError::ChainBroken { culprit, .. } if culprit == root));
    house.delete(root).unwrap();
    assert_eq!(house.removal(), [root]);
    assert_eq!(house.catalog.find(child).unwrap().status, Status::Restored);
}

#[test]
fn a_removal_that_fails_is_visible_and_tried_again_at_the_next_delete_with_its_parents() {
    let house = House::new();
    let [root, child, grandchild, other] = tree(&house);
    house.delete(root).unwrap();
    assert_eq!(house.removal(), [other, grandchild, child, root]);
    house.catalog.removed(vec![other]).wait().unwrap();
    house.catalog.removal_failed(grandchild, failure("disk says no")).wait().unwrap();
    let row = house.catalog.find(grandchild).unwrap();
    assert_eq!((row.status, row.failure), (Status::DeleteFailed, Some(failure("disk says no"))));
    assert_eq!(house.catalog.claim().unwrap(), None);
    house.delete(root).unwrap();
    assert_eq!(house.removal(), [grandchild, child, root]);
    house.catalog.removal_failed(grandchild, failure("still no")).wait().unwrap();
    assert_eq!(house.catalog.find(grandchild).unwrap().failure, Some(failure("still no")));
    house.catalog.reopen_removals().wait().unwrap();
    assert_eq!(house.removal(), [grandchild, child, root]);
}

#[test]
fn a_row_that_nobody_asked_to_remove_stays() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    assert!(house.catalog.removed(vec![id]).wait().is_err());
    assert!(house.catalog.removal_failed(id, failure("no")).wait().is_err());
    assert_eq!(house.catalog.find(id).unwrap().status, Status::Completed);
    house.catalog.removed(vec![BackupId::generate()]).wait().unwrap();
}

#[test]
fn a_backup_that_is_being_deleted_is_shown_until_it_is_gone_but_not_restored() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    house.delete(id).unwrap();
    assert!(house.catalog.backup(&member("a"), id).is_ok());
    assert!(matches!(house.restore_of(id), Err(CatalogError::NoSuchBackup { .. })));
    assert!(house.catalog.chain(id).is_err());
}
