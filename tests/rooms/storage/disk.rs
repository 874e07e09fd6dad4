//! What another disk promises beyond what every place promises.

use std::path::Path;

use uuid::Uuid;

use coffer::storage::{Disk, DiskSettings, LocalSettings, Observation, Place as _, StorageError};

use super::places::place_conformance;

fn disk_at(path: &Path, apart_from: Option<&Path>) -> Disk {
    Disk::new(DiskSettings {
        name: "nas".to_owned(),
        path: path.to_owned(),
        apart_from: apart_from.map(Path::to_owned),
        local: LocalSettings::default(),
    })
    .unwrap()
}

fn disk() -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk_at(folder.path(), None);
    disk.establish().unwrap();
    (folder, disk)
}

place_conformance!(disk());

#[test]
fn a_folder_on_the_disk_of_the_data_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = tempfile::tempdir_in(folder.path()).unwrap();
    let disk = disk_at(folder.path(), Some(data_dir.path()));
    for error in [disk.identity().unwrap_err(), disk.establish().unwrap_err()] {
        assert!(matches!(error, StorageError::NotInPlace { .. }), "{error}");
        assert!(error.to_string().contains("same_disk = true"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is made there");
}

#[test]
fn a_folder_that_is_missing_is_not_made_and_an_empty_one_has_no_identity() {
    let folder = tempfile::tempdir().unwrap();
    let missing = disk_at(&folder.path().join("missing"), None);
    for error in [missing.identity().unwrap_err(), missing.establish().unwrap_err()] {
        assert!(matches!(error, StorageError::NotInPlace { .. }), "{error}");
    }
    missing.list().unwrap_err();
    assert!(!folder.path().join("missing").exists());
    let empty = disk_at(folder.path(), None);
    assert_eq!(empty.identity().unwrap(), None);
    let made = empty.establish().unwrap();
    assert!(made.is_some());
    assert_eq!(empty.identity().unwrap(), made);
}

#[test]
fn a_folder_that_is_open_to_others_is_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, disk) = disk();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let found = disk.try_out().unwrap();
    assert!(found.iter().any(|it| matches!(it, Observation::Warning(..))), "{found:?}");
}

#[test]
fn what_is_not_found_on_another_disk_is_not_missing() {
    let (folder, disk) = disk();
    let location = "p/i/018f3c4e-7b1a-7c2d-8e3f-0123456789ab.tar.zst".parse().unwrap();
    assert_eq!(disk.stat(&location).unwrap(), None);
    assert!(disk.open(&location).unwrap_err().is_not_found());
    disk.expect(&disk.identity().unwrap().unwrap());
    assert!(disk.open(&location).unwrap_err().is_not_found(), "it is the right one");
    // The empty mount point, and then a disk that is another one.
    std::fs::remove_file(folder.path().join("data.id")).unwrap();
    for other in [false, true] {
        if other {
            disk.establish().unwrap();
        }
        let errors = [
            disk.stat(&location).map(drop).unwrap_err(),
            disk.open(&location).map(drop).unwrap_err(),
            disk.list().map(drop).unwrap_err(),
            disk.remove(&location).unwrap_err(),
            disk.claim(Uuid::new_v4()).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StorageError::NotInPlace { .. }), "{error}");
            assert!(error.to_string().contains("not the disk that the first copy went to"));
        }
    }
}

#[test]
fn a_data_directory_is_no_place() {
    let (folder, disk) = disk();
    std::fs::create_dir(folder.path().join("catalog.db")).unwrap();
    let own = Uuid::new_v4();
    for error in [disk.claim(own).unwrap_err(), disk.take_over(own).unwrap_err()] {
        assert!(error.to_string().contains("is a data directory"), "{error}");
    }
    assert_eq!(disk.owner().unwrap(), None);
}
