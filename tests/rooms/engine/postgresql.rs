//! The engine `postgresql`, on real servers.

#[path = "../../servers/postgres.rs"]
mod server;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use coffer::domain::{Cancel, CheckLevel, EntryKind, FailureCode, Source};
use coffer::engine::{
    DrillReport, DrillRequest, Engine, EngineError, LoadRequest, Owners, Placed, Target, find,
};
use serde_json::{Value, json};

use self::server::{Postgres, Setup, tools_replacing, write_program};
use super::conformance::{
    EngineTest, NOT_CANCELLED, Recorder, TestSource, code, dump, engine_conformance, names, pour,
    recording,
};

fn engine() -> &'static dyn Engine {
    find("postgresql").unwrap()
}

fn source(server: &Postgres, more: &Value) -> Source {
    let mut source = json!({"socket": server.folder(), "user": server::SUPERUSER});
    for (key, value) in more.as_object().unwrap() {
        source[key] = value.clone();
    }
    serde_json::from_value(source).unwrap()
}

/// Enough rows for several segments, with an index.
const ROWS: &str = "CREATE TABLE item(id int PRIMARY KEY, note text);
    INSERT INTO item SELECT n, repeat(md5(n::text), 6) FROM generate_series(1, 12000) n;";

fn rows(server: &Postgres) -> String {
    server.sql(
        "postgres",
        "SELECT count(*), sum(id), md5(string_agg(note, '' ORDER BY id)) FROM item",
    )
}

struct Physical;

impl EngineTest for Physical {
    fn engine() -> &'static dyn Engine {
        engine()
    }

    fn create(_folder: &Path) -> TestSource {
        let server = Postgres::new();
        server.sql("postgres", ROWS);
        server.sql("postgres", "CHECKPOINT");
        TestSource {
            source: source(&server, &json!({})),
            path: server.folder().to_owned(),
            server: Some(Box::new(server)),
        }
    }

    fn assert_same(original: &TestSource, restored: &Path) {
        let old = original.server.as_ref().unwrap().downcast_ref::<Postgres>().unwrap();
        let new = Postgres::on(&restored.join("pgdata"));
        assert_eq!(rows(&new), rows(old));
        assert_eq!(new.dump_all(), old.dump_all());
    }

    fn nowhere() -> Source {
        serde_json::from_value(json!({"socket": "/nowhere/at all"})).unwrap()
    }
}

struct Logical;

impl EngineTest for Logical {
    fn engine() -> &'static dyn Engine {
        engine()
    }

    fn create(_folder: &Path) -> TestSource {
        let server = Postgres::new();
        server.sql(
            "postgres",
            "CREATE ROLE \"a b\" LOGIN PASSWORD 'x'; CREATE DATABASE \"o/ö x\" OWNER \"a b\"",
        );
        server.sql("o/ö x", ROWS);
        TestSource {
            source: source(&server, &json!({"method": "logical"})),
            path: server.folder().to_owned(),
            server: Some(Box::new(server)),
        }
    }

    fn assert_same(original: &TestSource, restored: &Path) {
        let old = original.server.as_ref().unwrap().downcast_ref::<Postgres>().unwrap();
        let new = Postgres::on(&restored.join("pgdata"));
        assert_eq!(new.dump_all(), old.dump_all());
    }

    fn nowhere() -> Source {
        serde_json::from_value(json!({"socket": "/nowhere/at all", "method": "logical"})).unwrap()
    }
}

mod logical {
    // The size of a dump is not known in advance, so the rule about announced sizes is left out.
    super::engine_conformance! { super::Logical:
        a_restore_equals_the_source
        a_restore_passes_a_drill
        a_dump_ends_when_the_intake_stops_at_any_call
        dropping_an_unfinished_restore_leaves_nothing_behind
        a_restore_never_replaces_anything
        missing_and_invalid_sources_have_different_codes
        an_archive_with_an_unexpected_entry_is_refused
    }
}

mod physical {
    super::engine_conformance! { super::Physical }
}

/// Dumps the server and restores it to a folder of the test.
fn restore_copy(source: &Source, owners: Owners) -> tempfile::TempDir {
    let mut recorder = recording::<Physical>();
    dump(engine(), source, &mut recorder).unwrap();
    let place = tempfile::tempdir().unwrap();
    let opened = Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path(), opened).unwrap();
    let request = LoadRequest {
        target: Target::Path(&place.path().join("restored")),
        source: Some(source),
        owners,
        cancel: &NOT_CANCELLED,
    };
    let mut load = engine().load(&request).unwrap();
    pour(&recorder, load.as_mut()).unwrap();
    load.finish(CheckLevel::Quick).unwrap().place(&mut Vec::new()).unwrap();
    place
}

fn drill(place: &Path, source: &Source) -> Result<DrillReport, EngineError> {
    drill_until(place, source, &NOT_CANCELLED)
}

fn drill_until(place: &Path, source: &Source, cancel: &Cancel) -> Result<DrillReport, EngineError> {
    let scratch = tempfile::tempdir().unwrap();
    let (restored, scratch) = (&place.join("restored"), scratch.path());
    let report = engine().drill(&DrillRequest { restored, source: Some(source), scratch, cancel });
    assert_eq!(names(scratch), [""; 0], "the drill left something");
    report
}

/// Several databases, tablespaces, and settings that make a restored server hard to start.
fn odd_server(checksums: bool) -> Postgres {
    let server = Postgres::with(&Setup { checksums, ..Setup::default() });
    for name in ["fast", "slow"] {
        let folder = server.tablespace_folder(name);
        server
            .sql("postgres", &format!("CREATE TABLESPACE {name} LOCATION '{}'", folder.display()));
    }
    server.sql("postgres", "CREATE DATABASE shop TABLESPACE slow; CREATE DATABASE empty;");
    server.sql(
        "shop",
        "CREATE TABLE kept(id int PRIMARY KEY, t text) TABLESPACE fast;
         INSERT INTO kept SELECT n, 'row ' || n FROM generate_series(1, 3000) n;
         CREATE UNLOGGED TABLE fleeting(id int);
         INSERT INTO fleeting SELECT generate_series(1, 10);
         CREATE TABLE parted(id int NOT NULL) PARTITION BY RANGE (id);
         CREATE TABLE \"Part\"\"1\" PARTITION OF parted FOR VALUES FROM (0) TO (100);
         CREATE INDEX ON parted (id DESC NULLS FIRST);
         INSERT INTO parted SELECT generate_series(0, 49);
         SELECT lo_from_bytea(4711, decode(repeat('ab', 9000), 'hex'));
         ALTER DATABASE shop SET statement_timeout = '1ms';",
    );
    server.sql("postgres", "ALTER SYSTEM SET shared_preload_libraries = 'not_there'");
    server
}

#[test]
fn tablespaces_are_restored_and_linked_to_their_copies() {
    for checksums in [true, false] {
        let server = odd_server(checksums);
        let source = source(&server, &json!({}));
        let place = restore_copy(&source, Owners::CurrentUser);
        let restored = place.path().join("restored");
        assert_eq!(names(&restored), ["cluster.json", "pgdata", "tablespaces"]);
        let links = restored.join("pgdata/pg_tblspc");
        assert_eq!(names(&links).len(), 2);
        for oid in names(&links) {
            let to = std::fs::read_link(links.join(&oid)).unwrap();
            assert_eq!(to, restored.join("tablespaces").join(oid));
        }
        assert!(!restored.join("pgdata/tablespace_map").exists());
        let report = drill(place.path(), &source).unwrap();
        assert_eq!(report.rows["shop.public.kept"], 3000);
        assert_eq!(report.rows["shop.public.fleeting"], 0);
        assert_eq!(report.rows["shop.public.Part\"1"], 50);
        assert!(report.check.contains("pg_amcheck"), "{report:?}");
        let again = Postgres::on(&restored.join("pgdata"));
        assert_eq!(
            again.sql("postgres", "SHOW data_checksums"),
            if checksums { "on\n" } else { "off\n" }
        );
        let object = "SELECT length(lo_get(4711))";
        assert_eq!(again.sql("shop", &format!("SET statement_timeout = 0; {object}")), "9000\n");
        // The original's tablespaces are untouched, and a backup of the copy holds its own.
        assert_eq!(
            server.sql("shop", "SET statement_timeout = 0; SELECT count(*) FROM fleeting"),
            "10\n"
        );
        let third = restore_copy(&self::source(&again, &json!({})), Owners::CurrentUser);
        let tables = third.path().join("restored/tablespaces");
        assert!(names(&tables).iter().all(|oid| !names(&tables.join(oid)).is_empty()));
    }
}

#[test]
fn the_links_to_tablespaces_in_an_archive_are_relative() {
    let server = odd_server(false);
    let mut recorder = recording::<Physical>();
    dump(engine(), &source(&server, &json!({})), &mut recorder).unwrap();
    let first: Vec<String> = recorder.paths().into_iter().take(4).collect();
    assert_eq!(first, ["", "cluster.json", "pgdata", "tablespaces"]);
    let links = recorder.members.iter().filter_map(|(entry, _)| match &entry.kind {
        EntryKind::Symlink { target } => Some((entry.path.to_string(), target.clone())),
        _ => None,
    });
    let links: Vec<_> = links.collect();
    assert_eq!(links.len(), 2);
    for (path, target) in links {
        let oid = path.strip_prefix("pgdata/pg_tblspc/").unwrap();
        assert_eq!(target, format!("../../tablespaces/{oid}").into_bytes());
    }
}

/// A server without page checksums whose file of `relation` was damaged while it was stopped.
fn damaged(relation: &str, damage: impl Fn(&mut Vec<u8>)) -> Postgres {
    let mut server = Postgres::with(&Setup { checksums: false, ..Setup::default() });
    server.sql("postgres", ROWS);
    server.sql("postgres", "VACUUM item");
    let name = server.sql("postgres", &format!("SELECT pg_relation_filepath('{relation}')"));
    let path = server.data().join(name.trim());
    server.stop();
    let mut content = std::fs::read(&path).unwrap();
    damage(&mut content);
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&path, content).unwrap();
    server.start();
    server
}

#[test]
fn a_drill_finds_a_damaged_index_page_and_a_truncated_table_and_names_them() {
    let overwrite = |content: &mut Vec<u8>| content[3 * 8192 + 4000..3 * 8192 + 8000].fill(7);
    let cut = |content: &mut Vec<u8>| content.truncate(content.len() / 8192 / 2 * 8192);
    let empty = |content: &mut Vec<u8>| content[8 * 8192..10 * 8192].fill(0);
    for (server, words) in [
        (damaged("item_pkey", overwrite), "item_pkey"),
        (damaged("item", empty), "its index leads to 12000"),
        (damaged("item", cut), "postgres.public.item"),
        (damaged("pg_class", |content| content.fill(7)), "invalid page"),
    ] {
        let source = source(&server, &json!({"database": "template1"}));
        let failed = drill(restore_copy(&source, Owners::CurrentUser).path(), &source);
        let said = failed.as_ref().unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
        assert_eq!(code(failed), FailureCode::ArchiveDamaged);
    }
}

#[test]
fn a_server_with_checksums_refuses_to_send_a_damaged_page() {
    let mut server = Postgres::new();
    server.sql("postgres", ROWS);
    let name = server.sql("postgres", "SELECT pg_relation_filepath('item')");
    let path = server.data().join(name.trim());
    server.stop();
    let mut content = std::fs::read(&path).unwrap();
    content[9000] ^= 1;
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&path, content).unwrap();
    server.start();
    let mut recorder = recording::<Physical>();
    let failed = dump(engine(), &source(&server, &json!({})), &mut recorder);
    let said = failed.as_ref().unwrap_err().to_string();
    assert!(said.contains(name.trim()), "{said}");
    assert_eq!(code(failed), FailureCode::SourceDamaged);
}

#[test]
fn a_drill_without_a_server_of_its_version_names_the_package() {
    let server = Postgres::new();
    let source = source(&server, &json!({}));
    let place = restore_copy(&source, Owners::CurrentUser);
    let tools = tempfile::tempdir().unwrap();
    let elsewhere = serde_json::from_value(json!({"user": "u", "tools": tools.path()})).unwrap();
    let failed = drill(place.path(), &elsewhere);
    let said = failed.as_ref().unwrap_err().to_string();
    assert!(said.contains("apt install postgresql-"), "{said}");
    assert_eq!(code(failed), FailureCode::Tool);
}

#[test]
fn a_drill_whose_psql_is_missing_or_cannot_start_fails_at_once_and_not_as_damage() {
    let server = Postgres::new();
    let place = restore_copy(&source(&server, &json!({})), Owners::CurrentUser);
    for (script, word) in [(None, "postgresql-client"), (Some("#!/nowhere/sh\n"), "cannot be run")]
    {
        let tools = tools_replacing("psql", "");
        let psql = tools.path().join("psql");
        match script {
            None => std::fs::remove_file(&psql).unwrap(),
            Some(script) => write_program(&psql, script),
        }
        let began = Instant::now();
        let failed = drill(place.path(), &source(&server, &json!({"tools": tools.path()})));
        assert!(began.elapsed() < Duration::from_secs(60));
        let said = failed.as_ref().unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
        assert_eq!(code(failed), FailureCode::Tool, "{said}");
    }
}

/// A tool that reports something, notes that it was started, and does not end.
const ENDLESS: &str = "echo 'something is wrong'; touch \"${0%/*}/started\"; exec sleep 600";

/// Cancels `work` once the [`ENDLESS`] tool in `tools` was started.
fn cancelled<T>(tools: &Path, work: impl FnOnce(&Cancel) -> T) -> T {
    let (cancel, began) = (Cancel::default(), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !tools.join("started").exists() {
                assert!(began.elapsed() < Duration::from_secs(300), "the tool was not started");
                server::pause();
            }
            cancel.cancel();
        });
        work(&cancel)
    })
}

#[test]
fn a_cancelled_pg_amcheck_is_not_called_damage() {
    let server = Postgres::new();
    let place = restore_copy(&source(&server, &json!({})), Owners::CurrentUser);
    let tools = tools_replacing("pg_amcheck", ENDLESS);
    let source = source(&server, &json!({"tools": tools.path()}));
    let ended = cancelled(tools.path(), |cancel| drill_until(place.path(), &source, cancel));
    assert!(matches!(ended, Err(EngineError::Cancelled)), "{ended:?}");
}

#[test]
fn a_cancelled_check_of_dumps_is_not_called_damage() {
    let server = Postgres::new();
    let logical = source(&server, &json!({"method": "logical"}));
    let mut recorder = recording::<Physical>();
    dump(engine(), &logical, &mut recorder).unwrap();
    let tools = tools_replacing("pg_restore", ENDLESS);
    let source = source(&server, &json!({"method": "logical", "tools": tools.path()}));
    let ended = cancelled(tools.path(), |cancel| {
        let request = LoadRequest {
            target: Target::Server { source: &source, within: tools.path() },
            source: None,
            owners: Owners::FromArchive,
            cancel,
        };
        let mut load = engine().load(&request).unwrap();
        pour(&recorder, load.as_mut()).unwrap();
        load.finish(CheckLevel::Full).map(drop)
    });
    assert!(matches!(ended, Err(EngineError::Cancelled)), "{ended:?}");
}

/// Restores what was recorded into a running server.
fn into(server: &Postgres, recorder: &Recorder) -> Result<Placed, EngineError> {
    let source = source(server, &json!({"method": "logical"}));
    let place = tempfile::tempdir().unwrap();
    let target = Target::Server { source: &source, within: place.path() };
    let request =
        LoadRequest { target, source: None, owners: Owners::FromArchive, cancel: &NOT_CANCELLED };
    let mut load = engine().load(&request)?;
    pour(recorder, load.as_mut())?;
    load.finish(CheckLevel::Full)?.place(&mut Vec::new())
}

#[test]
fn dumps_are_restored_into_a_running_server_completely_or_not_at_all() {
    let server = Postgres::new();
    server
        .sql("postgres", "CREATE ROLE owner; CREATE DATABASE one OWNER owner; CREATE DATABASE two");
    server.sql("one", ROWS);
    server.sql("two", "CREATE TABLE t(x int); INSERT INTO t VALUES (1)");
    let source = source(&server, &json!({"method": "logical"}));
    let mut recorder = recording::<Physical>();
    dump(engine(), &source, &mut recorder).unwrap();
    let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database";

    let fresh = Postgres::new();
    let Placed::In(place) = into(&fresh, &recorder).unwrap() else { panic!("not in a server") };
    assert!(place.contains("one, two"), "{place}");
    assert_eq!(fresh.dump_all(), server.dump_all());
    assert_eq!(code(into(&fresh, &recorder)), FailureCode::TargetOccupied);

    // The second database cannot be created there: the first one and the role are dropped again.
    let unfit = Postgres::new();
    unfit.sql("postgres", "CREATE DATABASE two");
    assert_eq!(code(into(&unfit, &recorder)), FailureCode::TargetOccupied);
    assert_eq!(unfit.sql("postgres", databases), "postgres template0 template1 two\n");

    let broken = Postgres::new();
    let mut cut = recorder;
    let dumped = cut.members.iter_mut().find(|(it, _)| it.path.as_bytes().ends_with(b"two.dump"));
    let (_, content) = dumped.unwrap();
    let statement = b"CREATE DATABASE two";
    let at = content.windows(statement.len()).position(|it| it == statement).unwrap();
    content[at..at + 8].copy_from_slice(b"CREATE Q");
    assert!(into(&broken, &cut).is_err());
    assert_eq!(broken.sql("postgres", databases), "postgres template0 template1\n");
    assert_eq!(
        broken.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'owner'"),
        "0\n"
    );
}

#[test]
fn a_statement_that_the_server_refuses_is_named_and_everything_else_is_restored() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE TABLE odd(x int); CREATE TABLE t AS SELECT generate_series(1, 7) x",
    );
    let mut recorder = recording::<Physical>();
    dump(engine(), &source(&server, &json!({"method": "logical"})), &mut recorder).unwrap();
    let dumped = recorder.members.iter_mut();
    let (_, content) =
        dumped.into_iter().find(|(it, _)| it.path.as_bytes().ends_with(b"postgres.dump")).unwrap();
    let statement = b"CREATE TABLE public.odd";
    let at = content.windows(statement.len()).position(|it| it == statement).unwrap();
    content[at..at + 8].copy_from_slice(b"CREATE Q");
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let target = folder.path().join("again");
    let request = LoadRequest {
        target: Target::Path(&target),
        source: None,
        owners: Owners::CurrentUser,
        cancel: &NOT_CANCELLED,
    };
    let mut load = engine().load(&request).unwrap();
    pour(&recorder, load.as_mut()).unwrap();
    let mut left_out = Vec::new();
    load.finish(CheckLevel::Full).unwrap().place(&mut left_out).unwrap();
    let named: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    assert!(
        named
            .iter()
            .any(|it| it.contains("public.odd in database postgres: ") && it.contains("CREATE Q")),
        "{named:?}"
    );
    let restored = Postgres::on(&target.join("pgdata"));
    assert_eq!(restored.sql("postgres", "SELECT count(*) FROM t"), "7\n");
}

#[test]
fn a_script_of_roles_cannot_run_commands_on_this_machine() {
    let server = Postgres::new();
    let mut recorder = recording::<Physical>();
    dump(engine(), &source(&server, &json!({"method": "logical"})), &mut recorder).unwrap();
    let mark = server.folder().join("mark");
    let (entry, content) = recorder
        .members
        .iter_mut()
        .find(|(entry, _)| entry.path.as_bytes() == b"roles.sql")
        .unwrap();
    *content = format!("SELECT 1 \\! touch {}\n", mark.display()).into_bytes();
    entry.kind = EntryKind::File { size: content.len().try_into().unwrap(), extents: None };
    // No statement about a role, so it is passed over or refused; everything else is restored.
    into(&Postgres::new(), &recorder).unwrap();
    assert!(!mark.exists());
}
