//! The newest backup, restored into a database of a server again and again.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};

use rustix::process::Signal;

use super::fixture::{NAME, source, tools_replacing};
use super::postgres::Postgres;
use crate::support::{Builder, Disk, MONTHLY, TestServer, stderr_of, wait_until, write_file};

struct Fixture {
    // Ends first: without its source it would warn.
    coffer: TestServer,
    shop: Postgres,
    stage: Postgres,
}

impl Fixture {
    /// A shop of which the database `shop` is refreshed as `shop_staging` in another server, with further keys of that.
    fn with(more: &str) -> Self {
        Self::built(more, |it| it)
    }

    fn built(more: &str, build: impl FnOnce(Builder) -> Builder) -> Self {
        let (shop, stage) = (Postgres::new(), Postgres::new());
        shop.sql("postgres", "CREATE ROLE clerk; CREATE DATABASE shop OWNER clerk");
        shop.sql(
            "shop",
            "CREATE TABLE item(id int PRIMARY KEY, t text); ALTER TABLE item OWNER TO clerk;
             INSERT INTO item SELECT n, 'first' FROM generate_series(1, 500) n;
             CREATE VIEW few AS SELECT * FROM item WHERE id < 5;
             COMMENT ON DATABASE shop IS 'of the shop'",
        );
        stage.sql("postgres", "CREATE ROLE stager LOGIN CREATEDB; CREATE ROLE tester LOGIN");
        stage.sql("postgres", "GRANT stager TO tester; CREATE DATABASE others");
        let keys = "method = \"logical\", databases = [\"shop\"]";
        let staging = source(&stage, &format!("user = \"stager\"{more}"));
        let builder = TestServer::builder()
            .instance_of(NAME, "postgresql", &source(&shop, keys), "quick")
            .toml(&format!(
                "timezone = \"UTC\"\n[instances.staging]\nserver = {staging}\n\
                 database = \"shop_staging\"\nschedule = \"{MONTHLY}\""
            ));
        Self { coffer: build(builder).start(), shop, stage }
    }

    /// Backs up, lets forty days pass, and waits until the restores into staging have ended like this.
    #[track_caller]
    fn refresh(&mut self, expected: &[&str]) {
        self.coffer.admin().full(NAME);
        self.forty_days_later(expected);
    }

    #[track_caller]
    fn forty_days_later(&mut self, expected: &[&str]) {
        self.coffer.forty_days_later();
        self.coffer.wait_for_stagings(expected);
    }

    #[track_caller]
    fn assert_stage_has(&self, rows: &str) {
        let count = "SELECT min(t), count(*) FROM item";
        assert_eq!(self.stage.sql("shop_staging", count), format!("{rows}\n"));
        assert_eq!(self.databases(), "others postgres shop_staging template0 template1\n");
    }

    /// The databases of the server that is refreshed.
    fn databases(&self) -> String {
        let names = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database";
        self.stage.sql("postgres", names)
    }

    /// Somebody who is connected to what is replaced.
    fn session_of(&self, role: &str) -> Session {
        let mut open = self.stage.command("psql");
        open.env("PGUSER", role).args(["-Xc", "SELECT pg_sleep(600)", "shop_staging"]);
        let open = Session(open.stderr(Stdio::null()).spawn().unwrap());
        let busy = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND usename = '{role}' \
             AND datname = 'shop_staging'"
        );
        wait_until("the session", || (self.stage.sql("postgres", &busy) == "1\n").then_some(()));
        open
    }
}

struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

#[test]
fn the_newest_backup_replaces_a_database_of_a_server_also_while_it_is_used() {
    let mut fixture = Fixture::with("");
    fixture.refresh(&["done"]);
    fixture.assert_stage_has("first|500");
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'item'";
    assert_eq!(fixture.stage.sql("shop_staging", owner), "stager\n");
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname = 'clerk'";
    assert_eq!(fixture.stage.sql("postgres", roles), "0\n", "no role is made there");
    // As whom the tests of the staging system connect.
    let mut tester = fixture.stage.command("psql");
    tester.env("PGUSER", "tester");
    tester.stdout(Stdio::null());
    assert!(
        tester
            .args(["-XAtc", "SELECT count(*) FROM few", "shop_staging"])
            .status()
            .unwrap()
            .success()
    );

    // Somebody writes there, and stays connected.
    fixture.stage.sql("shop_staging", "UPDATE item SET t = 'by staging'");
    let mut open = fixture.session_of("tester");
    fixture.shop.sql("shop", "UPDATE item SET t = 'second'; DELETE FROM item WHERE id = 500");
    fixture.coffer.allow_warning("run GRANT pg_signal_backend TO");
    fixture.refresh(&["done", "failed"]);
    fixture.assert_stage_has("by staging|500");
    fixture.stage.sql("postgres", "GRANT pg_signal_backend TO stager");
    fixture.forty_days_later(&["done", "failed", "done"]);
    fixture.assert_stage_has("second|499");
    assert!(!open.0.wait().unwrap().success(), "its session was ended");

    let output = fixture.coffer.run_ok(&["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = found["findings"].as_array().unwrap();
    let own = all.iter().find(|it| it["check"] == format!("staging of {NAME}")).unwrap();
    assert!(own["found"].as_str().unwrap().contains("shop_staging"), "{own:#}");
}

#[test]
fn while_a_superuser_uses_the_database_it_is_not_replaced_and_the_reason_names_him() {
    let flag = tempfile::tempdir().unwrap();
    let file = flag.path().join("in-use");
    // Once, a client was quicker: so says the server in its own language.
    let script = format!(
        "case \"$*\" in *\"RENAME TO\"*) if [ -e {file:?} ]; then rm {file:?}; \
         echo 'FEHLER:  55006: auf Datenbank wird von anderen Benutzern zugegriffen' >&2; exit 1; fi;; esac; real \"$@\""
    );
    let tools = tools_replacing("psql", &script);
    let mut fixture = Fixture::with(&format!(", tools = {:?}", tools.path()));
    fixture.stage.sql("postgres", "GRANT pg_signal_backend TO stager");
    fixture.refresh(&["done"]);
    fixture.shop.sql("shop", "UPDATE item SET t = 'second'");
    let open = fixture.session_of("postgres");
    fixture.coffer.allow_warning(
        "is used by postgres, and the role stager may not end these sessions; only a superuser",
    );
    fixture.refresh(&["done", "failed"]);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> pg_backend_pid()";
    fixture.stage.sql("postgres", end);
    drop(open);
    fixture.assert_stage_has("first|500");
    std::fs::File::create_new(&file).unwrap();
    fixture.forty_days_later(&["done", "failed", "done"]);
    assert!(!file.exists(), "the exchange was tried again");
    fixture.assert_stage_has("second|500");
}

#[test]
fn a_refresh_that_is_killed_between_load_and_exchange_leaves_the_earlier_database_and_is_made_again()
 {
    let flag = tempfile::tempdir().unwrap();
    let file = flag.path().join("kill");
    // The statement that exchanges the two kills Coffer, and the server gets none.
    let script = format!(
        "case \"$*\" in *\"RENAME TO\"*) if [ -e {file:?} ]; then kill -9 $PPID; exit 3; fi;; esac; real \"$@\""
    );
    let tools = tools_replacing("psql", &script);
    let mut fixture = Fixture::with(&format!(", tools = {:?}", tools.path()));
    fixture.refresh(&["done"]);
    fixture.shop.sql("shop", "UPDATE item SET t = 'second'");
    fixture.coffer.admin().full(NAME);
    std::fs::File::create_new(&file).unwrap();
    fixture.coffer.forty_days_later();
    let status = fixture.coffer.wait_for_exit();
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}");
    let left = "others postgres shop_staging shop_staging.coffer-new template0 template1\n";
    assert_eq!(fixture.databases(), left);
    let loaded = fixture.stage.sql("shop_staging.coffer-new", "SELECT min(t), count(*) FROM item");
    assert_eq!(loaded, "second|500\n");
    assert_eq!(fixture.stage.sql("shop_staging", "SELECT min(t) FROM item"), "first\n");

    std::fs::remove_file(&file).unwrap();
    fixture.coffer.restart();
    fixture.coffer.wait_for_stagings(&["done", "interrupted", "done"]);
    fixture.assert_stage_has("second|500");
}

#[test]
fn dumps_are_unpacked_where_room_for_them_was_asked_for() {
    let (data, temporary) = (Disk::mounted(64), Disk::mounted(2));
    let mut fixture = Fixture::built("", |it| {
        it.data_dir(&data.path().join("data"))
            .setting("storage.headroom_mib", "1")
            .env("TMPDIR", temporary.path().to_str().unwrap())
    });
    // Does not get smaller in a dump.
    let blobs = "CREATE EXTENSION pgcrypto; CREATE TABLE blob AS SELECT gen_random_bytes(1000) FROM generate_series(1, 9000)";
    fixture.shop.sql("shop", blobs);
    fixture.refresh(&["done"]);
    fixture.assert_stage_has("first|500");
    fixture.coffer.allow_warning("data/tmp");
    data.fill(8 << 20);
    fixture.forty_days_later(&["done", "failed"]);
    data.empty();
    fixture.forty_days_later(&["done", "failed", "done"]);
}

#[test]
fn a_database_that_coffer_did_not_put_there_is_not_replaced() {
    let mut fixture = Fixture::with("");
    let mine = "CREATE DATABASE shop_staging OWNER stager";
    fixture.stage.sql("postgres", mine);
    fixture.stage.sql("shop_staging", "CREATE TABLE item AS SELECT 'mine' AS t");
    fixture.coffer.allow_warning("did not put there");
    fixture.refresh(&["failed"]);
    fixture.assert_stage_has("mine|1");
    let output = fixture.coffer.run(&["doctor"]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("did not put there") && said.contains("RENAME TO"), "{said}");

    // Nor one that is another instance's, or was copied from one.
    fixture.stage.sql("postgres", "ALTER DATABASE shop_staging RENAME TO kept");
    fixture.stage.sql("postgres", "DROP DATABASE kept");
    fixture.forty_days_later(&["failed", "done"]);
    fixture.assert_stage_has("first|500");
    fixture.stage.sql(
        "postgres",
        "SELECT format('COMMENT ON DATABASE shop_staging IS %L', \
         replace(shobj_description(oid, 'pg_database'), 'instance ', 'instance 0')) \
         FROM pg_database WHERE datname = 'shop_staging' \\gexec",
    );
    fixture.stage.sql("shop_staging", "UPDATE item SET t = 'another'");
    fixture.forty_days_later(&["failed", "done", "failed"]);
    fixture.assert_stage_has("another|500");
}

#[test]
fn a_refresh_that_fails_leaves_the_earlier_database_and_one_that_died_is_swept() {
    // Fails in the middle of a dump while this file is there.
    let flag = tempfile::tempdir().unwrap();
    let file = flag.path().join("fail");
    let script = format!(
        "case \"$*\" in *--no-owner*) if [ -e {file:?} ]; then head -c 100 >/dev/null; exit 3; fi;; esac; real \"$@\""
    );
    let tools = tools_replacing("pg_restore", &script);
    let mut fixture = Fixture::with(&format!(", tools = {:?}", tools.path()));
    fixture.refresh(&["done"]);
    fixture.shop.sql("shop", "UPDATE item SET t = 'second'");
    std::fs::File::create_new(&file).unwrap();
    fixture.coffer.allow_warning("restoring backup");
    fixture.refresh(&["done", "failed"]);
    fixture.assert_stage_has("first|500");

    // What a process leaves that died: before it set the mark, and after the exchange.
    std::fs::remove_file(&file).unwrap();
    fixture.stage.sql("postgres", "CREATE DATABASE \"shop_staging.coffer-new\" OWNER stager");
    fixture.stage.sql(
        "postgres",
        "CREATE DATABASE \"shop_staging.coffer-old\" OWNER stager;
         SELECT format('COMMENT ON DATABASE %I IS %L', 'shop_staging.coffer-old', \
         shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = 'shop_staging' \\gexec",
    );
    fixture.forty_days_later(&["done", "failed", "done"]);
    fixture.assert_stage_has("second|500");
}

#[test]
fn what_cannot_be_refreshed_in_a_server_is_said_before_the_server_starts() {
    let mut fixture = Fixture::with("");
    fixture.coffer.terminate();
    let text = std::fs::read_to_string(fixture.coffer.config()).unwrap();
    for (from, to, said) in [
        (
            "method = \"logical\", databases = [\"shop\"]",
            "method = \"physical\"",
            "method = \"logical\"",
        ),
        (", databases = [\"shop\"]", "", "source.databases"),
        ("user = \"stager\"", "user = \"stager\", method = \"logical\"", "leave it out"),
        ("user = \"stager\"", "user = \"stager\", password = \"hunter2\"", "password_file"),
        ("database = \"shop_staging\"", "database = \"postgres\"", "name another one"),
        ("database = \"shop_staging\"\n", "", "staging.database"),
    ] {
        assert!(text.contains(from), "{text}");
        write_file(fixture.coffer.config(), text.replacen(from, to, 1));
        let output = fixture.coffer.run(&["serve"]);
        let error = stderr_of(&output);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(said) && !error.contains("hunter2"), "{said}: {error}");
    }
}
