//! pgBackRest with a stanza and a repository of its own, with zstd and as many processes as Coffer's workers.
//! Debian's 2.45 stores changed files completely: incremental blocks came later.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "pgBackRest zst:3 x2",
    program: "pgbackrest",
    version: "pgbackrest version",
    notes: "fsync, plain, without its WAL, not read back",
    reads: &[Kind::PostgreSql],
    lines,
};

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (source, target) = (paths.source.display(), paths.target.display());
    let (store, config) = (paths.store.display(), paths.store.join("pgbackrest.conf"));
    let run = format!("pgbackrest --config='{}' --stanza=bench", config.display());
    let before = if work == Work::Full {
        format!(
            "printf '%s\\n' '[global]' 'repo1-path={store}/repo' 'lock-path={store}/lock' \
             'log-level-file=off' 'log-level-console=error' 'process-max=2' 'compress-type=zst' \
             'compress-level=3' 'repo1-retention-full=9' 'start-fast=y' '[global:backup]' \
             'archive-check=n' '[bench]' 'pg1-path={source}/data' 'pg1-socket-path={source}' \
             'pg1-user=postgres' > '{}'; {run} stanza-create",
            config.display()
        )
    } else {
        String::new()
    };
    let line = match work {
        Work::Full => format!("{run} backup --type=full"),
        Work::Unchanged | Work::Changed => format!("{run} backup --type=incr"),
        Work::Restore => format!("{run} restore --type=none --pg1-path='{target}'"),
        _ => return None,
    };
    Some(Lines { before, line })
}
