//! Measures Coffer beside other backup tools, interleaved in one run, on data that it makes. See
//! `tests/bench.sh`, which installs the tools and runs it, for its options.
//!
//! No result makes it fail: machines differ. The tables say which tools sync and encrypt.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench is for reading")]

mod api;
mod attacks;
mod bare;
mod before_after;
mod contest;
mod copies;
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
mod options;
mod pages;
#[path = "../servers/postgres.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a harness of tests")]
mod postgres;
#[path = "../support/readers.rs"]
mod readers;
#[path = "../servers/redis.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a harness of tests")]
mod redis;
mod report;
#[path = "../servers/s3.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a harness of tests")]
mod s3;
mod scheduler;
mod seed;
mod server;
mod soak;
mod table;
mod tools;

use std::error::Error;
use std::path::Path;

use options::{Options, SOAK};
use table::Results;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A part of the bench, which measures in a folder of its own.
type Part = fn(&Path, &Options, &mut Results) -> Outcome<()>;

const PARTS: [(&str, Part); 13] = [
    ("footprint", footprint::rows),
    ("api", api::rows),
    ("console", pages::rows),
    ("scheduler", scheduler::rows),
    ("attacks", attacks::rows),
    (SOAK, soak::rows),
    ("sqlite", contest::sqlite),
    ("tree", contest::tree),
    ("copies", copies::rows),
    ("large", large::rows),
    ("postgresql", databases::postgresql::rows),
    ("mariadb", databases::mariadb::rows),
    ("redis", databases::redis::rows),
];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, file, workers] = arguments.as_slice()
        && word == "bare"
    {
        return bare::serve(Path::new(file), workers.parse()?);
    }
    let options = Options::parse(arguments.into_iter())?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut results = Results::default();
    for (name, measure) in PARTS {
        if options.includes(name) {
            let place = folder.path().join(name);
            std::fs::create_dir_all(&place)?;
            measure(&place, &options, &mut results)?;
            std::fs::remove_dir_all(&place)?;
        }
    }
    let text = report::markdown(&options, &results);
    println!("{text}");
    if let Some(out) = options.out {
        #[expect(clippy::disallowed_methods, reason = "the bench's own report")]
        std::fs::write(out, text)?;
    }
    Ok(())
}
