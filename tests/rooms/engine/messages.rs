//! What the tools of servers say, and what Coffer makes of it. The tools are scripts that say it.

use std::path::Path;
use std::process::Command;

use coffer::domain::FailureCode::{
    self, DiskFull, SourceChanged, SourceDamaged, SourceDenied, SourceInvalid, SourceLocked,
    SourceMissing, Tool,
};
use coffer::domain::Source;
use coffer::engine::find;
use serde_json::{Value, json};

/// A message, and the failure code and a word of the advice that it leads to.
type Message = (&'static str, FailureCode, &'static str);

/// Makes a program that runs this script.
pub(super) fn write_tool(folder: &Path, name: &str, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", "printf '#!/bin/sh\\n%s' \"$1\" > \"$0\" && chmod 755 \"$0\""]);
    assert!(command.arg(folder.join(name)).arg(script).status().unwrap().success());
}

/// A text as one word of a script.
pub(super) fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What a probe says when the first of `tools` prints this message and fails; the others must only exist.
fn failure(engine: &str, mut keys: Value, tools: &[&str], message: &str) -> (FailureCode, String) {
    let folder = tempfile::tempdir().unwrap();
    for (at, tool) in tools.iter().enumerate() {
        let script = format!(
            "case \"$*\" in *--version*) echo \"mariadb from 11.8.2-MariaDB\"; exit ;; esac\n\
             printf '%s\\n' {} >&2; exit 1",
            word(message)
        );
        write_tool(folder.path(), tool, if at == 0 { &script } else { "exit 1" });
    }
    keys["tools"] = folder.path().to_str().unwrap().into();
    let source: Source = serde_json::from_value(keys).unwrap();
    let failure = find(engine).unwrap().probe(&source).unwrap_err().failure().unwrap();
    (failure.code, failure.message)
}

#[track_caller]
fn assert_classified(engine: &str, keys: &Value, tools: &[&str], server: &str, table: &[Message]) {
    for (message, code, word) in table {
        let (found, said) = failure(engine, keys.clone(), tools, message);
        assert_eq!(found, *code, "{message}: {said}");
        assert!(said.starts_with(server) && said.contains(message.trim()), "{said}");
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn messages_of_mariadb_are_classified_with_advice() {
    let keys = json!({"socket": "/run/m.sock", "user": "a"});
    let table: &[Message] = &[
        (
            "ERROR 1045 (28000): Access denied for user 'a'@'b' (using password: YES)",
            SourceDenied,
            "",
        ),
        ("[00] Failed to connect to MariaDB server: Access denied for user 'x'", SourceDenied, ""),
        (
            "ERROR 1227 (42000): Access denied; you need (at least one of) the RELOAD privilege(s)",
            SourceDenied,
            "",
        ),
        (
            "mariadb-dump: Error 2013: Lost connection to server during query when dumping table `a`",
            SourceMissing,
            "was lost",
        ),
        (
            "ERROR 2002 (HY000): Can't connect to local server through socket",
            SourceMissing,
            "start",
        ),
        ("ERROR 2005 (HY000): Unknown server host 'db' (-2)", SourceMissing, "start"),
        ("ERROR 1049 (42000): Unknown database 'shop'", SourceMissing, "source.database"),
        ("[01] Error: Database page corruption detected at page 7", SourceDamaged, "mariadb-check"),
        (
            "mariadb-dump: Error 145: Table './shop/m' is marked as crashed and should be repaired",
            SourceDamaged,
            "mariadb-check",
        ),
        ("Error writing file 'x' (Errcode: 28 \"No space left on device\")", DiskFull, "make room"),
        ("ERROR 2026 (HY000): SSL connection error: unknown error number", SourceDenied, "tls"),
        ("Can't open file './a.ibd' (errno: 13 \"Permission denied\")", SourceDenied, "the right"),
        ("ERROR 1205 (HY000): Lock wait timeout exceeded", SourceLocked, "a long statement"),
        ("Segmentation fault", Tool, ""),
    ];
    assert_classified("mariadb", &keys, &["mariadb", "mariadb-backup"], "", table);
    let output =
        "[00] Acquiring BACKUP LOCKS...\n[01] Copying ./a.ibd\n[00] FATAL ERROR: no\n[00] Bye";
    let said = failure("mariadb", keys.clone(), &["mariadb", "mariadb-backup"], output).1;
    assert!(said.contains("[00] FATAL ERROR: no") && !said.contains("Bye"), "{said}");
    let said = failure("mariadb", keys, &["mariadb", "mariadb-backup"], "one\ntwo").1;
    assert!(said.contains("one\ntwo"), "{said}");
}

#[test]
fn messages_of_postgresql_are_classified_with_advice() {
    let keys = json!({"socket": "/s", "user": "bob"});
    let table: &[Message] = &[
        ("FATAL:  password authentication failed for user \"bob\"", SourceDenied, "password_file"),
        ("fe_sendauth: no password supplied", SourceDenied, "password_file"),
        ("FATAL:  Peer authentication failed for user \"bob\"", SourceDenied, "pg_ident"),
        (
            "FATAL:  no pg_hba.conf entry for replication connection from host \"[local]\"",
            SourceDenied,
            "`local  replication  bob  scram-sha-256`",
        ),
        ("FATAL:  no pg_hba.conf entry for host \"[local]\"", SourceDenied, "`local  all  bob"),
        (
            "FATAL:  must be superuser or replication role to start walsender",
            SourceDenied,
            "ALTER ROLE \"bob\" REPLICATION",
        ),
        ("FATAL:  role \"bob\" does not exist", SourceDenied, "user"),
        ("ERROR:  permission denied for table t", SourceDenied, "GRANT"),
        (
            "ERROR:  query would be affected by row-level security policy for table \"t\"",
            SourceDenied,
            "ALTER ROLE \"bob\" BYPASSRLS",
        ),
        ("ERROR:  permission denied for large object 4711", SourceDenied, "lo_compat_privileges"),
        ("FATAL:  permission denied for database \"x\"", SourceDenied, "GRANT CONNECT"),
        ("WARNING:  checksum verification failed in file \"base/5/1\"", SourceDamaged, "checksums"),
        ("ERROR:  invalid page in block 3 of relation base/5/1", SourceDamaged, "disk"),
        ("ERROR:  WAL segment 1 has already been removed", SourceChanged, "wal_keep_size"),
        ("could not write to file \"x\": No space left on device", DiskFull, "room"),
        (
            "connection to server on socket \"/s/.s.PGSQL.5432\" failed: No such file or directory\n\
     Is the server running locally and accepting connections on that socket?",
            SourceMissing,
            "start the server",
        ),
        ("server at \"::1\", port 1 failed: Connection refused", SourceMissing, "start"),
        ("FATAL:  the database system is shutting down", SourceMissing, "start"),
        ("FATAL:  terminating connection due to administrator command", SourceMissing, "was lost"),
        ("server closed the connection unexpectedly", SourceMissing, "connection was lost"),
        ("pg_dump: error: aborting because of server version mismatch", Tool, "install"),
        ("something new", Tool, ""),
    ];
    assert_classified("postgresql", &keys, &["psql"], "", table);
}

#[test]
fn messages_of_redis_are_classified_with_advice_and_the_server_is_named() {
    let keys = json!({"socket": "/run/r.sock", "user": "keeper"});
    let table: &[Message] = &[
        (
            "Could not connect to Redis at /x: No such file or directory",
            SourceMissing,
            "start the server",
        ),
        ("Could not connect to Redis at /x: Permission denied", SourceDenied, "unixsocketperm"),
        ("Error: Connection reset by peer", Tool, "rediss://"),
        ("SSL_connect failed: certificate verify failed", SourceDenied, "ca_file"),
        ("NOAUTH Authentication required.", SourceDenied, "password_file"),
        ("AUTH failed: WRONGPASS invalid", SourceDenied, "password_file"),
        (
            "-NOPERM this user has no permissions to run the 'sync' command",
            SourceDenied,
            "ACL SETUSER keeper on '>PASSWORD' +ping +info +sync +psync +replconf",
        ),
        ("ERR unknown command 'SYNC', with args beginning with: ", SourceInvalid, "rename-command"),
        ("LOADING Redis is loading", SourceLocked, "wait"),
        ("-NOMASTERLINK Can't SYNC", SourceLocked, "master"),
        ("ERR max number of clients reached", SourceLocked, "maxclients"),
        ("Error reading RDB payload from socket", Tool, "server's log"),
        ("Error reading bulk length", Tool, "server's log"),
        ("I/O error\nError: Server closed the connection", Tool, "cert_file"),
        ("something new", Tool, ""),
    ];
    let tools = ["redis-cli", "redis-check-rdb"];
    assert_classified("redis", &keys, &tools, "/run/r.sock: ", table);
}

/// What a probe of PostgreSQL says if `psql` runs this script, with these keys of the source besides.
fn said_by_psql(script: &str, mut keys: Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_tool(folder.path(), "psql", script);
    keys["socket"] = "/s".into();
    keys["user"] = "bob".into();
    keys["tools"] = folder.path().to_str().unwrap().into();
    let source: Source = serde_json::from_value(keys).unwrap();
    find("postgresql").unwrap().probe(&source).unwrap_err().to_string()
}

#[test]
fn a_program_does_not_inherit_variables_that_name_a_server() {
    let known = "^(PATH|HOME|TMPDIR|TZ|LC_ALL|PWD|SHLVL|_|OLDPWD|PG[A-Z_]*)=";
    let said =
        said_by_psql(&format!("env | grep -vE '{known}' >&2; echo end >&2; exit 1"), json!({}));
    assert!(said.contains("it said: end"), "{said}");
    let inherited = std::env::vars().any(|(name, _)| name.starts_with("CARGO"));
    assert!(inherited, "this test itself has variables that no program gets");
}

#[test]
fn a_password_is_what_its_file_holds_without_the_end_of_the_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let keys = json!({"password_file": file.to_str().unwrap()});
    let write = |content: &[u8]| {
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(&file, content).unwrap();
    };
    for (content, password) in
        [("a b'\"\n", "a b'\""), ("a\n\n", "a\n"), ("a\r\n", "a"), ("ä", "ä")]
    {
        write(content.as_bytes());
        let script = format!("[ \"$PGPASSWORD\" = {} ] && echo right >&2; exit 1", word(password));
        let said = said_by_psql(&script, keys.clone());
        assert!(said.contains("right"), "{content:?}: {said}");
    }
    for bad in [&b""[..], b"\n", b"a\0b"] {
        write(bad);
        let said = said_by_psql("exit 1", keys.clone());
        assert!(said.contains("the password file"), "{bad:?}: {said}");
    }
    std::fs::remove_file(&file).unwrap();
    let said = said_by_psql("exit 1", keys);
    assert!(said.contains("password") && said.contains("right to read"), "{said}");
}

#[test]
fn a_tool_is_searched_only_where_the_configuration_says() {
    let probe = |keys: Value| {
        let source: Source = serde_json::from_value(keys).unwrap();
        find("redis").unwrap().probe(&source).unwrap_err().to_string()
    };
    let said = probe(json!({"socket": "/s", "tools": "/proc"}));
    assert!(said.contains("/proc") && said.contains("apt install redis-tools"), "{said}");
    // In PATH there is one.
    let said = probe(json!({"socket": "/s"}));
    assert!(!said.contains("apt install"), "{said}");
}

/// What a probe of a MariaDB server says whose account has these rights.
fn probed_with(mut keys: Value, grants: &[&str]) -> String {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let system = rustix::system::uname();
    let facts = [
        "facts",
        "10.11.6-MariaDB",
        "MariaDB",
        system.nodename().to_str().unwrap(),
        data.path().to_str().unwrap(),
        "",
        "me@%",
        "0",
        "utf8mb4",
    ];
    let answer = [&[facts.join("\t").as_str()], grants].concat().join("\n");
    let script = format!(
        "case \"$*\" in *--version*) echo 'based on MariaDB server 10.11.6-MariaDB' ;;\n\
         *\"'facts'\"*) printf '%s\\n' {} ;; *) exit 1 ;; esac",
        word(&answer)
    );
    for tool in ["mariadb", "mariadb-backup", "mariadb-dump"] {
        write_tool(folder.path(), tool, &script);
    }
    keys["socket"] = "/s".into();
    keys["tools"] = folder.path().to_str().unwrap().into();
    let source: Source = serde_json::from_value(keys).unwrap();
    find("mariadb")
        .unwrap()
        .probe(&source)
        .map_or_else(|error| error.to_string(), |_ok| String::new())
}

#[test]
fn a_missing_right_is_named_with_the_statement_that_grants_it() {
    let grant = "GRANT RELOAD, LOCK TABLES, BINLOG MONITOR ON *.* TO `me`@`%`";
    let said = probed_with(json!({}), &[grant]);
    assert!(said.contains("lacks PROCESS:"), "{said}");
    let statement = "GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO 'me'@'%';";
    assert!(said.contains(statement), "{said}");
}

#[test]
fn rights_on_everything_suffice_by_new_and_old_names() {
    for grant in [
        "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
        "GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO `me`@`%`",
    ] {
        let said = probed_with(json!({}), &[grant]);
        assert!(!said.contains("lacks"), "{said}");
    }
}

#[test]
fn rights_on_one_database_suffice_for_a_dump_of_that_database_only() {
    let grants = [
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `shop`.* TO `me`@`%`",
        "GRANT SELECT ON `mysql`.`proc` TO `me`@`%`",
    ];
    let logical = |database: &str| json!({"method": "logical", "database": database});
    let said = probed_with(logical("shop"), &grants);
    assert!(!said.contains("lacks"), "{said}");
    let blind = probed_with(logical("shop"), &grants[..1]);
    assert!(blind.contains("GRANT SELECT ON mysql.proc TO 'me'@'%';"), "{blind}");
    let other = probed_with(logical("till"), &grants);
    assert!(other.contains("ON `till`.* TO"), "{other}");
    assert!(probed_with(json!({"method": "logical"}), &grants).contains("lacks"));
}
