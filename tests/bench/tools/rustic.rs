//! rustic, restic's format in Rust. Installed by `COFFER_BENCH_RUSTIC=1 tests/bench.sh`.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "rustic",
    program: "rustic",
    version: "rustic --version",
    notes: "fsync, encrypts",
    reads: &[Kind::File, Kind::Folder],
    lines,
};

#[expect(clippy::unnecessary_wraps, reason = "other tools do not do every work")]
fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (source, target) = (paths.source.display(), paths.target.display());
    let quiet = "rustic --log-level error --no-progress";
    let before =
        if work == Work::Full { format!("{quiet} init >/dev/null") } else { String::new() };
    let line = match work {
        Work::Full | Work::Unchanged | Work::Changed => format!("{quiet} backup '{source}'"),
        Work::Reread => format!("{quiet} backup --force '{source}'"),
        Work::Restore | Work::RestoreReady => format!("{quiet} restore latest '{target}'"),
        Work::Verify => format!("{quiet} check --read-data"),
    };
    Some(Lines { before, line })
}
