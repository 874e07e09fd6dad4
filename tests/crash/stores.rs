//! Copies to stores and their removal there, cut short between every two steps. The archives are of several parts.

use std::path::Path;

use rstest::rstest;
use rusqlite::Connection;
use serde_json::json;

use super::s3::{KEYS, S3Server};
use super::support::{TestServer, id_of, wait_until};
use super::swift::{LOGIN, SwiftServer};
use super::{Fixture, content, make_database};

/// More than a part.
const MORE: &str = "INSERT INTO row VALUES (5001, 'large', randomblob(9 << 20))";
/// What an archive of it is made of.
const PARTS: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Bucket,
    Container,
}

enum Store {
    Bucket(S3Server),
    Container(SwiftServer),
}

impl Store {
    fn start(kind: Kind) -> Self {
        match kind {
            Kind::Bucket => {
                let server = S3Server::start();
                server.make_bucket("backups");
                Self::Bucket(server)
            }
            Kind::Container => {
                let server = SwiftServer::start();
                server.make_container("backups");
                Self::Container(server)
            }
        }
    }

    fn keys(&self) -> String {
        match self {
            Self::Bucket(server) => {
                format!("type = \"s3\"\nendpoint = \"{}\"\nbucket = \"backups\"\n", server.base())
            }
            Self::Container(server) => {
                let url = server.auth_url();
                format!("type = \"swift\"\nauth_url = \"{url}\"\ncontainer = \"backups\"\n")
            }
        }
    }

    fn fixture(&self) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        make_database(&database);
        Connection::open(&database).unwrap().execute_batch(MORE).unwrap();
        let builder = TestServer::builder()
            .instance_sqlite("shop", &database)
            .toml("copies = [\"offsite\"]")
            .toml(&format!("[[places]]\nname = \"offsite\"\nprefix = \"shop-1\"\n{}", self.keys()))
            .setting("storage.trash_window_s", "0");
        let keys = KEYS.iter().chain(&LOGIN);
        let builder = keys.fold(builder, |builder, (name, value)| builder.env(name, value));
        Fixture { server: builder.start(), database, _folder: folder }
    }

    /// Fails unless this many archives lie there, and nothing that is part of none.
    fn assert_holds(&self, archives: usize) {
        match self {
            Self::Bucket(server) => assert_eq!(server.unfinished_uploads("backups"), 0),
            Self::Container(server) => {
                let objects = server.objects("backups");
                let count = |part: &str| objects.iter().filter(|it| it.contains(part)).count();
                let found = (count("/archives/"), count("/segments/"), count("/uploads/"));
                assert_eq!(found, (archives, archives * PARTS, 0), "{objects:?}");
            }
        }
    }
}

fn rows(data_dir: &Path, sql: &str) -> i64 {
    let db = Connection::open(data_dir.join("catalog.db")).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

impl Fixture {
    fn wait_for_proven(&self, count: i64) {
        let sql = "SELECT count(*) FROM copies WHERE state = 'proven'";
        wait_until("the copies", || (rows(self.server.data_dir(), sql) == count).then_some(()));
    }

    /// Every backup is verified where it was copied to.
    fn assert_copied(&self) {
        for backup in self.backups() {
            self.server.run_ok(&["verify", "--from", "offsite", id_of(&backup)]);
        }
    }
}

#[rstest]
fn a_copy_to_a_store_that_is_cut_short_is_made_once_and_proven_after_the_next_start(
    #[values(
        "copy-after-begin",
        "copy-after-part",
        "copy-after-commit",
        "copy-before-proof",
        "copy-before-settle"
    )]
    point: &str,
    #[values(Kind::Bucket, Kind::Container)] kind: Kind,
) {
    let store = Store::start(kind);
    let mut fixture = store.fixture();
    let expected = content(&fixture.database);
    fixture.set_failpoint(point);
    let instance = fixture.client().instance_id("shop");
    let body = json!({"backup": {"name": "cut", "instance": instance, "incremental": 0}});
    fixture.crash_by("POST", "backups", Some(&body));
    fixture.wait_for_proven(1);
    store.assert_holds(1);
    fixture.assert_copied();
    // What had arrived is not sent again.
    let log = fixture.server.log().text();
    let sent = log.rsplit(" is copied to offsite: ").next().unwrap().split(' ').next().unwrap();
    let sent: u64 = sent.parse().unwrap();
    match point {
        "copy-after-begin" => assert!(sent > 9 << 20, "all of it: {sent}"),
        "copy-after-part" => assert!((1..2 << 20).contains(&sent), "the second part: {sent}"),
        _ => assert_eq!(sent, 0),
    }
    fixture.assert_in_order(&[("cut".into(), expected)]);
}

#[rstest]
fn a_removal_in_a_store_that_is_cut_short_is_finished_after_the_next_start(
    #[values("copy-before-remove", "copy-removed")] point: &str,
    #[values(Kind::Bucket, Kind::Container)] kind: Kind,
) {
    let store = Store::start(kind);
    let mut fixture = store.fixture();
    let first = fixture.make("first", 0);
    fixture.make("kept", 0);
    let kept = content(&fixture.database);
    fixture.wait_for_proven(2);
    fixture.set_failpoint(point);
    fixture.crash_by("DELETE", &format!("backups/{}", id_of(&first)), None);
    wait_until("the copy to be removed and forgotten", || {
        (rows(fixture.server.data_dir(), "SELECT count(*) FROM copies") == 1).then_some(())
    });
    store.assert_holds(1);
    let listed = fixture.server.run_ok(&["list", "--from", "offsite", "--json"]).stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1, "{listed:#}");
    fixture.assert_copied();
    fixture.assert_in_order(&[("kept".into(), kept)]);
}
