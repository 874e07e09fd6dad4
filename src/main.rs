//! The `coffer` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(coffer::cli::run() as u8)
}
