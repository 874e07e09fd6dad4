//! A server with every kind of object, backed up both ways: the restored server's own catalogs name the same objects,
//! kind by kind.

use serde_json::Value;

use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, id_of};

const OBJECTS: &str = "
CREATE DATABASE one CHARACTER SET utf8mb4 COLLATE utf8mb4_swedish_ci COMMENT 'the first'; USE one;
CREATE TABLE base(id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT 'x' COMMENT 'a name',
    price DECIMAL(10,2) UNSIGNED, twice INT AS (id * 2) VIRTUAL, thrice INT AS (price * 3) STORED, doc JSON,
    place POINT NOT NULL, hidden INT INVISIBLE DEFAULT 7, words TEXT, kind ENUM('a','b'), flags SET('x','y'),
    id6 INET6, u UUID, raw BLOB COMPRESSED, stamp TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    UNIQUE KEY by_name(name), KEY by_price(price DESC), KEY unused(kind) IGNORED, FULLTEXT KEY words(words),
    SPATIAL KEY place(place), CONSTRAINT positive CHECK (price > 0)) COMMENT 'the base' AUTO_INCREMENT=500;
INSERT INTO base(name, price, doc, place, words, raw) VALUES ('a', 1.5, '{\"a\":1}', POINT(1, 2), 'some words', 'raw');
CREATE TABLE child(id INT PRIMARY KEY, base INT, CONSTRAINT up FOREIGN KEY (base) REFERENCES base(id) ON DELETE CASCADE);
INSERT INTO child VALUES (1, 500);
CREATE TABLE parts(id INT, day DATE, PRIMARY KEY (id, day)) PARTITION BY RANGE COLUMNS (day) SUBPARTITION BY HASH (id)
    SUBPARTITIONS 2 (PARTITION old VALUES LESS THAN ('2020-01-01'), PARTITION new VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1, '2019-01-01'), (2, '2024-01-01');
CREATE TABLE history(id INT PRIMARY KEY, x INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME LIMIT 100
    (PARTITION p0 HISTORY, PARTITION cur CURRENT);
INSERT INTO history VALUES (1, 1); UPDATE history SET x = 2;
CREATE TABLE booked(id INT, a DATE, b DATE, PERIOD FOR stay(a, b), UNIQUE (id, stay WITHOUT OVERLAPS));
INSERT INTO booked VALUES (1, '2024-01-01', '2024-02-01');
CREATE TABLE mine(id INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO mine VALUES (1);
CREATE TABLE yours(id INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO yours VALUES (2);
CREATE TABLE both_of(id INT NOT NULL, KEY(id)) ENGINE=MERGE UNION=(mine, yours);
CREATE TABLE csvs(id INT NOT NULL, t VARCHAR(9) NOT NULL) ENGINE=CSV; INSERT INTO csvs VALUES (1, 'a');
CREATE TABLE aria(id INT PRIMARY KEY) ENGINE=Aria; INSERT INTO aria VALUES (1);
CREATE SEQUENCE numbers START 5 INCREMENT 2 NOCACHE; DO NEXTVAL(numbers);
CREATE VIEW checked AS SELECT id, name FROM base WHERE id < 600 WITH CASCADED CHECK OPTION;
CREATE SQL SECURITY INVOKER VIEW invoked AS SELECT id FROM checked;
CREATE FUNCTION sum_of(a INT, b INT) RETURNS INT DETERMINISTIC COMMENT 'adds' RETURN a + b;
CREATE PROCEDURE empties() MODIFIES SQL DATA SQL SECURITY INVOKER DELETE FROM mine;
CREATE TRIGGER first BEFORE INSERT ON child FOR EACH ROW SET NEW.id = NEW.id + 1;
CREATE TRIGGER second BEFORE INSERT ON child FOR EACH ROW FOLLOWS first SET NEW.id = NEW.id * 2;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 02:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'e' DO DELETE FROM mine;
CREATE DATABASE `zwei-2`; CREATE TABLE `zwei-2`.`ä b`(`ö c` INT PRIMARY KEY); INSERT INTO `zwei-2`.`ä b` VALUES (1);
CREATE ROLE readers; GRANT SELECT ON one.* TO readers; CREATE ROLE leaders WITH ADMIN readers;
CREATE USER app@'10.%' IDENTIFIED BY 'secret' REQUIRE SSL WITH MAX_USER_CONNECTIONS 5 PASSWORD EXPIRE INTERVAL 90 DAY ACCOUNT LOCK;
GRANT readers TO app@'10.%' WITH ADMIN OPTION; SET DEFAULT ROLE readers FOR app@'10.%';
GRANT INSERT (name), UPDATE ON one.base TO app@'10.%' WITH GRANT OPTION; GRANT EXECUTE ON PROCEDURE one.empties TO app@'10.%';
GRANT PROXY ON app@'10.%' TO root@localhost;
CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1', PORT 1);
";

/// What each kind of object is called in the server's catalogs, and everything about it that does not differ between
/// two servers. Sizes, times and estimates do.
const KINDS: &[(&str, &str)] = &[
    (
        "databases",
        "SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT FROM information_schema.SCHEMATA WHERE @user",
    ),
    (
        "tables",
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, ROW_FORMAT, TABLE_COLLATION, REPLACE(CREATE_OPTIONS, 'page_checksum=1 ', ''), TABLE_COMMENT FROM information_schema.TABLES WHERE @user",
    ),
    (
        "columns",
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, COLUMN_TYPE, COLLATION_NAME, EXTRA, COLUMN_COMMENT, GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE @user",
    ),
    (
        "indexes",
        "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE, COLLATION, SUB_PART, INDEX_TYPE, IGNORED FROM information_schema.STATISTICS WHERE @user",
    ),
    (
        "constraints",
        "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE @user",
    ),
    (
        "references",
        "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE @user",
    ),
    (
        "partitions",
        "SELECT TABLE_SCHEMA, TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME, PARTITION_METHOD, PARTITION_DESCRIPTION FROM information_schema.PARTITIONS WHERE @user",
    ),
    (
        "views",
        "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, CHECK_OPTION, DEFINER, SECURITY_TYPE FROM information_schema.VIEWS WHERE @user",
    ),
    (
        "routines",
        "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, DTD_IDENTIFIER, ROUTINE_DEFINITION, SECURITY_TYPE, SQL_MODE, DEFINER, ROUTINE_COMMENT FROM information_schema.ROUTINES WHERE @user",
    ),
    (
        "triggers",
        "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_ORDER, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT, DEFINER FROM information_schema.TRIGGERS WHERE @user",
    ),
    (
        "events",
        "SELECT EVENT_SCHEMA, EVENT_NAME, STARTS, INTERVAL_VALUE, STATUS, ON_COMPLETION, EVENT_COMMENT, TIME_ZONE FROM information_schema.EVENTS WHERE @user",
    ),
    ("sequences", "SELECT next_not_cached_value, increment, cache_size FROM one.numbers"),
    (
        "accounts",
        "SHOW CREATE USER app@'10.%'; SHOW GRANTS FOR app@'10.%'; SHOW GRANTS FOR readers; SHOW GRANTS FOR leaders",
    ),
    ("servers", "SELECT Server_name, Host, Port, Wrapper FROM mysql.servers"),
    (
        "rows",
        "SELECT id, name, price, twice, thrice, doc, ST_AsText(place), hidden, words, raw, stamp FROM one.base; SELECT * FROM one.child; \
              SELECT * FROM one.parts; SELECT * FROM one.booked; SELECT * FROM one.both_of; SELECT * FROM one.csvs; SELECT * FROM one.aria; \
              SELECT *, row_start, row_end FROM one.history FOR SYSTEM_TIME ALL ORDER BY row_start; SELECT * FROM `zwei-2`.`ä b`",
    ),
];

/// The answer about each kind, its lines in order.
fn catalogs(database: &MariaDb) -> Vec<(&'static str, Vec<String>)> {
    KINDS
        .iter()
        .map(|(kind, question)| {
            let column = [
                "SCHEMA_NAME",
                "TABLE_SCHEMA",
                "CONSTRAINT_SCHEMA",
                "ROUTINE_SCHEMA",
                "TRIGGER_SCHEMA",
                "EVENT_SCHEMA",
            ]
            .into_iter()
            .find(|column| question.contains(&format!("SELECT {column}")))
            .unwrap_or_default();
            let answer =
                database.sql(&question.replace("@user", &format!("{column} IN ('one', 'zwei-2')")));
            let mut lines: Vec<String> = answer.lines().map(str::to_owned).collect();
            lines.sort();
            assert!(!lines.is_empty(), "the survey holds no {kind}");
            (*kind, lines)
        })
        .collect()
}

#[test]
fn every_kind_of_object_comes_back_from_dumps_and_from_copies() {
    let database = MariaDb::start();
    database.sql(OBJECTS);
    let before = catalogs(&database);
    let server = TestServer::builder()
        .instance_of("logical", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .instance_of("physical", "mariadb", &source(&database, ""), "quick")
        .start();
    let client = server.admin();
    for method in ["logical", "physical"] {
        for backup in [client.full(method), client.incremental(method)] {
            assert_eq!(backup["left_out"], Value::Array(Vec::new()), "{method}");
            let again = MariaDb::on(&server.restored(&backup));
            for (expected, found) in before.iter().zip(catalogs(&again)) {
                assert_eq!(&found, expected, "{method} {} {}", backup["kind"], id_of(&backup));
            }
        }
    }
}
