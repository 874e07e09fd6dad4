//! Archives that are encrypted in the data directory: made and proven by a machine without the secret key, and read with it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::encryption::{coffer, database, new_key, opens, stdout, wait_for_copy};
use crate::support::{
    TestServer, archive_of, bash, damage, files_below, id_of, names_in, size_of, stderr_of,
    succeed, wait_until, write_file,
};

/// A server without a secret key, whose archives are encrypted, and a full backup.
struct Encrypted {
    /// Ends before its folders go.
    server: TestServer,
    folder: TempDir,
    key: PathBuf,
    public: String,
    full: Value,
}

fn encrypted(more: &str) -> Encrypted {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let (key, public) = new_key(folder.path(), "key");
    let server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml(&format!("{more}[encryption]\nrecipients = [\"{public}\"]\napplies_to = \"both\""))
        .setting("storage.trash_window_s", "0")
        .allow_warning("was never tried")
        .allow_warning("it cannot be built on that backup")
        .allow_warning("no key was given")
        .start();
    let full = server.admin().full("shop");
    Encrypted { server, folder, key, public, full }
}

impl Encrypted {
    fn with_key(&self, arguments: &[&str]) -> Output {
        self.server.run(&[arguments, &["--identity", self.key.to_str().unwrap()]].concat())
    }

    fn target(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn rows(database: &Path) -> u32 {
    let count = "SELECT count(*) FROM row";
    Connection::open(database).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_archive_is_encrypted_and_proven_without_the_key_and_read_by_age_and_tar() {
    let Encrypted { server, folder, full, .. } = &encrypted("");
    let archive = archive_of(full);
    let name = archive.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with(".tar.zst.age"), "{name}");
    let bytes = std::fs::read(&archive).unwrap();
    assert_eq!(size_of(full), u64::try_from(bytes.len()).unwrap());
    assert_eq!(full["checksum"], format!("blake3:{}", blake3::hash(&bytes)));
    assert!(!full["verified_at"].is_null() && full["verify_level"] != "none", "{full:#}");

    // Nothing in the data directory has a byte of the content, and a download is the file as it lies there.
    let secret = b"the secret of a customer";
    let lies_there = files_below(server.data_dir()).into_iter();
    for file in lies_there.filter(|it| it.is_file()) {
        let found = std::fs::read(&file).unwrap();
        assert!(!found.windows(secret.len()).any(|it| it == secret), "{}", file.display());
    }
    let download = server.admin().get(&format!("backups/{}/archive", id_of(full)));
    assert!(download.header("content-disposition").contains(name));
    assert!(download.with_status(200).bytes == bytes);

    std::fs::copy(&archive, folder.path().join(name)).unwrap();
    let by_hand = format!(
        "mkdir one && age -d -i key '{name}' | tar --zstd -xf - -C one \
         && grep '^    ' one/.coffer/RESTORE.txt > commands && sh -e commands"
    );
    succeed(bash(&by_hand, folder.path()).env_clear().env("PATH", "/usr/bin:/bin"));
    for restored in ["one/data/shop.db", "restored/data/shop.db"] {
        assert_eq!(rows(&folder.path().join(restored)), 1, "{restored}");
    }
}

#[test]
fn with_the_key_everything_is_done_with_it_and_without_the_key_is_missed_and_nothing_is_damaged() {
    let encrypted = encrypted("");
    let (server, id) = (&encrypted.server, id_of(&encrypted.full));
    let target = |name: &str| encrypted.target(name).to_str().unwrap().to_owned();
    let (restored, exported) = (target("restored"), target("exported.tar.zst"));
    let commands: [&[&str]; 3] =
        [&["restore", id, "--to", &restored], &["export", id, "--to", &exported], &["drill", id]];
    for command in commands {
        let without = server.run(command);
        assert_eq!(without.status.code(), Some(1), "{}", stderr_of(&without));
        assert!(stderr_of(&without).contains("no key was given"), "{}", stderr_of(&without));
    }
    let verified = stdout(server.run(&["verify", id]));
    assert!(verified.contains("byte for byte") && verified.contains("Not decoded"), "{verified}");
    let restored_by_server = server.admin().restore_into_instance(&encrypted.full);
    assert_ne!(restored_by_server["status"], "ACTIVE", "{restored_by_server:#}");
    server.admin().send("POST", &format!("backups/{id}/verify"), None).with_status(202);
    let verification = wait_until("the verification", || {
        let found = server.admin().get(&format!("backups/{id}/verify")).json();
        (found["verification"]["status"] == "passed").then_some(found)
    });
    assert!(!verification.is_null());
    assert_eq!(server.admin().backup(id)["status"], "COMPLETED");

    for command in commands {
        stdout(encrypted.with_key(command));
    }
    let verified = stdout(encrypted.with_key(&["verify", id]));
    assert!(verified.contains("decoded and compared"), "{verified}");
    assert_eq!(rows(Path::new(&restored)), 1);
    let alone = target("alone");
    stdout(coffer(&["restore", "--archive", &exported, "--to", &alone]).output().unwrap());
    assert_eq!(rows(Path::new(&alone)), 1);
    let commands = "zstd -dc exported.tar.zst | tar -xOf - .coffer/RESTORE.txt | grep '^    '";
    let commands = succeed(&mut bash(commands, encrypted.folder.path()));
    assert!(commands.contains("zstd -dc 'exported.tar.zst' |") && !commands.contains("age"));

    damage(&archive_of(&encrypted.full));
    for keys in [false, true] {
        let verify = ["verify", id];
        let output = if keys { encrypted.with_key(&verify) } else { server.run(&verify) };
        assert_eq!(output.status.code(), Some(4), "{}", stderr_of(&output));
    }
}

#[test]
fn incrementals_are_made_without_the_key_and_restored_with_it_by_the_command_that_they_name() {
    let encrypted = encrypted("");
    let (server, full) = (&encrypted.server, &encrypted.full);
    let path = encrypted.folder.path().join("shop.db");
    let change = |row: &str| {
        let row = format!("INSERT INTO row VALUES ('{row}')");
        Connection::open(&path).unwrap().execute_batch(&row).unwrap();
    };
    change("second");
    let second = server.admin().incremental("shop");
    change("third");
    let third = server.admin().incremental("shop");
    assert_eq!((&second["parent_id"], &third["parent_id"]), (&full["id"], &second["id"]));
    for backup in [&second, &third] {
        let name = archive_of(backup);
        assert!(name.to_str().unwrap().ends_with(".incr.zst.age"), "{}", name.display());
        let index = format!("{}.index", name.display());
        let index = std::fs::read(index).unwrap();
        assert!(!index.windows(6).any(|it| it == b"second" || it == b"third "));
    }
    let restored = encrypted.target("restored");
    let (id, to) = (id_of(&third), restored.to_str().unwrap());
    for command in [["verify", id].as_slice(), &["drill", id], &["restore", id, "--to", to]] {
        stdout(encrypted.with_key(command));
    }
    assert_eq!(rows(&restored), 3);

    // By hand, in a folder that holds the files and the key.
    for backup in [full, &second, &third] {
        let archive = archive_of(backup);
        std::fs::copy(&archive, encrypted.target(archive.file_name().unwrap().to_str().unwrap()))
            .unwrap();
    }
    let name = archive_of(&third);
    let text = format!(
        "age -d -i key '{}' | zstd -dc | tar -xOf - .coffer/RESTORE.txt",
        name.file_name().unwrap().to_str().unwrap()
    );
    let text = succeed(&mut bash(&text, encrypted.folder.path()));
    let command = text.lines().find(|it| it.contains("coffer restore")).unwrap();
    let arguments: Vec<_> = command.trim().split(' ').skip(1).collect();
    let arguments: Vec<_> =
        arguments.iter().map(|it| if *it == "PATH" { "by-hand" } else { it }).collect();
    let mut restore = coffer(&arguments);
    stdout(restore.current_dir(encrypted.folder.path()).output().unwrap());
    assert_eq!(rows(&encrypted.target("by-hand")), 3);

    // The index goes with its archive.
    server.admin().delete(&format!("backups/{}", id_of(full))).with_status(202);
    wait_until("the archives to go", || {
        files_below(&server.data_dir().join("archives")).is_empty().then_some(())
    });
}

#[test]
fn without_the_index_an_incremental_becomes_a_full_one_and_one_of_a_named_parent_fails() {
    let Encrypted { server, full, .. } = &encrypted("");
    let index = format!("{}.index", archive_of(full).display());
    damage(Path::new(&index));
    let named = server.admin().create_backup("shop", &json!({ "parent_id": id_of(full) }));
    let id = named.with_status(202).json()["backup"]["id"].as_str().unwrap().to_owned();
    let failed = server.admin().wait_for(&id, &["COMPLETED", "FAILED"]);
    let why = failed["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("it cannot be built on that backup: the index of backup"), "{failed:#}");
    assert_eq!(server.admin().backup(id_of(full))["status"], "COMPLETED");
    std::fs::remove_file(index).unwrap();
    let second = server.admin().incremental("shop");
    assert_eq!((&second["kind"], &second["parent_id"]), (&json!("full"), &Value::Null));
    assert!(server.log().text().contains("becomes a full one: the index of backup"));
    let third = server.admin().incremental("shop");
    assert_eq!(third["parent_id"], second["id"]);
}

#[test]
fn a_copy_is_the_encrypted_archive_itself_and_a_catalog_is_made_of_archives_with_the_key() {
    let place = tempfile::tempdir().unwrap();
    let mut encrypted = encrypted(&format!(
        "copies = [\"nas\"]\n[[places]]\nname = \"nas\"\ntype = \"disk\"\npath = \"{}\"\n\
         same_disk = true\n",
        place.path().display()
    ));
    wait_for_copy(&encrypted.server, &encrypted.full);
    let copies: Vec<_> = files_below(&place.path().join("archives"))
        .into_iter()
        .filter(|it| it.extension().is_some_and(|it| it == "age"))
        .collect();
    let archive = archive_of(&encrypted.full);
    assert_eq!(copies.len(), 1);
    assert!(std::fs::read(&copies[0]).unwrap() == std::fs::read(&archive).unwrap());
    let to = encrypted.target("from-place");
    let to = to.to_str().unwrap();
    stdout(encrypted.with_key(&["restore", "--from", "nas", "latest:shop", "--to", to]));
    assert_eq!(rows(Path::new(to)), 1);

    encrypted.server.terminate();
    encrypted.server.remove_catalog();
    let without = encrypted.server.run(&["catalog", "rebuild"]);
    let said = String::from_utf8_lossy(&without.stdout).into_owned() + &stderr_of(&without);
    assert!(said.contains("no key was given"), "{said}");
    assert_eq!(without.status.code(), Some(1), "{said}");
    let rebuilt = stdout(encrypted.with_key(&["catalog", "rebuild"]));
    assert!(rebuilt.contains('1'), "{rebuilt}");
    encrypted.server.restart();
    let again = encrypted.server.admin().backup(id_of(&encrypted.full));
    for key in ["checksum", "size_bytes", "locationRef", "status"] {
        assert_eq!(again[key], encrypted.full[key], "{key}");
    }
}

#[test]
fn after_a_change_of_keys_each_archive_is_read_with_those_that_it_was_made_for() {
    let mut old = encrypted("");
    let (key, public) = new_key(old.folder.path(), "new");
    old.server.terminate();
    let config = std::fs::read_to_string(old.server.config()).unwrap();
    write_file(old.server.config(), config.replace(&old.public, &public));
    old.server.restart();
    let after = old.server.admin().incremental("shop");
    assert_eq!(after["kind"], "full");
    let why = "becomes a full one: the keys in encryption.recipients are others";
    assert!(old.server.log().text().contains(why), "{}", old.server.log().text());
    let restore = |backup: &Value, key: &Path| {
        let to = old.target(&format!("restored-{}", fastrand::u64(..)));
        let (to, key) = (to.to_str().unwrap(), key.to_str().unwrap());
        old.server.run(&["restore", id_of(backup), "--to", to, "--identity", key]).status.success()
    };
    assert!(restore(&old.full, &old.key) && restore(&after, &key));
    assert!(!restore(&old.full, &key) && !restore(&after, &old.key));
    let doctor = old.server.run(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("no key on this machine reads them"), "{doctor}");
    assert!(names_in(&old.server.data_dir().join("tmp")).is_empty());
}

#[test]
fn nothing_on_a_stolen_machine_is_the_key_of_an_archive_that_was_made_before() {
    let mut encrypted = encrypted("");
    encrypted.server.admin().incremental("shop");
    encrypted.server.terminate();
    let archive = std::fs::read(archive_of(&encrypted.full)).unwrap();
    let mut tried = 0;
    for left in files_below(encrypted.server.data_dir()) {
        let bytes = std::fs::read(&left).unwrap();
        let unlike_another = |window: &&[u8]| window.iter().any(|it| *it != window[0]);
        for window in bytes.windows(16).filter(unlike_another) {
            tried += 1;
            assert!(!opens(&archive, window), "{} has the key", left.display());
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[test]
fn a_key_that_is_protected_by_a_passphrase_reads_an_archive_of_the_catalog() {
    let encrypted = encrypted("");
    let plain = std::fs::read_to_string(&encrypted.key).unwrap();
    let protected = coffer::encryption::protect(&plain, "correct horse".to_owned()).unwrap();
    let file = encrypted.target("protected");
    write_file(&file, protected);
    let (to, file) = (encrypted.target("restored"), file.to_str().unwrap().to_owned());
    let (id, to_text) = (id_of(&encrypted.full), to.to_str().unwrap());
    let arguments = ["restore", id, "--to", to_text, "--identity", &file];
    let mut command = encrypted.server.command(&arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(rows(&to), 1);
}
