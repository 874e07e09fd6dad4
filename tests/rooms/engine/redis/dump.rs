//! The conformance suite, and errors of dumps.

use std::path::Path;

use coffer::domain::{CheckLevel, FailureCode, Source};
use coffer::engine::{DumpRequest, Engine, EngineError, LoadRequest, Owners, Target};
use serde_json::json;

use super::super::conformance::{
    EngineTest, NOT_CANCELLED, Recorder, TestSource, code, dump, engine_conformance, load_to, pour,
};
use super::server::{RedisServer, Reply, tools_replacing};
use super::{engine, of};

struct Server;

impl EngineTest for Server {
    fn engine() -> &'static dyn Engine {
        engine()
    }

    /// Random values, whose sizes are about the same in memory and in a snapshot.
    fn create(_folder: &Path) -> TestSource {
        let server = RedisServer::start();
        let mut connection = server.connect();
        for number in 0..16_u32 {
            connection.run(&[b"SET".as_slice(), format!("key{number}").as_bytes(), &noise(number)]);
        }
        connection.run(&["SELECT", "3"]);
        connection.run(&["SET", "other", "value"]);
        let source = of(&server);
        TestSource { source, path: server.folder().to_owned(), server: Some(Box::new(server)) }
    }

    fn assert_same(original: &TestSource, restored: &Path) {
        let server = original.server.as_ref().unwrap().downcast_ref::<RedisServer>().unwrap();
        let again = RedisServer::on(restored);
        assert!(again.connect().contents() == server.connect().contents());
    }

    fn nowhere() -> Source {
        serde_json::from_value(json!({"socket": "/nowhere/at all"})).unwrap()
    }
}

engine_conformance!(Server);

/// A little less than a megabyte, the same for the same seed: the server's allocator rounds it up by almost
/// nothing.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed) + 0x9E37_79B9_7F4A_7C15;
    let words = (0..130_000).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}

fn dumped_by(name: &str, body: &str, check: CheckLevel) -> Result<Recorder, EngineError> {
    let server = RedisServer::start();
    server.connect().run(&["SET", "key", "a value that is long enough to be cut in two"]);
    let folder = tools_replacing(name, body);
    let mut source = of(&server);
    source.0.insert("tools".to_owned(), folder.path().to_str().unwrap().into());
    let scratch = tempfile::tempdir().unwrap();
    let request = DumpRequest {
        source: &source,
        instance_name: "cache",
        check,
        parent_check: None,
        scratch: scratch.path(),
        trust_stamps: true,
        cancel: &NOT_CANCELLED,
    };
    let mut recorder = Recorder::default();
    engine().dump(&request, &mut recorder).map(|_| recorder)
}

#[test]
fn a_stream_that_is_cut_off_fails_the_backup_whatever_the_tool_reports() {
    for cut in ["head -c 100", "head -c -41", "head -c -1", "head -c 0"] {
        let body = format!(
            "case \"$*\" in *--rdb*) /usr/bin/redis-cli \"$@\" | {cut};; *) exec /usr/bin/redis-cli \"$@\";; esac"
        );
        for check in [CheckLevel::Off, CheckLevel::Quick] {
            let failure = dumped_by("redis-cli", &body, check).unwrap_err().failure().unwrap();
            assert_eq!(failure.code, FailureCode::Tool, "{cut}: {failure}");
            assert!(failure.message.contains("incomplete snapshot"), "{failure}");
        }
    }
}

/// Changes a letter of the value in transit.
const FALSIFIED: &str = "case \"$*\" in *--rdb*) /usr/bin/redis-cli \"$@\" | \
    LC_ALL=C sed 's/value that is long/value thaT is long/';; *) exec /usr/bin/redis-cli \"$@\";; esac";

#[test]
fn only_the_check_finds_a_byte_that_changed_in_transit() {
    let failure =
        dumped_by("redis-cli", FALSIFIED, CheckLevel::Quick).unwrap_err().failure().unwrap();
    assert_eq!(failure.code, FailureCode::SourceDamaged);
    assert!(failure.message.contains("RDB CRC error"), "{failure}");

    let recorder = dumped_by("redis-cli", FALSIFIED, CheckLevel::Off).unwrap();
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("restored");
    let mut load = load_to(engine(), &target).unwrap();
    pour(&recorder, load.as_mut()).unwrap();
    let failure = load.finish(CheckLevel::Quick).err().unwrap().failure().unwrap();
    assert_eq!(failure.code, FailureCode::ArchiveDamaged);
    assert!(failure.message.contains("RDB CRC error") && !target.exists(), "{failure}");
}

#[test]
fn a_tool_that_fails_or_is_killed_fails_the_backup_with_its_last_words() {
    for (end, words) in [("exit 3", "exit status: 3"), ("kill -9 $$", "SIGKILL")] {
        let body = format!(
            "case \"$*\" in *--rdb*) /usr/bin/redis-cli \"$@\"; echo 'out of luck' >&2; {end};; \
             *) exec /usr/bin/redis-cli \"$@\";; esac"
        );
        let failure =
            dumped_by("redis-cli", &body, CheckLevel::Quick).unwrap_err().failure().unwrap();
        assert_eq!(failure.code, FailureCode::Tool);
        assert!(failure.message.contains("out of luck"), "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
}

#[test]
fn a_checker_that_is_too_old_or_broken_is_a_failure_of_the_tool_and_not_damage() {
    for (body, words) in [
        ("[ \"$1\" = --version ] && echo redis-check-rdb 6.0.16", "apt install redis-tools"),
        (
            "[ \"$1\" = --version ] && exit 1; echo '--- RDB ERROR DETECTED ---'; \
             echo \"[offset 9] Can't handle RDB format version 10\"; exit 1",
            "apt install redis-tools",
        ),
        ("[ \"$1\" = --version ] && echo redis-check-rdb 7.0.15 && exit; kill -9 $$", "SIGKILL"),
    ] {
        let failed = dumped_by("redis-check-rdb", body, CheckLevel::Quick).unwrap_err();
        let failure = failed.failure().unwrap();
        assert_eq!(failure.code, FailureCode::Tool, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
    assert!(dumped_by("redis-check-rdb", "exit 1", CheckLevel::Off).is_ok());
}

#[test]
fn the_facts_identify_the_server_and_count_the_keys_of_each_database() {
    let original = Server::create(Path::new("/"));
    let facts = dump(engine(), &original.source, &mut Recorder::default()).unwrap();
    assert_eq!(facts.check.as_deref(), Some("redis-check-rdb"));
    assert_eq!(facts.facts["keys"], json!({"db0": 16, "db3": 1}));
    assert_eq!(
        (&facts.facts["keys_checked"], &facts.facts["role"]),
        (&json!(17), &json!("master"))
    );
    assert_eq!(facts.facts["run_id"].as_str().unwrap().len(), 40);
    assert_eq!(facts.facts["redis_version"], facts.version);
}

#[test]
fn a_restore_into_a_running_server_is_refused() {
    let source = Server::nowhere();
    let request = LoadRequest {
        target: Target::Server { source: &source, within: "/".as_ref() },
        source: None,
        owners: Owners::FromArchive,
        cancel: &NOT_CANCELLED,
    };
    assert_eq!(code(engine().load(&request)), FailureCode::TargetDenied);
}

#[test]
fn a_probe_finds_out_whether_the_user_may_have_a_snapshot_without_making_one() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&file, "right").unwrap();
    for (user, rights, words) in [
        ("may", "on >right +ping +info +sync +psync +replconf", None),
        (
            "curious",
            "on >right +ping +info",
            Some("ACL SETUSER curious on '>PASSWORD' +ping +info +sync"),
        ),
        ("blind", "on >right +sync +replconf", Some("'info'")),
        ("wrong", "on >other +info +sync", Some("password_file")),
    ] {
        let mut command = vec!["ACL", "SETUSER", user];
        command.extend(rights.split(' '));
        connection.run(&command);
        let mut source = of(&server);
        source.0.insert("user".to_owned(), user.into());
        source.0.insert("password_file".to_owned(), file.to_str().unwrap().into());
        let failure = engine().probe(&source).map_err(|error| error.failure().unwrap());
        match words {
            None => assert!(failure.is_ok(), "{failure:?}"),
            Some(words) => {
                let failure = failure.unwrap_err();
                assert_eq!(failure.code, FailureCode::SourceDenied, "{user}: {failure}");
                assert!(failure.message.contains(words), "{user}: {failure}");
            }
        }
    }
    let Reply::Bytes(info) = connection.run(&["INFO", "stats"]) else { panic!("no INFO") };
    assert!(String::from_utf8_lossy(&info).contains("sync_full:0"), "the probe made a snapshot");
}
