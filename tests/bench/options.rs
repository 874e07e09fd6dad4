//! What the command line asks for: how much is measured, and by which binaries.

use std::path::{Path, PathBuf};

use super::Outcome;

/// A Coffer binary that takes part.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
}

/// The name of the binary that was built from this source.
pub(crate) const COFFER: &str = "coffer";

/// The name of the binary that `--before` names.
pub(crate) const BEFORE: &str = "before";

/// The part that runs only if it is named, as it takes ten minutes.
pub(crate) const SOAK: &str = "soak";

/// How much is measured, and what takes part.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) long: bool,
    /// This Coffer, and the one of `--before`.
    pub(crate) programs: Vec<Program>,
    /// Whether the other tools are left out.
    pub(crate) only_coffer: bool,
    /// The parts of `--only`; empty for all.
    only: Vec<String>,
    /// Where the report is written to as well.
    pub(crate) out: Option<PathBuf>,
    pub(crate) rounds: u64,
    pub(crate) soak_minutes: u64,
    pub(crate) size: Size,
}

/// The sizes of what is backed up and asked for.
#[derive(Debug)]
pub(crate) struct Size {
    /// MiB of the database and of the tree.
    pub(crate) mib: u64,
    pub(crate) files: u64,
    /// Rows of the large catalog.
    pub(crate) rows: u64,
    /// Seconds that each load on the API takes.
    pub(crate) load_s: u64,
    /// pgbench's scale: about 15 MiB each.
    pub(crate) pgbench: u32,
    pub(crate) mariadb_mib: u64,
    pub(crate) redis_mib: u64,
    /// The sources that Coffer's peak memory is measured with.
    pub(crate) large_mib: u64,
    pub(crate) large_files: u64,
}

const SHORT: Size = Size {
    mib: 128,
    files: 2_500,
    rows: 100_000,
    load_s: 1,
    pgbench: 10,
    mariadb_mib: 60,
    redis_mib: 40,
    large_mib: 512,
    large_files: 10_000,
};

const LONG: Size = Size {
    mib: 1024,
    files: 20_000,
    rows: 1_000_000,
    load_s: 3,
    pgbench: 65,
    mariadb_mib: 600,
    redis_mib: 400,
    large_mib: 10 * 1024,
    large_files: 100_000,
};

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let this = PathBuf::from(env!("CARGO_BIN_EXE_coffer"));
        let mut options = Self {
            long: false,
            programs: vec![Program { name: COFFER, path: this }],
            only_coffer: false,
            only: Vec::new(),
            out: None,
            rounds: 0,
            soak_minutes: 10,
            size: SHORT,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--long" => (options.long, options.size) = (true, LONG),
                "--only-coffer" => options.only_coffer = true,
                "--rounds" => options.rounds = value()?.parse()?,
                "--minutes" => options.soak_minutes = value()?.parse()?,
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--out" => options.out = Some(value()?.into()),
                "--before" => {
                    let path = Path::new(&value()?).canonicalize()?;
                    options.programs.push(Program { name: BEFORE, path });
                }
                // Cargo's own.
                "--bench" => {}
                _ => return Err(format!("unknown option {argument}").into()),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.long || options.compares() { 5 } else { 1 };
        }
        Ok(options)
    }

    /// Whether two binaries are compared.
    pub(crate) fn compares(&self) -> bool {
        self.programs.len() > 1
    }

    /// Whether this part is to be measured.
    pub(crate) fn includes(&self, part: &str) -> bool {
        self.only.is_empty() && part != SOAK || self.only.iter().any(|it| it == part)
    }

    /// The binaries in the order of this round: each round begins with another one.
    pub(crate) fn programs_in(&self, round: u64) -> impl Iterator<Item = &Program> {
        let first = usize::try_from(round).unwrap_or(0) % self.programs.len();
        self.programs.iter().cycle().skip(first).take(self.programs.len())
    }
}
