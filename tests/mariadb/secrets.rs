//! Passwords of any letters reach the tools, and nobody else sees them.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::server::MariaDb;
use super::support::{TestServer, write_file};

const PASSWORD: &str = "a'b\"c  d#e\\f\nsecond $(line);`x` \t=[client] ";

/// The places where somebody on the machine could see it: command lines and environments.
fn seen() -> Option<String> {
    let marks = ["a'b\"c", "second $(line)", "second\\n$(line)"];
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            if marks.iter().any(|mark| text.contains(mark)) {
                return Some(format!("{}: {text:?}", entry.path().join(file).display()));
            }
        }
    }
    None
}

#[test]
fn a_nasty_password_works_over_socket_and_port_and_is_seen_nowhere() {
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
    let client = server.by_admin();
    let (done, mut looks) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(seen(), None);
                looks += 1;
            }
            looks
        });
        for name in ["socket physical", "socket logical", "port physical", "port logical"] {
            client.full(name);
        }
        done.store(true, Ordering::Relaxed);
        looks = watch.join().unwrap();
    });
    assert!(looks > 10, "only {looks} looks were taken");
    let log = server.log().text();
    assert!(!log.contains("second $(line)") && !log.contains("a'b\"c"), "{log}");
}
