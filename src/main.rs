//! The `coffer` command.
//!
//! Memory comes from the system's allocator: mimalloc made a look at the catalog cheaper by 2 to 4 %, and a
//! server at rest larger by 17 MiB (31 instead of 14).

use std::process::ExitCode;

fn main() -> ExitCode {
    coffer::cli::run().into()
}
