//! What an idle Coffer takes: bytes on the disk, memory, and the time to start.

use std::path::Path;
use std::time::Duration;

use super::measure::{memory_of, mib, output_of, settle};
use super::options::Options;
use super::server::{Server, configure};
use super::table::Results;
use super::{Outcome, seed};

/// Starts that are measured.
const STARTS: u64 = 5;

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    for program in &options.programs {
        let binary = folder.join(program.name);
        output_of(&format!("strip -o '{}' '{}'", binary.display(), program.path.display()));
        let bytes = std::fs::metadata(&binary)?.len();
        results.figure("footprint: stripped binary", program.name, "MiB", mib(bytes));
    }
    for rows in [0, options.size.rows] {
        eprintln!("footprint: a catalog of {rows} rows");
        let config = |name: &str| {
            configure(folder, &format!("{name}-{rows}"), "[auth]\nmode = \"none\"\n", &[])
        };
        for program in &options.programs {
            let config = config(program.name)?;
            Server::start(program, &config)?.stop()?;
            if rows > 0 {
                seed::backups(&config.with_extension("").join("catalog.db"), rows)?;
            }
        }
        for start in 0..STARTS {
            for program in options.programs_in(start) {
                settle([])?;
                let server = Server::start(program, &config(program.name)?)?;
                let started_ms = server.started_in.as_secs_f64() * 1000.0;
                let row = format!("footprint: cold start to listening, {rows} rows");
                results.figure(&row, program.name, "ms", started_ms);
                // Memory that only the start needs is released within a second.
                std::thread::park_timeout(Duration::from_secs(1));
                let row = format!("footprint: idle RSS, {rows} rows");
                let idle = memory_of(server.pid(), "VmRSS:")?;
                results.figure(&row, program.name, "MiB", idle);
                server.stop()?;
            }
        }
    }
    Ok(())
}
