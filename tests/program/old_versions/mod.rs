//! What released versions wrote is read for ever. `tests/data/archives` keeps archives of each of them, and
//! beside each what a restore of it must give, as text; `tests/data/catalog` keeps their catalogs.

mod contents;
mod kept;
mod make;
use crate::servers::mariadb;
use crate::servers::postgres;
use crate::servers::redis;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Client, TestServer, stderr_of, wait_until, write_file};
use kept::{Folder, SECRET, data, expected_answers};

/// The folders of `tests/data/archives`. Each holds the chain of one instance, except `states`, which holds
/// backups of small databases in every state.
const KEPT: &[(&str, &[&str])] = &[(
    "0.1.0",
    &[
        "directory",
        "mariadb",
        "mariadb-logical",
        "postgresql",
        "postgresql-logical",
        "redis",
        "sqlite",
        "states",
    ],
)];

/// The versions of the catalog's schema that have a dump and the answers that belong to it.
const CATALOGS: &[(u32, &str)] = &[(3, "0.1.0")];

fn coffer(arguments: &[&str], archives: &[std::path::PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.args(arguments).arg("--archive").args(archives).output().unwrap()
}

#[test]
fn every_kept_folder_is_listed_here() {
    let folders_in = |folder: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        entries.map(|it| it.file_name().into_string().unwrap()).collect()
    };
    let root = data().join("archives");
    let listed: BTreeSet<String> = KEPT.iter().map(|(version, _)| (*version).to_owned()).collect();
    assert_eq!(folders_in(&root), listed);
    for (version, folders) in KEPT {
        let listed: BTreeSet<String> = folders.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(folders_in(&root.join(version)), listed, "{version}");
    }
    for schema in folders_in(&data().join("catalog")) {
        let known =
            CATALOGS.iter().any(|(number, _)| schema.starts_with(&format!("schema_{number}.")));
        assert!(known || schema == "schema_1.sql", "catalog/{schema} is not tested here");
    }
}

#[rstest]
#[case("directory")]
#[case("mariadb")]
#[case("mariadb-logical")]
#[case("postgresql")]
#[case("postgresql-logical")]
#[case("redis")]
#[case("sqlite")]
#[case("states")]
fn archives_of_every_released_version_verify_and_restore(#[case] name: &str) {
    let versions = KEPT.iter().filter(|(_, folders)| folders.contains(&name));
    for folder in versions.map(|(version, _)| Folder::open(version, name)) {
        for row in folder.rows() {
            restores_to_its_contents(&folder, row);
        }
    }
}

fn restores_to_its_contents(folder: &Folder, row: &Value) {
    let target = tempfile::Builder::new().prefix("kept").tempdir().unwrap();
    let chain = folder.chain(row);
    let path = target.path().join("restored");
    let verified = coffer(&["verify"], &chain);
    let restored = coffer(&["restore", "--to", path.to_str().unwrap()], &chain);
    let why = format!("{row:#}\n{}{}", stderr_of(&verified), stderr_of(&restored));
    match folder.contents(row) {
        Some(contents) => {
            assert!(verified.status.success() && restored.status.success(), "{why}");
            assert!(kept::read(row, &path) == contents, "other contents: {why}");
        }
        None if row["verify_level"] == "bytes" => {
            // Its bytes are sound, but not the database in them: it is given with a warning.
            assert_eq!(verified.status.code(), Some(0), "{why}");
            assert_eq!(restored.status.code(), Some(6), "{why}");
            assert!(path.exists(), "{why}");
        }
        None => {
            assert_eq!(verified.status.code(), Some(4), "{why}");
            assert_eq!(restored.status.code(), Some(4), "{why}");
        }
    }
}

/// A server of this version on a data directory of another one; the sources are gone.
fn server_on(data_dir: &Path) -> TestServer {
    write_file(&data_dir.join("admin.token"), SECRET);
    TestServer::builder()
        .data_dir(data_dir)
        .no_tokens()
        .instance_sqlite("tiny", Path::new("/nonexistent"))
        .instance_sqlite("missing", Path::new("/nonexistent"))
        .allow_warning("would fail now")
        .allow_warning(" failed")
        .allow_warning("interrupted")
        .start()
}

/// The same answer, of this server.
fn moved(answer: &Value, server: &TestServer) -> Value {
    let text = answer.to_string().replace("DATA_DIR", server.data_dir().to_str().unwrap());
    let mut moved = serde_json::from_str(&text.replace("http://SERVER", server.base())).unwrap();
    in_words_of_now(&mut moved);
    moved
}

/// Version 0.1.0 had one word for a drill that found damage and one that was stopped, showed a drill that had
/// not ended in place of the last one, and did not say what a backup leaves out.
fn in_words_of_now(answer: &mut Value) {
    match answer {
        Value::Array(all) => all.iter_mut().for_each(in_words_of_now),
        Value::Object(keys) => {
            if keys.get("drill").is_some_and(|it| it["status"] == "failed") {
                let damaged = keys["drill"]["failure"]["code"] == "archive_damaged";
                keys["drill"]["status"] = json!(if damaged { "damaged" } else { "inconclusive" });
            }
            if keys.contains_key("drill") {
                keys.insert("left_out".to_owned(), json!([]));
                keys.insert("next_drill".to_owned(), Value::Null);
                keys.insert("pinned_at".to_owned(), Value::Null);
                keys.insert("copies".to_owned(), json!([]));
            }
            keys.values_mut().for_each(in_words_of_now);
        }
        _ => {}
    }
}

#[test]
fn a_catalog_rebuilt_from_old_archives_gives_the_answers_of_then() {
    for (version, folders) in KEPT {
        let data_dir = tempfile::tempdir().unwrap();
        let folders: Vec<Folder> = folders
            .iter()
            .filter(|name| **name != "states")
            .map(|name| Folder::open(version, name))
            .collect();
        for folder in &folders {
            folder.place_archives(data_dir.path());
        }
        let mut server =
            TestServer::builder().data_dir(data_dir.path()).allow_warning("rebuilt").start();
        assert!(server.terminate().success());
        std::fs::remove_file(data_dir.path().join("catalog.db")).unwrap();
        server.run_ok(&["catalog", "rebuild"]);
        server.restart();
        let client = server.admin();
        for row in folders.iter().flat_map(Folder::rows) {
            let mut now = client.backup(row["id"].as_str().unwrap());
            // What its manifest says under the keys of then.
            assert!(now["left_out"].as_array().is_some(), "{now:#}");
            now["left_out"] = json!([]);
            assert!(now["next_drill"].is_null(), "{now:#}");
            assert_eq!(now, moved(row, &server), "{version}");
        }
    }
}

#[test]
fn a_data_directory_of_an_old_version_is_served_and_its_unfinished_work_is_finished() {
    for (schema, version) in CATALOGS {
        let data_dir = tempfile::tempdir().unwrap();
        let (_, folders) = KEPT.iter().find(|(known, _)| known == version).unwrap();
        for name in *folders {
            Folder::open(version, name).place_archives(data_dir.path());
        }
        kept::place_catalog(*schema, data_dir.path());
        let server = server_on(data_dir.path());
        let client = server.admin();
        for (path, then) in expected_answers(*schema) {
            let unfinished = ["drill to make", "drill begun"].map(Value::from);
            if !unfinished.contains(&then["backup"]["name"]) {
                let now = client.get(&path).with_status(200).json();
                assert_same_answer(&path, &now, moved(&then, &server));
            }
        }
        assert_unfinished_work_ends(&client);
        for folder in folders.iter().map(|name| Folder::open(version, name)) {
            let row = folder.rows().last().unwrap();
            if let Some(contents) = folder.contents(row) {
                let restored = server.restored(row);
                assert!(kept::read(row, &restored) == contents, "other contents: {row:#}");
            }
        }
    }
}

/// The configuration of now names fewer instances: the others became DETACHED at this start.
fn assert_same_answer(path: &str, answer: &Value, mut then: Value) {
    if path.starts_with("instances/") {
        assert!(
            ["ACTIVE", "DETACHED"].iter().any(|it| answer["instance"]["status"] == *it),
            "{path}"
        );
        for key in ["status", "updated", "service_status_updated"] {
            then["instance"][key] = answer["instance"][key].clone();
        }
    }
    if let Some(quotas) = then.get_mut("quotas").and_then(Value::as_array_mut) {
        // Unfinished restores and backups were added to the catalog after the answers were taken.
        for (quota, at) in quotas.iter_mut().zip(0_usize..) {
            quota["in_use"] = answer["quotas"][at]["in_use"].clone();
        }
        // Newer versions also have the rows of Trove for what is not counted here.
        let all = answer["quotas"].as_array().unwrap();
        let uncounted = |row: &&Value| ["ram", "volumes"].iter().any(|it| row["resource"] == *it);
        quotas.extend(all.iter().filter(uncounted).cloned());
    }
    assert_eq!(answer, &then, "{path}");
}

/// What was asked for or begun when the old version stopped.
fn assert_unfinished_work_ends(client: &Client) {
    let by_name = |name: &str| {
        let rows = client.all("backups", "backups");
        rows.into_iter().find(|row| row["name"] == name)
    };
    for name in ["drill to make", "drill begun"] {
        let row = wait_until(name, || {
            by_name(name).filter(|row| row["next_drill"].is_null() && !row["drill"].is_null())
        });
        assert_eq!(
            (&row["drill"]["status"], &row["drill"]["rows"]),
            (&json!("passed"), &json!(200))
        );
    }
    let cut = by_name("cut short").unwrap();
    assert_eq!(
        (&cut["status"], &cut["failure"]["code"]),
        (&json!("FAILED"), &json!("interrupted"))
    );
    wait_until("the registration to fail", || {
        by_name("to register").filter(|row| row["status"] == "FAILED")
    });
    wait_until("the removal", || by_name("not removed").is_none().then_some(()));
    let id = "00000000-0000-7000-8000-000000000011";
    client.wait_for_instance(id, &["ACTIVE"]);
    let id = "00000000-0000-7000-8000-000000000012";
    client.wait_for_instance(id, &["ERROR"]);
}
