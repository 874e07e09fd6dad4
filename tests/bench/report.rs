//! The report: what was measured, where, when, with which versions.

use super::Size;
use super::measure::said;
use super::table::{Figures, Table};
use super::tools::TOOLS;

/// What Coffer does beyond the work, for the table.
const OURS: &str = "fsync, plain, reads the file back and compares every hash";

fn notes(tool: &str) -> &'static str {
    TOOLS.iter().find(|it| it.name == tool).map_or(OURS, |it| it.notes)
}

/// All of it as Markdown.
pub(crate) fn markdown(size: &Size, table: &Table, figures: &Figures) -> String {
    let versions: Vec<String> = TOOLS
        .iter()
        .map(|tool| {
            if tool.is_there() {
                said(&format!("{} 2>/dev/null | head -1", tool.version))
            } else {
                format!("{}: not installed, left out", tool.name)
            }
        })
        .collect();
    let form = if size.long { "long" } else { "short" };
    let Size { rounds, mib, files, rows, pgbench, mariadb_mib, redis_mib, .. } = size;
    format!(
        "# Bench results\n\n\
         Made by `tests/bench.sh`{}; {form} form: a database of {mib} MiB, a tree of {files} files and \
         {mib} MiB, a catalog of {rows} rows; PostgreSQL of pgbench's scale {pgbench}, MariaDB of {mariadb_mib} \
         MiB, Redis of {redis_mib} MiB; {rounds} interleaved rounds.\n\n\
         - date: {}\n- machine: {}, {} processors, {} MiB of memory, kernel {}\n- load before and \
         after is part of the result: 1-minute average at the end {}\n- coffer {}\n- {}\n\n\
         Times are wall clock; before each, the source and the tool's own store are read into the page \
         cache, but for MariaDB's files, which a server in use keeps out of it. CPU and memory of a peer are those of its whole process tree; those of a backup by \
         Coffer are the server's (peak resident since the row began), those of a restore or verify the command's. restic and rustic derive a key with scrypt at every start \
         (about 0.3 s), encryption cannot be turned off there. Restores of no peer but pgBackRest are \
         fsynced.\n\n\
         Rows of database servers: both sides read the same running server with nobody writing; what the \
         server itself takes for it (CPU, memory) is counted for nobody. Coffer's CPU and memory there \
         include the tools it runs. pgBackRest backs up without the WAL that its backup needs to be \
         restored (no archive_command), and its restore is of its newest increment; Coffer's archives \
         and pg_basebackup's hold it. Coffer's archive of MariaDB holds a prepared data directory; \
         mariadb-backup's stream has yet to be prepared, and \
         its restore is quicker and worth less for it: the row \"ready to start\" counts that. Where a \
         peer is missing in a row of changes, it can do nothing but a full backup again.\n\n\
         ## Backups\n\n{}\n## API and footprint\n\n{}",
        if size.long { " --long" } else { "" },
        said("date -u +%Y-%m-%dT%H:%MZ"),
        said("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1"),
        said("nproc"),
        said("awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo"),
        said("uname -r"),
        said("cut -d' ' -f1 /proc/loadavg"),
        env!("CARGO_PKG_VERSION"),
        versions.join("\n- "),
        table.markdown(&notes),
        figures.markdown(),
    )
}
