//! Drills with a real server.

use std::path::Path;

use coffer::domain::{CheckLevel, FailureCode};
use coffer::engine::{DrillReport, DrillRequest, EngineError};

use super::super::conformance::{NOT_CANCELLED, Recorder, dump, load_to, names, pour};
use super::server::{RedisServer, tools_replacing};
use super::{engine, of};

const SNAPSHOT: &str = "dump.rdb";

const LIBRARY: &str = "#!lua name=tests\nredis.register_function('one', function() return 1 end)";

/// The snapshot of a small server with two databases and a function, restored to `target`.
fn restored(target: &Path) {
    let server = RedisServer::start();
    let mut connection = server.connect();
    for number in 0..12_000 {
        connection.send(&["SET", &format!("key\n{number}"), &"v".repeat(number % 50)]);
    }
    for _ in 0..12_000 {
        connection.receive();
    }
    connection.run(&["FUNCTION", "LOAD", LIBRARY]);
    connection.run(&["SELECT", "5"]);
    connection.run(&["RPUSH", "list", "a", "b"]);
    let mut recorder = Recorder::default();
    dump(engine(), &of(&server), &mut recorder).unwrap();
    let mut load = load_to(engine(), target).unwrap();
    pour(&recorder, load.as_mut()).unwrap();
    load.finish(CheckLevel::Off).unwrap().place(&mut Vec::new()).unwrap();
}

fn drilled(target: &Path, tools: Option<&Path>) -> Result<DrillReport, EngineError> {
    let scratch = tempfile::tempdir().unwrap();
    let source = tools.map(|tools| {
        serde_json::from_value(serde_json::json!({"socket": "/s", "tools": tools})).unwrap()
    });
    engine().drill(&DrillRequest {
        restored: target,
        source: source.as_ref(),
        scratch: scratch.path(),
        cancel: &NOT_CANCELLED,
    })
}

#[test]
fn a_drill_counts_keys_and_functions_in_a_folder_with_a_path_of_any_length() {
    let place = tempfile::tempdir().unwrap();
    let deep = place.path().join("a".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    let target = deep.join("restored");
    restored(&target);
    let report = drilled(&target, None).unwrap();
    let rows: Vec<_> = report.rows.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
    assert_eq!(rows, [("db0", 12_000), ("db5", 1), ("functions", 1)]);
    assert_eq!((report.tables, report.total_rows), (3, 12_002));
    assert!(report.check.contains("DUMP"), "{report:?}");
}

#[test]
fn a_drill_finds_damage_with_and_without_the_checking_tool() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("restored");
    restored(&target);
    let snapshot = target.join(SNAPSHOT);
    let whole = std::fs::read(&snapshot).unwrap();
    // What a server says depends on what the bit is part of.
    let flipped = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        bytes
    };
    let mut all: Vec<Vec<u8>> = (1..8).map(|part| flipped(whole.len() * part / 8)).collect();
    all.push(whole[..whole.len() / 2].to_vec());
    let without = tools_replacing("redis-check-rdb", "exit 1");
    std::fs::remove_file(without.path().join("redis-check-rdb")).unwrap();
    for bytes in all {
        for tools in [None, Some(without.path())] {
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            std::fs::write(&snapshot, &bytes).unwrap();
            let failure = drilled(&target, tools).unwrap_err().failure().unwrap();
            assert_eq!(failure.code, FailureCode::ArchiveDamaged, "{failure}");
            assert!(failure.message.contains("snapshot is damaged"), "{failure}");
            assert!(failure.message.to_lowercase().contains("rdb"), "{failure}");
        }
    }
}

#[test]
fn a_drill_without_a_server_program_names_the_package() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("restored");
    restored(&target);
    let tools = tempfile::tempdir().unwrap();
    let failure = drilled(&target, Some(tools.path())).unwrap_err().failure().unwrap();
    assert_eq!(failure.code, FailureCode::Tool);
    assert!(failure.message.contains("apt install redis-server"), "{failure}");
    assert_eq!(names(&target), [SNAPSHOT]);
}
