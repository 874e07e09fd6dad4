//! What a server's answers mean. They come from scripts in the place of the tools.

use coffer::domain::{FailureCode, Source};
use coffer::engine::{EngineError, Probe};
use serde_json::json;

use super::super::messages::{word, write_tool};
use super::engine;

/// The answer after the check of rights, which a server gives instead of a snapshot.
const MAY_REPLICATE: &str = "ERR SYNC and PSYNC are invalid with pending output";

/// The answers of a server and of the tools.
#[derive(Clone, Copy)]
struct Answers<'a> {
    info: &'a str,
    version: &'a str,
    rights: &'a str,
    nodes: &'a str,
}

const ANSWERS: Answers<'static> = Answers {
    info: "# Server\nredis_version:7.0.15\nrun_id:ab\n\n# Memory\nused_memory:900\n\
           used_memory_dataset:300\n# Keyspace\ndb0:keys=12,expires=1,avg_ttl=0\n\
           db10:keys=3,expires=0,avg_ttl=0\n",
    version: "redis-cli 7.0.15",
    rights: MAY_REPLICATE,
    nodes: "",
};

fn probe(answers: Answers<'_>) -> Result<Probe, EngineError> {
    let folder = tempfile::tempdir().unwrap();
    let [info, version, rights, nodes] =
        [answers.info, answers.version, answers.rights, answers.nodes].map(word);
    let script = format!(
        "case \"$*\" in\n\
         *--version*) printf '%s\\n' {version} ;;\n\
         *'CLUSTER NODES'*) printf '%s' {nodes} ;;\n\
         *--pipe*) printf '%s\\n' {rights} >&2; exit 1 ;;\n\
         *) printf '%s' {info} ;;\nesac"
    );
    for name in ["redis-cli", "redis-check-rdb"] {
        write_tool(folder.path(), name, &script);
    }
    let source = json!({"socket": "/s", "user": "keeper", "tools": folder.path()});
    engine().probe(&serde_json::from_value::<Source>(source).unwrap())
}

#[test]
fn version_size_and_keys_are_those_of_the_answer() {
    let found = probe(ANSWERS).unwrap();
    assert_eq!((found.version.as_str(), found.source_bytes), ("7.0.15", 300));
    assert!(found.notes.contains(&"keys: db0: 12, db10: 3".to_owned()), "{:?}", found.notes);
    let valkey = "# Server\nredis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.0.1\n";
    let found = probe(Answers { info: valkey, version: "valkey-cli 8.0.1", ..ANSWERS }).unwrap();
    assert_eq!(found.version, "valkey 8.0.1");
}

#[test]
fn an_error_message_is_not_an_answer() {
    for (info, word) in [
        ("NOAUTH Authentication required.\n", "NOAUTH"),
        ("# Keyspace\n", "Keyspace"),
        ("", "nothing"),
    ] {
        let said = probe(Answers { info, ..ANSWERS }).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_tool_older_than_its_server_is_refused_with_the_package_to_install() {
    let redis = |it| format!("redis_version:{it}\n");
    let valkey = |it| format!("redis_version:7.2.4\nvalkey_version:{it}\n");
    for (version, server, good) in [
        ("redis-cli 7.0.15", redis("7.0.1"), true),
        ("redis-cli 8.0.0", redis("7.4.1"), true),
        ("redis-cli 7.0.15", redis("7.2.0"), false),
        ("redis-cli 7.0.15", redis("10.0.0"), false),
        ("valkey-cli 8.0.1", valkey("8.0.1"), true),
        ("valkey-cli 8.0.1", valkey("8.1.0"), false),
        ("redis-cli 7.2.5", valkey("8.0.1"), true),
        ("redis-cli 7.0.15", valkey("8.0.1"), false),
        ("redis-cli 8.2.0", valkey("9.0.0"), false),
        ("valkey-cli 9.0.0", redis("7.2.5"), true),
        ("valkey-cli 9.0.0", redis("7.4.0"), false),
        ("built by hand", redis("7.4.0"), true),
    ] {
        let found = probe(Answers { info: &format!("# Server\n{server}"), version, ..ANSWERS });
        assert_eq!(found.is_ok(), good, "{version}, {server}: {found:?}");
        if let Err(error) = found {
            let package = if server.contains("valkey") { "valkey-tools" } else { "redis-tools" };
            assert!(error.to_string().contains(package), "{error}");
        }
    }
}

#[test]
fn a_snapshot_is_allowed_only_if_the_answer_after_the_check_of_rights_came() {
    let rights = |rights: &str| probe(Answers { rights, ..ANSWERS });
    let noise = "NOPERM this user has no permissions to run the 'echo' command";
    let notes = rights(&format!("{MAY_REPLICATE}\n{noise}")).unwrap().notes;
    assert!(!notes.iter().any(|note| note.contains("+replconf")), "{notes:?}");
    let backlog = format!("NOPERM … the 'replconf' command\n{MAY_REPLICATE}\n{noise}");
    let notes = rights(&backlog).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("+replconf")), "{notes:?}");
    let refused = rights("NOPERM this user has no permissions to run the 'sync' command");
    let failure = refused.unwrap_err().failure().unwrap();
    assert_eq!(failure.code, FailureCode::SourceDenied);
    assert!(failure.message.contains("+sync"), "{failure}");
    assert!(rights("").is_err());
}

#[test]
fn the_slots_of_other_nodes_are_named() {
    let info = format!("{}# Cluster\ncluster_enabled:1\n", ANSWERS.info);
    let left_out = |nodes: &str| {
        let left_out = probe(Answers { info: &info, nodes, ..ANSWERS }).unwrap().left_out;
        left_out.into_iter().find(|line| line.contains("cluster")).unwrap_or_default()
    };
    let nodes = "aa 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99 101 [93-<-bb]\n\
        bb 127.0.0.1:7001@17001 master - 0 1 2 connected 100 102-16383\n";
    assert!(left_out(nodes).contains("slots 100, 102-16383"), "{}", left_out(nodes));
    let replica =
        "aa h:1@2 myself,slave bb 0 0 1 connected\nbb h:1@2 master - 0 0 1 connected 0-16383\n";
    assert_eq!(left_out(replica), "");
    let denied = left_out("NOPERM this user has no permissions\n");
    assert!(denied.contains("the cluster's other nodes"), "{denied}");
}
