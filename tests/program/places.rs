//! Places whose disk is away, that leave the configuration, or get another name: what is said, and what is done about it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Builder, TestServer, id_of, stderr_of, wait_until, write_file};

/// A server whose older backup lies in the place alone, and whose newer one lies here, too.
struct Left {
    /// Ends before its folders go.
    server: TestServer,
    folder: TempDir,
    old: Value,
}

fn database(folder: &Path) -> PathBuf {
    let path = folder.join("shop.db");
    let rows = "CREATE TABLE row(data BLOB); INSERT INTO row VALUES (randomblob(3000));";
    Connection::open(&path).unwrap().execute_batch(rows).unwrap();
    path
}

/// The configuration of a place that keeps copies for long.
fn place(name: &str, path: &Path) -> String {
    let path = path.display();
    format!(
        "[[places]]\nname = \"{name}\"\ntype = \"disk\"\npath = \"{path}\"\nsame_disk = true\nkeep = {{ last = 9 }}\n"
    )
}

fn builder(folder: &Path, place: &str) -> Builder {
    TestServer::builder()
        .instance_sqlite("shop", &database(folder))
        .toml("keep = { last = 1 }\ncopies = [\"nas\"]")
        .toml(place)
}

fn left(allowed: &[&str]) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("mount");
    std::fs::create_dir(&mount).unwrap();
    let builder = builder(folder.path(), &place("nas", &mount));
    let builder = allowed.iter().fold(builder, |builder, text| builder.allow_warning(text));
    let server = builder.start();
    let old = server.admin().full("shop");
    wait_for_copies(&server, &old, &["nas"]);
    let new = server.admin().full("shop");
    wait_for_copies(&server, &new, &["nas"]);
    let archive = crate::support::archive_of(&old);
    wait_until("the older archive to leave", || (!archive.exists()).then_some(()));
    Left { server, folder, old }
}

/// Waits until a backup has proven copies in these places and in no other one.
fn wait_for_copies(server: &TestServer, backup: &Value, places: &[&str]) {
    wait_until(&format!("copies in {places:?}"), || {
        let copies = server.admin().backup(id_of(backup))["copies"].take();
        let copies = copies.as_array().unwrap();
        let proven = copies.iter().all(|it| it["state"] == "proven");
        let names: Vec<_> = copies.iter().map(|it| it["place"].as_str().unwrap()).collect();
        (proven && names == places).then_some(())
    });
}

impl Left {
    fn mount(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// Replaces parts of the configuration, which SIGHUP takes over.
    fn configure(&self, changes: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.server.config()).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{text}");
            text = text.replace(from, to);
        }
        write_file(self.server.config(), text);
        let pid = i32::try_from(self.server.pid().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    }

    fn health(&self) -> Value {
        self.server.admin().get("health").with_status(200).json()["health"].take()
    }

    /// What is wrong, once it is of these kinds.
    fn wait_for_problems(&self, kinds: &[&str]) -> String {
        wait_until(&format!("problems {kinds:?}"), || {
            let health = self.health();
            let problems = health["problems"].as_array().unwrap();
            let found: Vec<_> = problems.iter().map(|it| it["kind"].as_str().unwrap()).collect();
            (found == kinds).then(|| health["problems"].to_string())
        })
    }

    fn said(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let ran = self.server.run(arguments);
        let out = String::from_utf8_lossy(&ran.stdout).into_owned();
        (ran.status.code(), format!("{out}{}", stderr_of(&ran)))
    }
}

#[test]
fn a_place_that_never_took_a_copy_is_said_beside_its_instance_with_the_last_error() {
    let folder = tempfile::tempdir().unwrap();
    let builder = builder(folder.path(), &place("nas", &folder.path().join("mount")));
    let server = builder.allow_warning("copying backup").start();
    server.admin().full("shop");
    let copies = wait_until("the first attempt", || {
        let health = server.admin().get("health").with_status(200).json()["health"].take();
        let copies = health["instances"][0]["copies"][0].clone();
        copies["last_error"].is_string().then_some(copies)
    });
    assert_eq!((&copies["proven"], &copies["missing"]), (&0.into(), &1.into()), "{copies}");
    let said = String::from_utf8_lossy(&server.run(&["status"]).stdout).into_owned();
    let line = format!(
        "shop: copy to nas waiting: last error: {}",
        copies["last_error"].as_str().unwrap()
    );
    assert!(said.contains(&line), "{said}");
    assert!(
        said.contains("\nSafe: ") && said.contains("1 instance without a copy so far"),
        "{said}"
    );
}

#[expect(clippy::disallowed_methods, reason = "a test's own folders")]
fn move_folder(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[test]
fn backups_on_a_disk_that_is_away_are_at_risk_and_not_missing_until_it_is_back() {
    let mut left = left(&["not the disk", "nas failed", "cannot be read now"]);
    let (mount, away) = (left.mount(), left.folder.path().join("away"));
    assert_eq!(left.said(&["status"]).0, Some(0), "{}", left.said(&["status"]).1);
    move_folder(&mount, &away);
    std::fs::create_dir(&mount).unwrap();
    left.server.terminate();
    // Without a server, the command looks itself.
    let (code, status) = left.said(&["status"]);
    assert_eq!(code, Some(7), "{status}");
    assert!(status.contains("1 of the backups of shop lie only in nas"), "{status}");
    assert!(status.contains("PLACE") && status.contains("CANNOT BE USED"), "{status}");
    left.server.restart();
    let problems = left.wait_for_problems(&["out_of_reach"]);
    assert!(problems.contains("not the disk that the first copy went to"), "{problems}");
    assert_eq!(left.health()["state"], "critical");
    assert_eq!(left.health()["instances"][0]["out_of_reach"], 1);
    let (code, status) = left.said(&["status"]);
    assert!(code == Some(7) && status.contains("2, 1 out of reach"), "{status}");
    let (_, doctor) = left.said(&["doctor"]);
    assert!(
        doctor.contains("PROBLEM   place nas") && doctor.contains("it has no data.id"),
        "{doctor}"
    );
    let path = format!("backups/{}/archive", id_of(&left.old));
    let (fault, message) = left.server.admin().get(&path).fault(503);
    assert_eq!(fault, "serviceUnavailable", "{message}");
    assert!(message.contains("cannot be used now"), "{message}");
    // A look at the archive does not take it for lost.
    let (code, verified) = left.said(&["verify", id_of(&left.old)]);
    assert!(code != Some(0) && verified.contains("is its disk mounted"), "{verified}");
    assert_eq!(left.server.admin().backup(id_of(&left.old))["failure"], Value::Null);
    assert_eq!(std::fs::read_dir(&mount).unwrap().count(), 0, "nothing was written there");
    let (code, refused) = left.said(&["catalog", "accept-loss"]);
    assert!(code == Some(0) && refused.contains("No archive is missing"), "{refused}");
    std::fs::remove_dir(&mount).unwrap();
    move_folder(&away, &mount);
    left.server.terminate();
    left.server.restart();
    left.wait_for_problems(&[]);
    let (code, refused) = left.said(&["catalog", "accept-loss", "--place", "nas"]);
    assert!(code == Some(1) && refused.contains("nothing there is lost"), "{refused}");
    assert_eq!(left.said(&["verify", id_of(&left.old)]).0, Some(0));
}

#[test]
fn a_place_that_leaves_the_configuration_is_named_everywhere_until_it_is_back_or_its_loss_accepted()
{
    let mut left = left(&["is no longer configured", "is not taken over"]);
    let place = place("nas", &left.mount());
    let with = "copies = [\"nas\"]";
    left.configure(&[(&place, "")]);
    // The instance names it still: that is refused, and all is as before.
    wait_until("the refusal", || left.server.log().text().contains("not taken over").then_some(()));
    left.configure(&[(with, "copies = []")]);
    let problems = left.wait_for_problems(&["out_of_reach", "place_not_configured"]);
    let what =
        "place nas is no longer configured; 2 backups have copies there, 1 have no other archive";
    assert!(problems.contains(what), "{problems}");
    assert!(left.server.log().text().contains(what), "{}", left.server.log().text());
    let (code, status) = left.said(&["status"]);
    assert!(code == Some(7) && status.contains("NOT IN THE CONFIGURATION"), "{status}");
    for command in [&["doctor"][..], &["catalog", "accept-loss"]] {
        let (_, said) = left.said(command);
        assert!(said.contains(what) && said.contains("accept-loss --place nas"), "{said}");
    }
    let (code, verified) = left.said(&["verify", id_of(&left.old)]);
    assert!(code != Some(0) && verified.contains("may lie in nas"), "{verified}");
    left.server.terminate();
    let (code, status) = left.said(&["status"]);
    assert!(code == Some(7) && status.contains(what), "{status}");
    left.server.restart();
    left.wait_for_problems(&["out_of_reach", "place_not_configured"]);
    // With another name it is the same disk, and nothing is copied twice.
    let renamed = format!("copies = [\"attic\"]\n{}", place.replace("nas", "attic"));
    left.configure(&[("copies = []", &renamed)]);
    left.wait_for_problems(&[]);
    wait_for_copies(&left.server, &left.old, &["attic"]);
    let listed = left.said(&["list"]).1;
    assert!(listed.contains("; 1 copy") && !listed.contains("2 copies"), "{listed}");
    assert_eq!(left.said(&["verify", id_of(&left.old)]).0, Some(0));
    // Lost for good.
    let attic = place.replace("nas", "attic");
    left.configure(&[(&attic, ""), ("copies = [\"attic\"]", "copies = []")]);
    left.wait_for_problems(&["out_of_reach", "place_not_configured"]);
    let (code, accepted) = left.said(&["catalog", "accept-loss", "--place", "attic"]);
    assert!(code == Some(0) && accepted.contains(id_of(&left.old)), "{accepted}");
    left.wait_for_problems(&["damaged"]);
    left.server.admin().delete(&format!("backups/{}", id_of(&left.old))).with_status(202);
    left.wait_for_problems(&[]);
    assert_eq!(left.said(&["status"]).0, Some(0), "{}", left.said(&["status"]).1);
}
