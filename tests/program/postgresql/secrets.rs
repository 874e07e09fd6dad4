//! Passwords with special characters work, and are visible in no command line or log.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::fixture::{NAME, tools_key, tools_replacing};
use super::postgres::{Postgres, Setup, give_to_server};
use crate::support::{
    TestServer, contains, is_in_a_command_line, stderr_of, wait_until, write_file,
};

/// With quotes of both kinds, blanks, a backslash, a newline, and letters of other scripts.
const PASSWORD: &str = "it's \"a\"  secret\\ ö\nand a second line $(x)";

const SCRAM: &str = "local all postgres trust\nlocal all all scram-sha-256\n\
    local replication all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n\
    host replication all 127.0.0.1/32 scram-sha-256\n";

fn server_with_password() -> Postgres {
    let setup = Setup { hba: SCRAM.to_owned(), tcp: true, ..Setup::default() };
    let server = Postgres::with(&setup);
    let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
    server.sql("postgres", &format!("CREATE ROLE coffer LOGIN REPLICATION PASSWORD E'{quoted}'"));
    server
        .sql("postgres", "CREATE TABLE t AS SELECT md5(n::text) FROM generate_series(1, 20000) n");
    server.sql("postgres", "GRANT pg_read_all_data TO coffer");
    server
}

fn password_file(folder: &Path, password: &str) -> String {
    let path = folder.join("password");
    write_file(&path, format!("{password}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_password_with_special_characters_works_and_is_visible_nowhere() {
    let server = server_with_password();
    let folder = tempfile::tempdir().unwrap();
    let file = password_file(folder.path(), PASSWORD);
    let (begun, go) = (folder.path().join("begun"), folder.path().join("go"));
    let slow = tools_replacing(
        "pg_basebackup",
        &format!(
            "set -o pipefail\ntouch {begun:?}\n\
             real \"$@\" | {{ head -c 1000000; while [ ! -e {go:?} ]; do sleep 0.05; done; cat; }}"
        ),
    );
    let by_socket = format!(
        "{{ socket = {:?}, user = \"coffer\", password_file = {file:?}, {} }}",
        server.socket(),
        tools_key(slow.path())
    );
    let by_port = format!(
        "{{ url = \"postgresql://coffer@127.0.0.1:{}\", password_file = {file:?} }}",
        server.port()
    );
    let dumped = format!(
        "{{ url = \"postgresql://coffer@127.0.0.1:{}/postgres\", password_file = {file:?}, \
         method = \"logical\" }}",
        server.port()
    );
    let coffer = TestServer::builder()
        .instance_of(NAME, "postgresql", &by_socket, "quick")
        .instance_of("by-port", "postgresql", &by_port, "quick")
        .instance_of("dumped", "postgresql", &dumped, "quick")
        .env("RUST_LOG", "trace")
        .start();
    let client = coffer.admin();
    let made = client.create_backup(NAME, &serde_json::json!({}));
    wait_until("the tool to run", || begun.exists().then_some(()));
    assert!(is_in_a_command_line(b"pg_basebackup"), "the tool does not run");
    for part in PASSWORD.lines() {
        assert!(!is_in_a_command_line(part.as_bytes()), "a password is on a command line");
    }
    write_file(&go, "");
    client.completed(&made);
    client.full("by-port");
    client.full("dumped");
    let doctor = coffer.run(&["doctor"]);
    let mut logs = coffer.log().text().into_bytes();
    logs.extend([doctor.stdout, doctor.stderr].concat());
    logs.extend(server.log().into_bytes());
    for part in PASSWORD.lines() {
        assert!(!contains(&logs, part.as_bytes()), "a password is in a log");
    }
}

#[test]
fn a_wrong_or_missing_password_is_reported() {
    let server = server_with_password();
    let folder = tempfile::tempdir().unwrap();
    let file = password_file(folder.path(), "wrong but secret");
    let source = |keys: &str| format!("{{ socket = {:?}, {keys} }}", server.socket());
    let coffer = TestServer::builder()
        .instance_of(
            "wrong",
            "postgresql",
            &source(&format!("user = \"coffer\", password_file = {file:?}")),
            "quick",
        )
        .instance_of("none", "postgresql", &source("user = \"coffer\""), "quick")
        .allow_warning("")
        .start();
    for (instance, word) in [("wrong", "password authentication failed"), ("none", "password_file")]
    {
        let (code, message) = coffer.admin().failed(instance);
        assert_eq!(code, "source_denied", "{message}");
        assert!(message.contains(word), "{message}");
    }
    assert!(!coffer.log().text().contains("wrong but secret"));
}

/// A certificate for 127.0.0.1 and its key, signed by itself.
fn certificate(folder: &Path, name: &str) -> (String, String) {
    let path = |end: &str| folder.join(format!("{name}.{end}")).to_str().unwrap().to_owned();
    let (certificate, key) = (path("pem"), path("key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-out", &certificate, "-keyout", &key])
        .output()
        .expect("openssl is installed: tests/run.sh installs it");
    assert!(made.status.success(), "{}", stderr_of(&made));
    give_to_server(Path::new(&key));
    (certificate, key)
}

#[test]
fn connections_are_encrypted_and_certificates_verified_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (own, key) = certificate(folder.path(), "own");
    let (other, _) = certificate(folder.path(), "other");
    let server = Postgres::with(&Setup {
        hba: "local all all trust\nhostssl all all 127.0.0.1/32 trust\n\
              hostssl replication all 127.0.0.1/32 trust\n"
            .to_owned(),
        settings: format!("ssl = on\nssl_cert_file = '{own}'\nssl_key_file = '{key}'\n"),
        tcp: true,
        ..Setup::default()
    });
    let url = format!("postgresql://postgres@127.0.0.1:{}", server.port());
    let source = |keys: &str| format!("{{ url = {url:?}, {keys} }}");
    let coffer = TestServer::builder()
        .instance_of("open", "postgresql", &source("tls = \"off\""), "quick")
        .instance_of("any", "postgresql", &source("tls = \"require\""), "quick")
        .instance_of(
            "full",
            "postgresql",
            &source(&format!("tls = \"verify-full\", ca_file = {own:?}")),
            "quick",
        )
        .instance_of(
            "other",
            "postgresql",
            &source(&format!("tls = \"verify-full\", ca_file = {other:?}")),
            "quick",
        )
        .allow_warning("")
        .start();
    let client = coffer.admin();
    for instance in ["any", "full"] {
        let left_out = client.full(instance)["left_out"].to_string();
        assert!(left_out.contains(&own) && left_out.contains(&key), "{left_out}");
    }
    for (instance, word) in [("open", "no encryption"), ("other", "certificate verify failed")] {
        let (code, message) = client.failed(instance);
        assert_eq!(code, "source_denied", "{message}");
        assert!(message.contains(word), "{message}");
    }
}
