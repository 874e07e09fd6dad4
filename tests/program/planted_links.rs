//! Links that somebody planted: in the data directory, and in a folder of others that a restore writes to. As root, and as a
//! user whom file modes bind.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use rstest::rstest;

use super::disks::rename;
use crate::support::{
    PROJECT, TestServer, UNPRIVILEGED, archive_of, id_of, names_in, stderr_of, wait_until,
    write_file,
};

/// A server over a tree with one file, as root or not, in a folder that every user reaches.
fn server_over_tree(folder: &Path, unprivileged: bool) -> TestServer {
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let source = folder.join("source");
    std::fs::create_dir(&source).unwrap();
    write_file(&source.join("file"), "content");
    let builder = TestServer::builder().instance_directory("source", &source);
    // Some who are not root have their tests in folders of another group.
    let builder = builder.allow_warning("only root may give files to others");
    if unprivileged { builder.unprivileged() } else { builder }.start()
}

/// A folder with what nobody may touch, of the user that the server runs as.
fn home_beside(server: &TestServer, unprivileged: bool) -> std::path::PathBuf {
    let home = server.folder().join("home");
    std::fs::create_dir(&home).unwrap();
    for name in ["letter", "drill-photos", ".coffer-notes"] {
        write_file(&home.join(name), "precious");
    }
    if unprivileged && rustix::process::geteuid().is_root() {
        chown(&home, Some(UNPRIVILEGED), None).unwrap();
    }
    home
}

fn assert_untouched(home: &Path) {
    assert_eq!(names_in(home), [".coffer-notes", "drill-photos", "letter"]);
    assert_eq!(std::fs::read(home.join("letter")).unwrap(), b"precious");
    assert_eq!(std::fs::read(home.join("drill-photos")).unwrap(), b"precious");
}

/// The files of a data directory.
const FILES: [&str; 10] = [
    "catalog.ballast",
    "lock",
    "archives.id",
    "data.id",
    "admin.token",
    "users.json",
    "catalog.db",
    "catalog.db-wal",
    "catalog.db-shm",
    "catalog.db-journal",
];

#[rstest]
fn a_start_with_a_planted_link_is_refused_and_leaves_what_it_leads_to_alone(
    #[values(false, true)] unprivileged: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server_over_tree(folder.path(), unprivileged);
    let made = server.admin().full("source");
    let made = server.admin().restore_into_instance(&made);
    server.terminate();
    let home = home_beside(&server, unprivileged);
    let project = format!("archives/{PROJECT}");
    let instance = format!("{project}/{}", names_in(&server.data_dir().join(&project))[0]);
    let folders = ["tmp", "trash", "restored", "archives", "instances", &project, &instance];
    let restored = format!("restored/{PROJECT}");
    let restored = [restored.clone(), format!("{restored}/{}", id_of(&made))];
    let files = FILES.iter().copied();
    for name in folders.into_iter().chain(restored.iter().map(String::as_str)).chain(files) {
        let (planted, away) = (server.data_dir().join(name), server.folder().join("away"));
        let target = if FILES.contains(&name) { home.join("letter") } else { home.clone() };
        let was_there = planted.exists();
        if was_there {
            rename(&planted, &away);
        }
        symlink(&target, &planted).unwrap();
        let refused = server.run(&["serve"]);
        let text = stderr_of(&refused);
        assert_eq!(refused.status.code(), Some(1), "{name}: {text}");
        assert!(
            text.contains("symbolic link") && text.contains("; as root or its owner: rm "),
            "{name}: {text}"
        );
        if ["tmp", &instance].contains(&name) {
            let doctor = server.run(&["doctor"]);
            let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
            assert!(found.contains("symbolic link"), "{name}: {found}");
        }
        std::fs::remove_file(&planted).unwrap();
        if was_there {
            rename(&away, &planted);
        }
    }
    assert_untouched(&home);
    server.restart();
    server.admin().full("source");
}

/// Puts a link in the place of what is at `path`, if anything is.
fn plant(path: &Path, leads_to: &Path) {
    std::fs::remove_file(path).unwrap_or_default();
    symlink(leads_to, path).unwrap();
}

#[rstest]
fn links_that_are_planted_in_its_folders_are_removed_or_refused_and_what_they_lead_to_is_left_alone(
    #[values(false, true)] unprivileged: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server_over_tree(folder.path(), unprivileged);
    let client = server.admin();
    let (lost, kept) = (client.full("source"), client.full("source"));
    let restored = client.restore_into_instance(&kept);
    server.terminate();
    let home = home_beside(&server, unprivileged);
    let (letter, data) = (home.join("letter"), server.data_dir().to_owned());
    let (tmp, trash) = (data.join("tmp"), data.join("trash"));
    for name in [&format!("{}.0", id_of(&lost)), "small-x", "drill-x", ".tmpx"] {
        plant(&tmp.join(name), &home);
        plant(&tmp.join(format!("{name}y")), &letter);
    }
    plant(&trash.join("1.planted"), &home);
    plant(&trash.join(format!("1.{}", id_of(&lost))), &letter);
    plant(&data.join(format!("instances/{}.json", id_of(&restored))), &letter);
    plant(&data.join("coffer.sock"), &letter);
    plant(&data.join("coffer.sock.new"), &letter);
    plant(&archive_of(&lost), &letter);
    let proof = format!("{}.proof", archive_of(&kept).display());
    plant(Path::new(&proof), &letter);
    for warning in ["there is no socket", "not a regular file", "are not Coffer's"] {
        server.allow_warning(warning);
    }
    server.restart();
    let client = server.admin();
    wait_until("the trash to be emptied", || names_in(&trash).is_empty().then_some(()));
    let left = names_in(&tmp);
    assert!(left.iter().all(|it| it == &format!("{}.0y", id_of(&lost))), "{left:?}");
    client.delete(&format!("backups/{}", id_of(&lost))).with_status(202);
    let row = wait_until("the failure of the delete", || {
        let answer = client.get(&format!("backups/{}", id_of(&lost)));
        (answer.status == 200).then(|| answer.text())
    });
    assert!(row.contains("DELETE_FAILED") && row.contains("not a regular file"), "{row}");
    server.run_ok(&["verify", id_of(&kept)]);
    assert!(!Path::new(&proof).is_symlink(), "the new proof is in the place of the link");
    let instance = format!("instances/{}", id_of(&restored));
    client.delete(&instance).with_status(202);
    wait_until("the instance to go", || (client.get(&instance).status == 404).then_some(()));
    assert_untouched(&home);
    for name in names_in(&tmp) {
        std::fs::remove_file(tmp.join(name)).unwrap();
    }
}

#[rstest]
fn a_restore_into_a_folder_of_others_follows_no_link_that_is_planted_there(
    #[values(false, true)] unprivileged: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let server = server_over_tree(folder.path(), unprivileged);
    let backup = server.admin().full("source");
    let home = home_beside(&server, unprivileged);
    let shared = server.folder().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&shared, Some(1), Some(1)).unwrap();
    }
    let target = shared.join("target");
    let restore = || server.run(&["restore", id_of(&backup), "--to", target.to_str().unwrap()]);
    for leads_to in [home.clone(), home.join("letter"), home.join("nothing")] {
        symlink(&leads_to, &target).unwrap();
        let refused = restore();
        assert_eq!(refused.status.code(), Some(1), "{}", stderr_of(&refused));
        std::fs::remove_file(&target).unwrap();
        assert_untouched(&home);
    }
    // The name of the folder that a killed restore to this target would have left.
    let left = shared.join(format!(".coffer-{:08x}-x", crc32fast::hash(b"target")));
    symlink(&home, &left).unwrap();
    let restored = restore();
    let code = restored.status.code();
    assert!([Some(0), Some(5)].contains(&code), "{}", stderr_of(&restored));
    assert_untouched(&home);
    assert_eq!(std::fs::read(target.join("file")).unwrap(), b"content");
    assert!(left.is_symlink());
    // Nor is a link in the way that is inside the target.
    std::fs::remove_dir_all(&target).unwrap();
    std::fs::create_dir(&target).unwrap();
    symlink(&home, target.join("file")).unwrap();
    let refused = restore();
    assert_eq!(refused.status.code(), Some(1), "{}", stderr_of(&refused));
    assert_untouched(&home);
}

#[test]
fn a_link_in_the_place_of_an_archive_is_not_sent_and_the_answer_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server_over_tree(folder.path(), false);
    server.allow_warning("is another thing");
    let made = server.admin().full("source");
    let (archive, letter) = (archive_of(&made), folder.path().join("letter"));
    write_file(&letter, "secret");
    plant(&archive, &letter);
    let path = format!("backups/{}/archive", id_of(&made));
    let (fault, message) = server.admin().get(&path).fault(503);
    assert_eq!(fault, "serviceUnavailable");
    assert!(message.contains("is not what was proven"), "{message}");
    assert!(message.contains("this is a symbolic link, which Coffer does not follow"), "{message}");
    std::fs::remove_file(&archive).unwrap();
    std::fs::create_dir(&archive).unwrap();
    let (_, message) = server.admin().get(&path).fault(503);
    assert!(message.contains("this is not a regular file"), "{message}");
}
