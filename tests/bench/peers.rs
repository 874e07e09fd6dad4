//! Coffer beside its peers, interleaved in one run on data made here: see `tests/bench.sh`, which
//! installs the peers and runs it.
//!
//! `cargo bench --bench peers -- [--long] [--rounds N] [--only PART,…] [--out FILE]`.
//! No figure of it makes it fail: machines differ. What a tool syncs and encrypts stands in the table.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench is for reading")]

mod api;
mod bare;
mod contest;
mod data;
mod databases;
mod footprint;
mod large;
mod live;
mod load;
#[path = "../servers/mariadb.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a harness of tests")]
mod mariadb;
mod measure;
#[path = "../servers/postgres.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a harness of tests")]
mod postgres;
#[path = "../servers/redis.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a harness of tests")]
mod redis;
mod report;
mod seed;
mod server;
mod table;
mod tools;

use std::error::Error;
use std::path::Path;

use table::{Figures, Table};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How much is measured.
#[derive(Debug)]
struct Size {
    long: bool,
    rounds: u64,
    /// MiB of the database and of the tree.
    mib: u64,
    files: u64,
    /// Rows of the large catalog.
    rows: u64,
    /// Seconds of each flood of requests.
    flood_s: u64,
    /// pgbench's scale: about 15 MiB each.
    pgbench: u32,
    mariadb_mib: u64,
    redis_mib: u64,
    /// What Coffer's memory is measured with.
    large_mib: u64,
    large_files: u64,
}

/// The word behind `name` on the command line.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|it| it != name).nth(1)
}

fn size() -> Size {
    let long = std::env::args().any(|it| it == "--long");
    let rounds = option("--rounds").and_then(|it| it.parse().ok());
    if long {
        let rounds = rounds.unwrap_or(5);
        Size {
            long,
            rounds,
            mib: 1024,
            files: 20_000,
            rows: 1_000_000,
            flood_s: 3,
            pgbench: 65,
            mariadb_mib: 600,
            redis_mib: 400,
            large_mib: 10 * 1024,
            large_files: 100_000,
        }
    } else {
        let rounds = rounds.unwrap_or(1);
        Size {
            long,
            rounds,
            mib: 128,
            files: 2_500,
            rows: 100_000,
            flood_s: 1,
            pgbench: 10,
            mariadb_mib: 60,
            redis_mib: 40,
            large_mib: 512,
            large_files: 10_000,
        }
    }
}

fn main() -> Outcome<()> {
    let said: Vec<String> = std::env::args().collect();
    if let [_, word, file, workers] = said.as_slice()
        && word == "bare"
    {
        return bare::serve(Path::new(file), workers.parse()?);
    }
    let (size, only) = (size(), option("--only"));
    let wanted = |part: &str| only.as_deref().is_none_or(|it| it.split(',').any(|it| it == part));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (mut table, mut figures) = (Table::default(), Figures::default());
    if wanted("footprint") {
        footprint::rows(&folder.path().join("footprint"), &size, &mut figures)?;
    }
    if wanted("api") {
        api::rows(&folder.path().join("api"), &size, &mut figures)?;
    }
    if wanted("sqlite") {
        let place = folder.path().join("sqlite");
        std::fs::create_dir_all(&place)?;
        contest::sqlite(&place, size.mib, size.rounds, &mut table)?;
        live::writer_waits(&place, &mut figures)?;
        std::fs::remove_dir_all(&place)?;
    }
    if wanted("tree") {
        let place = folder.path().join("tree");
        std::fs::create_dir_all(&place)?;
        contest::tree(&place, (size.files, size.mib), size.rounds, &mut table)?;
        std::fs::remove_dir_all(&place)?;
    }
    if wanted("large") {
        let place = folder.path().join("large");
        std::fs::create_dir_all(&place)?;
        large::rows(&place, &size, &mut figures)?;
        std::fs::remove_dir_all(&place)?;
    }
    for (part, contest) in databases::ALL {
        if wanted(part) {
            let place = folder.path().join(part);
            std::fs::create_dir_all(&place)?;
            contest(&place, &size, &mut table, &mut figures)?;
            std::fs::remove_dir_all(&place)?;
        }
    }
    let text = report::markdown(&size, &table, &figures);
    println!("{text}");
    if let Some(out) = option("--out") {
        #[expect(clippy::disallowed_methods, reason = "the bench's own report")]
        std::fs::write(out, text)?;
    }
    Ok(())
}
