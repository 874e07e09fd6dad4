//! Dumps: of both engines, to a path and into a running server.

use super::chains::{ZOOS, zoo};
use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, id_of, stderr_of};

/// An account with every awkward letter, a role, and what both may do.
const ACCOUNTS: &str = "CREATE ROLE `guards`; GRANT SELECT ON zoo.* TO `guards`;
    CREATE USER `it's a \"me\"`@`%` IDENTIFIED BY 'secret'; GRANT `guards` TO `it's a \"me\"`@`%`;
    SET DEFAULT ROLE `guards` FOR `it's a \"me\"`@`%`;
    GRANT INSERT ON zoo.mine TO `it's a \"me\"`@`%`; GRANT EXECUTE ON FUNCTION zoo.twice TO `it's a \"me\"`@`%`";

#[test]
fn a_dump_restores_to_a_data_directory_with_the_same_data_and_accounts() {
    let zoo = zoo();
    let before = zoo.dump(&ZOOS);
    let show = "SHOW GRANTS FOR `it's a \"me\"`@`%`; SHOW GRANTS FOR guards";
    zoo.sql(ACCOUNTS);
    let grants = zoo.sql(show);
    let dumps = source(&zoo, ", method = \"logical\"");
    let server = TestServer::builder()
        .instance_of("mariadb", "mariadb", &dumps, "quick")
        .instance_of("mysql", "mysql", &dumps, "quick")
        .start();
    let client = server.admin();
    for engine in ["mariadb", "mysql"] {
        let full = client.full(engine);
        let unchanged = client.incremental(engine);
        assert!(unchanged["size_bytes"].as_u64() < Some(full["size_bytes"].as_u64().unwrap() / 50));
        let again = MariaDb::on(&server.restored(&unchanged));
        assert!(again.dump(&ZOOS) == before, "{engine}: another dump");
        assert_eq!(again.sql(show), grants);
    }
}

#[test]
fn dumps_restore_into_a_running_server_without_these_databases() {
    let (zoo, other) = (zoo(), MariaDb::start());
    let server = TestServer::builder()
        .instance_of("zoo", "mariadb", &source(&zoo, ", method = \"logical\""), "quick")
        .instance_of("other", "mariadb", &source(&other, ""), "quick")
        .instance_of("whole", "mariadb", &source(&zoo, ""), "quick")
        .start();
    let client = server.admin();
    let backup = client.full("zoo");
    let into = |id: &str| server.run(&["restore", id, "--into", "other"]);

    let output = into(id_of(&backup));
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(other.dump(&ZOOS) == zoo.dump(&ZOOS));

    // One of them exists: nothing is changed.
    other.sql("DROP DATABASE zoo; DROP DATABASE `SYS`");
    let output = into(id_of(&backup));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("Tür-zu.1"), "{}", stderr_of(&output));
    assert_eq!(other.sql("SHOW DATABASES LIKE 'zoo'"), "");

    // A server that cannot create the second: the first, which this restore created, is dropped again.
    other.sql("DROP DATABASE `Tür-zu.1`; SET GLOBAL max_allowed_packet = 1024");
    let output = into(id_of(&backup));
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    let left = "SHOW DATABASES WHERE `Database` IN ('zoo', 'Tür-zu.1', 'SYS') AND BINARY `Database` != 'sys'";
    assert_eq!(other.sql(left), "", "{}", stderr_of(&output));

    // A data directory cannot be restored into a server.
    let output = into(id_of(&client.full("whole")));
    assert!(stderr_of(&output).contains("--to PATH"), "{}", stderr_of(&output));
}

#[test]
fn one_database_is_dumped_by_an_account_that_may_read_only_it() {
    let zoo = zoo();
    zoo.sql("CREATE USER one@localhost; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON zoo.* TO one@localhost");
    // Without this right, the dump would silently lack the routines.
    zoo.sql("CREATE USER half@localhost; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON zoo.* TO half@localhost");
    zoo.sql("GRANT SELECT ON mysql.proc TO one@localhost");
    let socket = zoo.socket();
    let one = |more: &str| {
        format!("{{ socket = {socket:?}, user = \"one\", method = \"logical\"{more} }}")
    };
    let mut server = TestServer::builder()
        .instance_of("zoo", "mysql", &one(", database = \"zoo\""), "quick")
        .instance_of("all", "mysql", &one(""), "quick")
        .instance_of("half", "mysql", &one(", database = \"zoo\"").replace("one", "half"), "quick")
        .allow_warning("a backup would fail now")
        .start();
    let client = server.admin();
    let restored = MariaDb::on(&server.restored(&client.full("zoo")));
    assert!(restored.dump(&["zoo"]) == zoo.dump(&["zoo"]));
    assert_eq!(restored.sql("SHOW DATABASES LIKE 'T%'"), "");
    // The dump would silently lack what the account cannot see.
    server.allow_warning(" failed: ");
    let (code, why) = client.failed("all");
    assert_eq!(code, "source_denied");
    assert!(why.contains("ON *.* TO 'one'@'localhost'"), "{why}");
    let (code, why) = client.failed("half");
    assert_eq!(code, "source_denied");
    assert!(why.contains("GRANT SELECT ON mysql.proc TO 'half'@'localhost';"), "{why}");
}

#[test]
fn a_restore_through_the_api_creates_a_data_directory() {
    let zoo = zoo();
    let server =
        TestServer::builder().instance_of("zoo", "mariadb", &source(&zoo, ""), "quick").start();
    let client = server.admin();
    let backup = client.full("zoo");
    let restored = client.restored_instance(&backup);
    assert!(restored.starts_with(server.data_dir().join("restored").join("project-a")));
    assert!(restored.ends_with("again"));
    assert!(MariaDb::on(&restored).dump(&ZOOS) == zoo.dump(&ZOOS));
}
