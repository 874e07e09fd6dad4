//! Passwords with special characters work, and are visible in no command line, environment or log.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::server::MariaDb;
use crate::support::{
    TestServer, is_in_a_command_line, is_in_an_environment, run_script, write_file,
};

const PASSWORD: &str = "a'b\"c  d#e\\f\nsecond $(line);`x` \t=[client] ";

/// Whether a part of the password is in a command line or an environment.
fn is_seen() -> bool {
    let parts = ["a'b\"c", "second $(line)", "second\\n$(line)"].map(str::as_bytes);
    parts.iter().any(|part| is_in_a_command_line(part) || is_in_an_environment(part))
}

#[test]
fn a_password_with_special_characters_works_and_is_visible_nowhere() {
    let mut database = MariaDb::start();
    let port = database.listen();
    let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
    for host in ["localhost", "127.0.0.1"] {
        database.sql(&format!(
            "CREATE USER IF NOT EXISTS 'it''s me'@'{host}' IDENTIFIED BY '{quoted}';
             GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, SELECT, SHOW VIEW, TRIGGER, EVENT
             ON *.* TO 'it''s me'@'{host}'"
        ));
    }
    let file = database.folder().join("password");
    write_file(&file, format!("{PASSWORD}\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let socket = database.socket();
    let who = format!("user = \"it's me\", password_file = {file:?}");
    let mut builder = TestServer::builder();
    for (name, address) in [
        ("socket", format!("socket = {socket:?}")),
        ("port", format!("url = \"mariadb://127.0.0.1:{port}\"")),
    ] {
        for method in ["physical", "logical"] {
            let source = format!("{{ {address}, {who}, method = \"{method}\" }}");
            builder = builder.instance_of(&format!("{name} {method}"), "mariadb", &source, "quick");
        }
    }
    let server = builder.start();
    let client = server.admin();
    let (done, mut checks) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut checks = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(!is_seen(), "a password is seen");
                checks += 1;
            }
            checks
        });
        for name in ["socket physical", "socket logical", "port physical", "port logical"] {
            client.full(name);
        }
        done.store(true, Ordering::Relaxed);
        checks = watch.join().unwrap();
    });
    assert!(checks > 10, "only {checks} checks were made");
    let log = server.log().text();
    assert!(!log.contains("second $(line)") && !log.contains("a'b\"c"), "{log}");
}

#[test]
fn connections_are_encrypted_and_certificates_verified_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost";
    run_script(
        &format!("{make} -keyout key -out cert; {make} -keyout other-key -out other-cert"),
        folder.path(),
    );
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) =
        (format!("--ssl-cert={}", file("cert")), format!("--ssl-key={}", file("key")));
    let mut database = MariaDb::start_with(&[&cert, &key]);
    let port = database.listen();
    database.sql(
        "CREATE USER safe@localhost IDENTIFIED BY 'x' REQUIRE SSL;
         GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, SELECT, SHOW VIEW, TRIGGER, EVENT
         ON *.* TO safe@localhost",
    );
    let password = file("password");
    write_file(password.as_ref(), "x");
    let source = |more: &str| {
        format!(
            "{{ url = \"mariadb://safe@localhost:{port}\", password_file = {password:?}, {more} }}"
        )
    };
    let trusted = format!("tls = \"verify-full\", ca_file = {:?}", file("cert"));
    let mut server = TestServer::builder()
        .allow_warning("a backup would fail now")
        .instance_of("required", "mariadb", &source("tls = \"require\""), "quick")
        .instance_of("verified", "mariadb", &source(&trusted), "quick")
        .instance_of("dumped", "mysql", &source(&trusted), "quick")
        .instance_of("off", "mariadb", &source("tls = \"off\""), "quick")
        .instance_of(
            "another",
            "mariadb",
            &source(&format!("tls = \"verify-full\", ca_file = {:?}", file("other-cert"))),
            "quick",
        )
        .start();
    let client = server.admin();
    for instance in ["required", "verified", "dumped"] {
        client.full(instance);
    }
    server.allow_warning(" failed: ");
    for instance in ["off", "another"] {
        assert_eq!(client.failed(instance).0, "source_denied", "{instance}");
    }
}
