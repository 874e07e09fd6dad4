//! Encrypted copies: what lies in the place, who can read it, and how it is restored without Coffer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::servers::proxy::Proxy;
use crate::servers::s3::{KEYS, S3Server};
use crate::support::{
    Builder, TestServer, bash, files_below, id_of, stderr_of, succeed, wait_until, write_file,
};

/// What a thief looks for.
const SECRET: &str = "the secret of a customer";

pub(super) fn database(folder: &Path) -> PathBuf {
    let path = folder.join("shop.db");
    let rows = format!("CREATE TABLE row(data TEXT); INSERT INTO row VALUES ('{SECRET}');");
    Connection::open(&path).unwrap().execute_batch(&rows).unwrap();
    path
}

fn rows(database: &Path) -> u32 {
    let count = "SELECT count(*) FROM row";
    Connection::open(database).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
}

/// The program without a configuration of its own.
pub(super) fn coffer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(super) fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", stderr_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A new secret key, and its public one.
pub(super) fn new_key(folder: &Path, name: &str) -> (PathBuf, String) {
    let file = folder.join(name);
    let made = coffer(&["key", "new", "--json", "--to"]).arg(&file).output().unwrap();
    let made: Value = serde_json::from_str(&stdout(made)).unwrap();
    (file, made["recipient"].as_str().unwrap().to_owned())
}

fn with_place(builder: Builder, place: &Path, recipients: &str) -> Builder {
    let place = place.display();
    builder
        .toml("copies = [\"nas\"]")
        .toml(&format!(
            "[[places]]\nname = \"nas\"\ntype = \"disk\"\npath = \"{place}\"\nsame_disk = true\n\
             [encryption]\nrecipients = [{recipients}]"
        ))
        .setting("storage.trash_window_s", "0")
        .allow_warning("was never tried")
}

pub(super) fn wait_for_copy(server: &TestServer, backup: &Value) {
    let id = id_of(backup);
    wait_until(&format!("the copy of {id}"), || {
        let copy = server.admin().backup(id)["copies"][0].take();
        assert_ne!(copy["state"], "failed", "{copy:#}");
        (copy["state"] == "proven").then_some(())
    });
}

/// The archives in the place, by their ending.
pub(super) fn archives(place: &Path, ending: &str) -> Vec<PathBuf> {
    let all = files_below(&place.join("archives")).into_iter();
    all.filter(|it| it.to_str().unwrap().ends_with(ending)).collect()
}

/// A full backup and an incremental one, each with an encrypted copy; and the key.
struct Copied {
    /// Ends before its folders go.
    server: TestServer,
    folder: TempDir,
    place: TempDir,
    key: PathBuf,
    full: Value,
    incremental: Value,
}

fn copied() -> Copied {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let (key, public) = new_key(folder.path(), "key");
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let server = with_place(builder, place.path(), &format!("\"{public}\"")).start();
    let full = server.admin().full("shop");
    Connection::open(&path).unwrap().execute_batch("INSERT INTO row VALUES ('more')").unwrap();
    let incremental = server.admin().incremental("shop");
    for backup in [&full, &incremental] {
        wait_for_copy(&server, backup);
    }
    wait_until("the keys of the uploads to go", || {
        files_below(&server.data_dir().join("uploads")).is_empty().then_some(())
    });
    Copied { server, folder, place, key, full, incremental }
}

impl Copied {
    /// What a command of another machine does with the place, with this key or without one.
    fn elsewhere(&self, arguments: &[&str], key: Option<&Path>) -> Output {
        let empty = self.folder.path().join("empty.toml");
        let data = self.folder.path().join("data");
        write_file(&empty, format!("data_dir = \"{}\"\n", data.display()));
        let mut command = coffer(arguments);
        command.arg("--from").arg(self.place.path()).arg("--config").arg(&empty);
        if let Some(key) = key {
            command.arg("--identity").arg(key);
        }
        command.output().unwrap()
    }

    fn elsewhere_ok(&self, arguments: &[&str]) -> String {
        stdout(self.elsewhere(arguments, Some(&self.key)))
    }
}

#[test]
fn the_age_command_and_tar_restore_an_encrypted_copy_and_so_do_its_own_commands() {
    let Copied { folder, place, .. } = &copied();
    let fulls = archives(place.path(), ".tar.zst.age");
    assert_eq!((fulls.len(), archives(place.path(), ".incr.zst.age").len()), (1, 1));
    assert!(archives(place.path(), ".zst").is_empty(), "nothing lies there as it is");
    let name = fulls[0].file_name().unwrap().to_str().unwrap();
    std::fs::copy(&fulls[0], folder.path().join(name)).unwrap();
    let plain = name.trim_end_matches(".age");
    let by_hand = format!(
        "mkdir one && age -d -i key '{name}' | tar --zstd -xf - -C one && age -d -i key -o '{plain}' '{name}' \
         && zstd -dc '{plain}' | tar -xOf - .coffer/RESTORE.txt | grep '^    ' > commands && sh -e commands"
    );
    succeed(bash(&by_hand, folder.path()).env_clear().env("PATH", "/usr/bin:/bin"));
    for restored in ["one/data/shop.db", "restored/data/shop.db"] {
        assert_eq!(rows(&folder.path().join(restored)), 1, "{restored}");
    }
}

#[test]
fn encrypted_copies_are_read_with_the_key_alone_and_with_no_other_one() {
    let copied = copied();
    let folder = copied.folder.path();
    let (other, other_public) = new_key(folder, "other");
    let to = folder.join("latest");
    let restore = ["restore", "latest:shop", "--to", to.to_str().unwrap()];
    let without = stderr_of(&copied.elsewhere(&restore, None));
    assert!(
        without.contains("no key was given: name the file of one with --identity"),
        "{without}"
    );
    let wrong = stderr_of(&copied.elsewhere(&restore, Some(&other)));
    let given = format!("other keys than those that were given ({other_public})");
    assert!(wrong.contains(&given), "{wrong}");
    assert!(!to.exists());
    copied.elsewhere_ok(&restore);
    assert_eq!(rows(&to), 2);
    let listed: Value = serde_json::from_str(&copied.elsewhere_ok(&["list", "--json"])).unwrap();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{listed:#}");
    let id = id_of(&copied.incremental);
    for verb in ["verify", "drill"] {
        copied.elsewhere_ok(&[verb, id]);
    }
    let exported = folder.join("exported.tar.zst");
    copied.elsewhere_ok(&["export", id, "--to", exported.to_str().unwrap()]);
    let test = ["key", "test", copied.key.to_str().unwrap(), "--from"];
    let tried = stdout(coffer(&test).arg(copied.place.path()).output().unwrap());
    assert!(tried.contains("of shop"), "{tried}");
    let rebuilt = copied.elsewhere_ok(&["catalog", "rebuild", "--json"]);
    let rebuilt: Value = serde_json::from_str(&rebuilt).unwrap();
    assert_eq!((&rebuilt["fetched"], &rebuilt["imported"]), (&2.into(), &2.into()), "{rebuilt:#}");

    // A file alone.
    let (full, alone) =
        (archives(copied.place.path(), ".tar.zst.age").remove(0), folder.join("alone"));
    let mut restore = coffer(&["restore", "--archive"]);
    restore.arg(full).arg("--to").arg(&alone).arg("--identity").arg(&copied.key);
    stdout(restore.output().unwrap());
    assert_eq!(rows(&alone), 1);

    // The copies go with their backups.
    let delete = format!("backups/{}", id_of(&copied.full));
    copied.server.admin().delete(&delete).with_status(202);
    wait_until("the copies to be removed", || {
        files_below(&copied.place.path().join("archives")).is_empty().then_some(())
    });
}

#[test]
fn with_everything_on_a_stolen_machine_its_encrypted_copies_cannot_be_read() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let (key, public) = new_key(folder.path(), "key");
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let mut server = with_place(builder, place.path(), &format!("\"{public}\"")).start();
    let backup = server.admin().full("shop");
    wait_for_copy(&server, &backup);
    wait_until("the key of the upload to go", || {
        files_below(&server.data_dir().join("uploads")).is_empty().then_some(())
    });
    server.terminate();
    // The thief has the machine without the database itself and without the archives that lie there as they are, and the
    // place.
    let copy = archives(place.path(), ".age").remove(0);
    let to = folder.path().join("stolen");
    let from_place =
        server.run(&["restore", "--from", "nas", "latest:shop", "--to", to.to_str().unwrap()]);
    assert!(!from_place.status.success() && !to.exists(), "{}", stderr_of(&from_place));
    let file = std::fs::read(&copy).unwrap();
    let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(!text_of(&file).contains(SECRET) && !text_of(&file).contains("SQLite format"));
    let secret = std::fs::read_to_string(&key).unwrap();
    let secret = secret.lines().last().unwrap();
    let mut tried = 0;
    for left in files_below(server.data_dir()) {
        if left.starts_with(server.data_dir().join("archives")) {
            continue;
        }
        let bytes = std::fs::read(&left).unwrap();
        assert!(!text_of(&bytes).contains(secret), "{}", left.display());
        // Nothing that lies there is the key of the copy.
        let unlike_another = |window: &&[u8]| window.iter().any(|it| *it != window[0]);
        for window in bytes.windows(16).filter(unlike_another) {
            tried += 1;
            assert!(!opens(&file, window), "{} has the key of the copy", left.display());
        }
    }
    assert!(tried > 1000, "{tried}");
    // The test itself finds a key that is there.
    stdout(server.run(&[
        "restore",
        "--from",
        "nas",
        "latest:shop",
        "--to",
        to.to_str().unwrap(),
        "--identity",
        key.to_str().unwrap(),
    ]));
    assert_eq!(rows(&to), 1);
}

/// Whether these bytes are the key that the file's content is encrypted with.
pub(super) fn opens(file: &[u8], key: &[u8]) -> bool {
    use coffer::encryption::{Decrypted, FileHead};
    let head = file.windows(5).position(|it| it == b"\n--- ").unwrap();
    let end = head + 5 + file[head + 5..].iter().position(|it| *it == b'\n').unwrap() + 17;
    let head = FileHead::from_secret(&[key, &file[..end]].concat()).unwrap();
    Decrypted::new(std::sync::Arc::new(file.to_vec()), head.into()).is_ok()
}

#[test]
fn a_key_that_was_never_tried_is_said_at_the_start_and_by_doctor_until_it_is_typed_from_its_sheet()
{
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let (key, public) = new_key(folder.path(), "key");
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let mut server = with_place(builder, place.path(), &format!("\"{public}\"")).start();
    assert!(server.log().text().contains("was never tried"), "{}", server.log().text());
    let doctor = |server: &TestServer| String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(doctor(&server).contains("it was never tried"), "{}", doctor(&server));
    let problems = |server: &TestServer| server.admin().get("health").json()["health"].take();
    let untried = problems(&server)["problems"].to_string();
    assert!(untried.contains("key_untried") && untried.contains(&public), "{untried}");

    let sheet = stdout(coffer(&["key", "sheet"]).arg(&key).output().unwrap());
    let typed: String = sheet.lines().filter(|it| !it.starts_with('#')).collect();
    let test = |text: &str| {
        let mut command = server.command(&["key", "test", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let wrong = std::fs::read_to_string(new_key(folder.path(), "wrong").0).unwrap();
    let wrong = test(&wrong);
    assert!(
        stderr_of(&wrong).contains("reads nothing that is encrypted to those"),
        "{}",
        stderr_of(&wrong)
    );
    assert!(stdout(test(&typed.to_lowercase())).contains("that was tried"));
    assert!(doctor(&server).contains(&format!("a key for {public} was tried")));
    wait_until("the server to know it", || {
        (!problems(&server)["problems"].to_string().contains("key_untried")).then_some(())
    });
    let before = server.log().len();
    server.terminate();
    server.restart();
    assert!(server.log().lines()[before..].iter().all(|it| !it.contains("was never tried")));
}

#[test]
fn after_a_change_of_keys_each_copy_is_read_with_those_that_it_was_made_for() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let (old_key, old) = new_key(folder.path(), "old");
    let (new_key, new) = new_key(folder.path(), "new");
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let mut server = with_place(builder, place.path(), &format!("\"{old}\"")).start();
    let before = server.admin().full("shop");
    wait_for_copy(&server, &before);
    server.terminate();
    let config = std::fs::read_to_string(server.config()).unwrap();
    write_file(server.config(), config.replace(&old, &new));
    server.restart();
    let after = server.admin().full("shop");
    wait_for_copy(&server, &after);
    let restore = |backup: &Value, key: &Path| {
        let to = folder.path().join(format!("restored-{}", fastrand::u64(..)));
        let (id, to, key) = (id_of(backup), to.to_str().unwrap(), key.to_str().unwrap());
        let restored = server.run(&["restore", "--from", "nas", id, "--to", to, "--identity", key]);
        restored.status.success()
    };
    assert!(restore(&before, &old_key) && restore(&after, &new_key));
    assert!(!restore(&before, &new_key) && !restore(&after, &old_key));
}

#[test]
fn an_encrypted_upload_goes_on_where_it_stopped_after_a_kill() {
    let store = S3Server::start();
    store.make_bucket("backups");
    let proxy = Proxy::before(store.address());
    let folder = tempfile::tempdir().unwrap();
    let (key, public) = new_key(folder.path(), "key");
    let path = folder.path().join("files");
    std::fs::create_dir(&path).unwrap();
    let mut content = vec![0; 17 << 20];
    getrandom::fill(&mut content).unwrap();
    write_file(&path.join("random"), &content);
    // The second of three parts does not get through.
    proxy.hold(Some("partNumber=2"));
    let base = proxy.base();
    let builder = TestServer::builder().instance_directory("files", &path).toml(&format!(
        "copies = [\"offsite\"]\n[[places]]\nname = \"offsite\"\ntype = \"s3\"\nendpoint = \"{base}\"\n\
         bucket = \"backups\"\nencrypt_to = [\"{public}\"]\n"
    ));
    let builder = builder.allow_warning("was never tried");
    let mut server =
        KEYS.iter().fold(builder, |builder, (name, value)| builder.env(name, value)).start();
    let backup = server.admin().full("files");
    wait_until("the first part to arrive", || {
        let copy = server.admin().backup(id_of(&backup))["copies"][0].take();
        (copy["progress"].as_f64().unwrap() > 0.0).then_some(())
    });
    server.kill();
    proxy.hold(None);
    server.restart();
    wait_for_copy(&server, &backup);
    assert_eq!(proxy.seen("partNumber=1"), 1, "the first part was sent once");
    assert_eq!(store.unfinished_uploads("backups"), 0);
    let to = folder.path().join("restored");
    let mut restore = coffer(&["restore", "--from", "s3://backups", "latest:files", "--to"]);
    restore.arg(&to).arg("--identity").arg(&key).env("AWS_ENDPOINT_URL", store.base());
    let empty = folder.path().join("empty.toml");
    write_file(&empty, format!("data_dir = \"{}\"\n", folder.path().join("data").display()));
    stdout(restore.envs(KEYS).arg("--config").arg(empty).output().unwrap());
    assert!(std::fs::read(to.join("random")).unwrap() == content);
}

#[test]
fn a_rebuild_without_the_key_says_how_many_archives_it_could_not_read_and_leaves_no_empty_catalog()
{
    let copied = copied();
    let catalog = copied.folder.path().join("data/catalog.db");
    let (other, _) = new_key(copied.folder.path(), "other");
    for key in [None, Some(other.as_path())] {
        let failed = copied.elsewhere(&["catalog", "rebuild"], key);
        let (said, why) = (String::from_utf8_lossy(&failed.stdout), stderr_of(&failed));
        assert_eq!(failed.status.code(), Some(1), "{why}");
        assert!(said.contains("2 could not be read there"), "{said}");
        // Each file by its own name.
        for line in said.lines().filter(|it| it.starts_with("Not brought back: project-a/")) {
            let (file, why) = line.split_once(": ").unwrap().1.split_once(": ").unwrap();
            assert!(file.ends_with(".zst.age") && !why.contains(".zst in"), "{line}");
        }
        assert_eq!(said.matches(".incr.zst.age: ").count(), 1, "{said}");
        assert!(why.contains("no catalog was made, because 2 archives could not"), "{why}");
        assert!(!said.contains("--salvage"), "{said}");
        assert!(!catalog.exists());
    }
    let data = catalog.parent().unwrap();
    let left = std::fs::read_dir(data).unwrap().map(|it| it.unwrap().file_name());
    let left: Vec<_> = left.filter(|it| it.to_str().unwrap().starts_with("catalog")).collect();
    assert!(left.is_empty(), "{left:?}");

    // By a signer that is another machine's, nothing is brought back either; with the right one, and the key, all is, and
    // it is said whose archives they are.
    let foreign = format!("coffer-signer:{}", "7".repeat(64));
    let refused =
        copied.elsewhere(&["catalog", "rebuild", "--signer", &foreign], Some(&copied.key));
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(said.contains("Not brought back:") && !said.contains("--salvage"), "{said}");
    assert_eq!(refused.status.code(), Some(1), "{}", stderr_of(&refused));
    let signer = stdout(copied.server.run(&["key", "signer"]));
    let report = copied.elsewhere_ok(&["catalog", "rebuild", "--signer", signer.trim()]);
    let advice = format!("[encryption] signers = [\"{}\"]", signer.trim());
    assert!(report.contains("Brought back 2 archives") && report.contains(&advice), "{report}");
}

#[test]
fn a_machine_takes_its_own_archives_whatever_other_signers_are_trusted() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let (key, public) = new_key(folder.path(), "key");
    let recipients = format!("\"{public}\"]\nsigners = [\"coffer-signer:{}\"", "7".repeat(64));
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let server = with_place(builder, place.path(), &recipients).start();
    wait_for_copy(&server, &server.admin().full("shop"));
    let to = folder.path().join("restored");
    let (to_text, key) = (to.to_str().unwrap(), key.to_str().unwrap());
    let from = ["restore", "latest:shop", "--from", "nas", "--to", to_text, "--identity", key];
    stdout(server.run(&from));
    assert_eq!(rows(&to), 1);
    let own = stdout(server.run(&["key", "signer"]));
    let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains(&format!("those of this machine, {}", own.trim())), "{doctor}");
}

#[test]
fn archives_that_somebody_else_put_into_a_place_are_refused_by_their_signer() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let (key, public) = new_key(folder.path(), "key");
    let with = |place: &Path| {
        let builder = TestServer::builder().instance_sqlite("shop", &path);
        with_place(builder, place, &format!("\"{public}\"")).start()
    };
    let server = with(place.path());
    let backup = server.admin().full("shop");
    wait_for_copy(&server, &backup);
    let signer = stdout(server.run(&["key", "signer"]));
    let signer = signer.trim();
    let restore = |from: &Path, name: &str| {
        let to = folder.path().join(name);
        let mut command = coffer(&["restore", "latest:shop", "--signer", signer, "--from"]);
        command.arg(from).arg("--to").arg(&to).arg("--identity").arg(&key);
        let empty = folder.path().join("empty.toml");
        write_file(&empty, format!("data_dir = \"{}\"\n", folder.path().join("data").display()));
        command.arg("--config").arg(empty).output().unwrap()
    };
    stdout(restore(place.path(), "own"));
    // Of what the catalog names nothing is known by a signer, so that is not asked in vain.
    let by_catalog = server.run(&["verify", id_of(&backup), "--signer", signer]);
    assert_eq!(by_catalog.status.code(), Some(2), "{}", stderr_of(&by_catalog));
    // Another machine has the same public key, which is no secret, and makes a backup of the same name.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = with(elsewhere.path());
    wait_for_copy(&other, &other.admin().full("shop"));
    let refused = restore(elsewhere.path(), "forged");
    assert!(
        stderr_of(&refused).contains("and not by a key that is trusted"),
        "{}",
        stderr_of(&refused)
    );
    assert!(!folder.path().join("forged").exists());
    // Under the name of a backup of the first machine it is refused without that.
    let (mine, forged) = (
        archives(place.path(), ".age").remove(0),
        std::fs::read(archives(elsewhere.path(), ".age").remove(0)).unwrap(),
    );
    std::fs::remove_file(&mine).unwrap();
    write_file(&mine, forged);
    let to = folder.path().join("swapped");
    let (id, to_text, key) = (id_of(&backup), to.to_str().unwrap(), key.to_str().unwrap());
    let swapped = server.run(&["restore", "--from", "nas", id, "--to", to_text, "--identity", key]);
    assert!(!swapped.status.success() && !to.exists(), "{}", stderr_of(&swapped));
}
