//! PostgreSQL, filled by pgbench.

use std::path::Path;

use serde_json::json;

use super::super::Outcome;
use super::super::contest::{Change, Contest};
use super::super::measure::run_shell;
use super::super::options::Options;
use super::super::postgres::{Postgres, Setup, bin};
use super::super::table::Results;
use super::super::tools::Kind;

/// Nothing but the bench changes anything.
const SETTINGS: &str = "autovacuum = off\nmax_wal_size = 4GB\ncheckpoint_timeout = 1h\n";

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let size = &options.size;
    eprintln!("postgresql: pgbench at scale {}", size.pgbench);
    let server = Postgres::with(&Setup { settings: SETTINGS.to_owned(), ..Setup::default() });
    server.fill("postgres", size.pgbench);
    server.sql("postgres", "CHECKPOINT");
    let changes: [Change; 2] =
        [("1 % changed, scattered", scatter), ("1 % changed, in one place", cluster)];
    let contest = Contest {
        name: "postgresql",
        engine: "postgresql",
        kind: Kind::PostgreSql,
        source: server.folder(),
        configured: format!("{{ socket = {}, user = \"postgres\" }}", json!(server.folder())),
        folder,
        changes: &changes,
    };
    contest.run(options, results)
}

fn scatter(server: &Path, round: u64) -> Outcome<()> {
    change(server, &format!("aid % 100 = {}", round % 100))
}

fn cluster(server: &Path, round: u64) -> Outcome<()> {
    // By the index: a scan of the table would set hint bits on many pages.
    let hundredth = "(SELECT max(aid) / 100 FROM pgbench_accounts)";
    let part = (round * 7 + 3) % 99;
    change(server, &format!("aid > {hundredth} * {part} AND aid <= {hundredth} * ({part} + 1)"))
}

fn change(server: &Path, which: &str) -> Outcome<()> {
    run_shell(&format!(
        "'{}' -h '{}' -U postgres -Xq -v ON_ERROR_STOP=1 \
         -c 'UPDATE pgbench_accounts SET abalance = abalance + aid % 1000 WHERE {which}' -c CHECKPOINT postgres",
        bin().join("psql").display(),
        server.display()
    ))
}
