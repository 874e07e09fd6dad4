//! MariaDB, with one large table of InnoDB.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::Outcome;
use super::super::contest::{Change, Contest};
use super::super::data::{Numbers, write};
use super::super::mariadb::MariaDb;
use super::super::measure::run_shell;
use super::super::options::Options;
use super::super::table::Results;
use super::super::tools::Kind;

/// Rows in one file to load.
const AT_ONCE: u64 = 50_000;

/// Bytes that a row takes in the table, about.
const ROW: u64 = 700;

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let size = &options.size;
    eprintln!("mariadb: making {} MiB", size.mariadb_mib);
    let server = MariaDb::start_with(&[
        "--innodb-log-file-size=96M",
        "--innodb-buffer-pool-size=256M",
        "--innodb-max-dirty-pages-pct=0",
        "--local-infile=1",
    ]);
    fill(&server, folder, size.mariadb_mib)?;
    let changes: [Change; 2] =
        [("1 % changed, scattered", scatter), ("1 % changed, in one place", cluster)];
    let source = server.folder();
    let contest = Contest {
        name: "mariadb",
        engine: "mariadb",
        kind: Kind::MariaDb,
        source,
        configured: format!("{{ socket = {}, user = \"root\" }}", json!(server.socket())),
        folder,
        changes: &changes,
    };
    contest.run(options, results)
}

/// Rows of words, of hexadecimal digits and of base64, as applications have them.
fn fill(server: &MariaDb, folder: &Path, mib: u64) -> Outcome<()> {
    server.sql(
        "CREATE DATABASE bench;
         CREATE TABLE bench.document (id INT PRIMARY KEY, title VARCHAR(80) NOT NULL, \
         body TEXT NOT NULL, digest CHAR(40) NOT NULL, token VARCHAR(200) NOT NULL, n INT NOT NULL) \
         ENGINE=InnoDB DEFAULT CHARSET=latin1",
    );
    let (mut numbers, rows, file) = (Numbers::new(4), (mib << 20) / ROW, folder.join("rows.tsv"));
    let mut done = 0;
    while done < rows {
        let mut text = String::new();
        for id in done..rows.min(done + AT_ONCE) {
            let (title, body) = (numbers.text(5), numbers.text(60));
            let digest = hex::encode(numbers.blob(20));
            let token = STANDARD.encode(numbers.blob(70));
            writeln!(text, "{id}\t{title}\t{body}\t{digest}\t{token}\t{id}")?;
        }
        done += AT_ONCE;
        write(&file, text.as_bytes())?;
        server
            .sql(&format!("LOAD DATA LOCAL INFILE '{}' INTO TABLE bench.document", file.display()));
    }
    std::fs::remove_file(&file)?;
    quiet(server.folder())
}

fn scatter(server: &Path, round: u64) -> Outcome<()> {
    change(server, &format!("id % 100 = {}", round % 100))
}

fn cluster(server: &Path, round: u64) -> Outcome<()> {
    let part = (round * 7 + 3) % 99;
    let from = "(SELECT * FROM (SELECT max(id) DIV 100 FROM document) AS hundredth)";
    change(server, &format!("id > {from} * {part} AND id <= {from} * ({part} + 1)"))
}

fn change(server: &Path, which: &str) -> Outcome<()> {
    let client = client(server);
    let changed = "n = n + 1000000, body = reverse(body)";
    run_shell(&format!("{client} bench --execute='UPDATE document SET {changed} WHERE {which}'"))?;
    quiet(server)
}

/// Waits until everything is in the tables and past a checkpoint: else a backup would carry the log of what
/// the bench has done before, and not only what is in the tables.
fn quiet(server: &Path) -> Outcome<()> {
    let age = "SHOW GLOBAL STATUS LIKE \"Innodb_checkpoint_age\"";
    run_shell(&format!(
        "for _ in $(seq 600); do set -- $({} -N --execute='{age}'); [ \"$2\" -gt 50000 ] || exit 0; \
         sleep 0.1; done; echo \"no checkpoint: $*\" >&2; exit 1",
        client(server)
    ))
}

fn client(server: &Path) -> String {
    format!("mariadb --no-defaults --user=root --socket='{}/s'", server.display())
}
