//! The report: what was measured, where, when, with which versions.

use super::before_after;
use super::measure::output_of;
use super::options::{COFFER, Options, Size};
use super::table::Results;
use super::tools::TOOLS;

/// What Coffer does beyond the work, for the table.
const OURS: &str = "fsync, plain, reads the file back and compares every hash";

fn notes(tool: &str) -> &'static str {
    TOOLS.iter().find(|it| it.name == tool).map_or(OURS, |it| it.notes)
}

/// All results as Markdown.
pub(crate) fn markdown(options: &Options, results: &Results) -> String {
    let coffers = options.programs.iter().map(|program| {
        let version = output_of(&format!("'{}' --version", program.path.display()));
        if program.name == COFFER { version } else { format!("{}: {version}", program.name) }
    });
    let tools = TOOLS.iter().filter(|_tool| !options.only_coffer).map(|tool| {
        if tool.is_installed() {
            output_of(&format!("{} 2>/dev/null | head -1", tool.version))
        } else {
            format!("{}: not installed, left out", tool.name)
        }
    });
    let versions: Vec<String> = coffers.chain(tools).collect();
    let form = if options.long { "long" } else { "short" };
    let Options { rounds, .. } = options;
    let Size { mib, files, rows, pgbench, mariadb_mib, redis_mib, .. } = options.size;
    let before_after =
        if options.compares() { before_after::markdown(results) } else { String::new() };
    format!(
        "# Bench results\n\n\
         Made by `tests/bench.sh`{}; {form} form: a database of {mib} MiB, a tree of {files} files and \
         {mib} MiB, a catalog of {rows} rows; PostgreSQL of pgbench's scale {pgbench}, MariaDB of {mariadb_mib} \
         MiB, Redis of {redis_mib} MiB; {rounds} interleaved rounds.\n\n\
         - date: {}\n- machine: {}, {} processors, {} MiB of memory, kernel {}\n- load before and \
         after is part of the result: 1-minute average at the end {}\n- {}\n\n\
         Times are wall clock. Before each measurement, the source and the tool's own store are read into the page \
         cache, except MariaDB's files, which a server in use keeps out of it. CPU and memory of another tool are \
         those of its process tree; those of a backup by Coffer are the server's (peak resident since the row \
         began), those of a restore or verify the command's. restic and rustic derive a key with scrypt at every \
         start (about 0.3 s), and their encryption cannot be turned off. Of the other tools only pgBackRest syncs \
         what it restores.\n\n\
         In the rows of database servers, all tools read the same running server, and nothing writes to it. The \
         server's own CPU and memory are not counted. Coffer's CPU and memory include the tools that it runs. \
         pgBackRest backs up without the WAL that a restore needs (no archive_command), and its restore is of its \
         newest increment; the backups of Coffer and pg_basebackup contain the WAL. Coffer's archive of MariaDB \
         contains a prepared data directory; mariadb-backup's stream must still be prepared after a restore: the \
         row \"ready to start\" includes that. A tool that is missing from a row of changes can only make another \
         full backup.\n\n\
         ## Backups\n\n{}\n## API and footprint\n\n{}\n{}",
        if options.long { " --long" } else { "" },
        output_of("date -u +%Y-%m-%dT%H:%MZ"),
        output_of("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1"),
        output_of("nproc"),
        output_of("awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo"),
        output_of("uname -r"),
        output_of("cut -d' ' -f1 /proc/loadavg"),
        versions.join("\n- "),
        results.costs.markdown(notes),
        results.figures.markdown(),
        before_after,
    )
}
