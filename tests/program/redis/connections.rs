//! Connections: sockets, ports and TLS, with users and passwords that are visible nowhere.

use serde_json::json;

use super::server::{Certificates, RedisServer};
use super::{open_accounts, with_source};
use crate::support::{is_in_a_command_line, wait_until, write_file};

/// A password with every kind of special character that a file can hold.
pub(super) const PASSWORD: &str = "it's \"so\"; $(secret) \\ %20\nsecond line #1  ";

/// Creates a user with the documented rights; the file with its password.
pub(super) fn create_user(redis: &RedisServer) -> std::path::PathBuf {
    let mut connection = redis.connect();
    let password = format!(">{PASSWORD}");
    let rights = ["+ping", "+info", "+sync", "+psync", "+replconf"];
    connection.run(&[&["ACL", "SETUSER", "coffer", "on", &password], &rights[..]].concat());
    let file = redis.folder().join("password");
    write_file(&file, format!("{PASSWORD}\n"));
    file
}

#[test]
fn a_user_with_few_rights_is_enough_and_its_password_is_visible_nowhere() {
    // Each key takes a moment, so that there is time to check.
    let redis = RedisServer::at_a_port(&["--rdb-key-save-delay", "20000"]);
    open_accounts(&mut redis.connect());
    let file = create_user(&redis);
    let source = format!(
        "{{ url = \"redis://coffer@127.0.0.1:{}\", password_file = {file:?} }}",
        redis.port()
    );
    let server = with_source(&source, "quick").start();
    let client = server.admin();
    let made = client.create_backup("cache", &json!({})).with_status(202);
    let port = redis.port().to_string();
    let line = format!("-p\0{port}\0--user\0coffer\0--rdb");
    wait_until("the tool to run", || is_in_a_command_line(line.as_bytes()).then_some(()));
    let mut checks = 0;
    while is_in_a_command_line(line.as_bytes()) {
        checks += 1;
        for part in [PASSWORD, "$(secret)", "second line"] {
            assert!(!is_in_a_command_line(part.as_bytes()), "{part}");
        }
    }
    assert!(checks > 0, "the backup was too short to check");
    let backup = client.completed(&made);
    // Nobody lists the users to this one, which is one of them.
    assert_eq!(backup["left_out"][0]["what"], "the users", "{backup:#}");
    let doctor = server.run(&["doctor"]);
    let doctor = String::from_utf8_lossy(&[doctor.stdout, doctor.stderr].concat()).into_owned();
    assert!(doctor.contains("redis 7") && doctor.contains("role: master"), "{doctor}");
    for text in [server.log().text(), doctor, redis.log()] {
        assert!(!text.contains("$(secret)") && !text.contains("second line"), "{text}");
    }
}

#[test]
fn tls_connections_work_and_unknown_authorities_are_refused() {
    let certificates = Certificates::new();
    let redis = RedisServer::with_tls(&certificates);
    open_accounts(&mut redis.connect());
    let password = create_user(&redis);
    let file = |name: &str| certificates.file(name).display().to_string();
    let client_pair =
        format!("cert_file = {:?}, key_file = {:?}", file("client.crt"), file("client.key"));
    let place = format!("coffer@127.0.0.1:{}", redis.port());
    let more = format!("{client_pair}, password_file = {password:?}");
    for source in [
        format!("{{ url = \"rediss://{place}\", ca_file = {:?}, {more} }}", file("ca.crt")),
        format!("{{ url = \"redis://{place}\", tls = \"require\", {more} }}"),
    ] {
        let server = with_source(&source, "quick").start();
        server.admin().full("cache");
    }
    for (source, words) in [
        (format!("{{ url = \"rediss://{place}\", {more} }}"), "ca_file"),
        (
            format!(
                "{{ url = \"rediss://{place}\", ca_file = {:?}, password_file = {password:?} }}",
                file("ca.crt")
            ),
            "asks for a certificate of Coffer's own",
        ),
    ] {
        let server = with_source(&source, "quick")
            .allow_warning(" failed")
            .allow_warning("would fail now")
            .start();
        let (code, message) = server.admin().failed("cache");
        assert!(["source_denied", "tool"].contains(&code.as_str()), "{code}: {message}");
        assert!(message.contains(words), "{message}");
    }
}
