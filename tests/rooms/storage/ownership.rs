//! Whose the names in a data directory are: links, and what others may write to, are refused.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::time::Duration;

use coffer::domain::{BackupId, InstanceId, Kind, Location, Timestamp};
use coffer::storage::{Local, LocalSettings, Storage as _, StorageError};

use super::local::{names, project, write};

/// A folder with something in it that must not be touched, and a data directory beside it.
fn outside_and_data_dir() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let (outside, data_dir) = (place.path().join("outside"), place.path().join("data"));
    for name in ["drill-x/file", ".coffer-spool-x", "1.old", "small-x", "keep"] {
        write(&outside.join(name), "precious");
    }
    drop(Local::open(&data_dir).unwrap());
    (place, outside, data_dir)
}

#[test]
fn a_link_planted_in_the_data_directory_is_refused_and_what_it_leads_to_is_left_alone() {
    let (_place, outside, data_dir) = outside_and_data_dir();
    let before = names(&outside);
    let folders = ["tmp", "trash", "archives", "restored", "instances"];
    let files = ["lock", "archives.id", "data.id", "catalog.db", "catalog.ballast", "admin.token"];
    for name in folders.into_iter().chain(files) {
        let planted = data_dir.join(name);
        let target = if folders.contains(&name) { outside.clone() } else { outside.join("keep") };
        std::fs::remove_dir(&planted)
            .or_else(|_| std::fs::remove_file(&planted))
            .unwrap_or_default();
        symlink(&target, &planted).unwrap();
        let refused = Local::open(&data_dir).unwrap_err();
        assert!(matches!(refused, StorageError::Untrusted { .. }), "{name}: {refused}");
        let text = refused.to_string();
        assert!(text.contains(&format!("rm {}", planted.display())), "{text}");
        // Nor do those follow it that open the data directory without a check.
        let reader = Local::existing(&data_dir, LocalSettings::default()).unwrap();
        match name {
            "tmp" => {
                reader.scratch().unwrap_err();
                reader.sweep().unwrap_err();
            }
            "trash" => {
                reader.empty_trash(Duration::ZERO).unwrap_err();
            }
            "archives" => {
                reader.list().unwrap_err();
            }
            "restored" => {
                reader.restored_folder(&project(), InstanceId::generate()).unwrap_err();
            }
            "instances" => {
                reader.instance_files().unwrap_err();
            }
            "lock" => {
                reader.lock().unwrap_err();
            }
            _ => {}
        }
        std::fs::remove_file(&planted).unwrap();
    }
    assert_eq!(names(&outside), before);
    assert_eq!(std::fs::read(outside.join("keep")).unwrap(), b"precious");
    assert!(Local::open(&data_dir).is_ok());
}

#[test]
fn a_folder_below_that_is_a_link_or_open_to_others_is_refused_and_nothing_is_put_there() {
    let (_place, outside, data_dir) = outside_and_data_dir();
    let before = names(&outside);
    let reader = Local::existing(&data_dir, LocalSettings::default()).unwrap();
    let (project, instance) = (project(), InstanceId::derived(&project(), "shop"));
    let container = "c".parse().unwrap();
    let backup = BackupId::generate();
    let location = Location::of(&project, Some(&container), instance, backup, Kind::Full);
    let publish = || {
        let mut pending = reader.create(backup, 1).unwrap();
        pending.write_all(b"bytes").unwrap();
        pending.sync().unwrap();
        pending.publish(&location, Timestamp::from_micros(0))
    };
    let restored = || reader.restored_folder(&project, instance);
    let folders = [format!("p/c/{instance}"), "p/c".to_owned(), "p".to_owned()];
    let below_restored = [format!("p/{instance}"), "p".to_owned()];
    let all = folders.map(|it| ("archives", it)).into_iter();
    for (top, inner) in all.chain(below_restored.map(|it| ("restored", it))) {
        let planted = data_dir.join(top).join(inner);
        std::fs::create_dir_all(planted.parent().unwrap()).unwrap();
        symlink(&outside, &planted).unwrap();
        let is_refused = |with: &str| {
            let text = Local::open(&data_dir).unwrap_err().to_string();
            assert!(text.contains(with) && text.contains(planted.to_str().unwrap()), "{text}");
            match top {
                "archives" => publish().unwrap_err(),
                _ => restored().unwrap_err(),
            };
        };
        is_refused("symbolic link");
        std::fs::remove_file(&planted).unwrap();
        std::fs::create_dir(&planted).unwrap();
        std::fs::set_permissions(&planted, std::fs::Permissions::from_mode(0o777)).unwrap();
        is_refused("chmod go-w");
        assert_eq!(names(&planted), [""; 0]);
        std::fs::remove_dir_all(data_dir.join(top).join("p")).unwrap();
    }
    assert_eq!(names(&outside), before);
    publish().unwrap();
    restored().unwrap();
    // A link to a file leads nowhere that Coffer goes.
    symlink(outside.join("keep"), data_dir.join("archives/p/notes")).unwrap();
    assert!(Local::open(&data_dir).is_ok());
}

#[test]
fn a_link_in_the_trash_is_removed_and_what_it_leads_to_is_left_alone() {
    let (_place, outside, data_dir) = outside_and_data_dir();
    let before = names(&outside);
    let store = Local::open(&data_dir).unwrap();
    for name in ["1.p%2Fi", "1.p%2Fi%2Fx.tar.zst"] {
        symlink(&outside, data_dir.join("trash").join(name)).unwrap();
    }
    assert!(store.discarded().unwrap().is_empty());
    store.empty_trash(Duration::ZERO).unwrap();
    assert_eq!(names(&data_dir.join("trash")), [""; 0]);
    assert_eq!(names(&outside), before);
}

#[test]
fn a_data_directory_that_others_may_write_to_is_refused_with_the_command_that_mends_it() {
    let (_place, _outside, data_dir) = outside_and_data_dir();
    for name in ["", "tmp", "archives", "lock"] {
        let path = data_dir.join(name);
        write(&data_dir.join("lock"), "");
        let before = std::fs::metadata(&path).unwrap().permissions();
        for mode in [0o722, 0o770, 0o702] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let text = Local::open(&data_dir).unwrap_err().to_string();
            let (_, command) = text.split_once("owner: ").unwrap();
            let mended = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
            assert!(mended.success(), "{command}");
            assert!(Local::open(&data_dir).is_ok(), "{name} {mode:o}");
        }
        std::fs::set_permissions(&path, before).unwrap();
    }
}

/// Only root may give files away.
#[test]
fn a_name_in_the_data_directory_that_belongs_to_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_place, _outside, data_dir) = outside_and_data_dir();
    for name in ["trash", "tmp"] {
        chown(data_dir.join(name), Some(65534), None).unwrap();
        let text = Local::open(&data_dir).unwrap_err().to_string();
        assert!(text.contains("belongs to user 65534") && text.contains("chown 0 "), "{text}");
        // Root may use the data directory of another user, if all of it is that user's.
        for path in [&data_dir, &data_dir.join("tmp"), &data_dir.join("trash")] {
            chown(path, Some(65534), None).unwrap();
        }
        assert!(Local::open(&data_dir).is_ok());
        for path in [&data_dir, &data_dir.join("tmp"), &data_dir.join("trash")] {
            chown(path, Some(0), None).unwrap();
        }
    }
}

#[test]
fn a_data_directory_behind_a_link_is_used() {
    let (place, _outside, data_dir) = outside_and_data_dir();
    let link = place.path().join("link");
    symlink(&data_dir, &link).unwrap();
    for path in [link.clone(), link.join("../link")] {
        assert!(Local::open(&path).is_ok());
    }
    let above = place.path().join("above");
    symlink(place.path(), &above).unwrap();
    assert!(Local::open(&above.join("data")).is_ok());
}
