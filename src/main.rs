//! The `coffer` command.
//!
//! Memory comes from jemalloc, also that of SQLite and zstd, with the settings of `.cargo/config.toml`: of the same program, 40
//! MiB were left after a crowd of every kind of connection, and 66 with the allocator of glibc, which also took 1 to 2 MiB
//! more at rest. A backup, a restore and a list take as much of a processor. mimalloc took 17 MiB more at rest.

use std::process::ExitCode;

#[cfg(target_env = "gnu")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    coffer::cli::run().into()
}
