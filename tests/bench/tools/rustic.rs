//! rustic, restic's format in Rust. Installed by `COFFER_BENCH_RUSTIC=1 tests/bench.sh`.

use super::{Kind, Lines, Place, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "rustic",
    program: "rustic",
    version: "rustic --version",
    notes: "fsync, encrypts",
    reads: &[Kind::File, Kind::Folder],
    lines,
};

#[expect(clippy::unnecessary_wraps, reason = "other tools do not do every work")]
fn lines(place: &Place, work: Work) -> Option<Lines> {
    let (source, target) = (place.source.display(), place.target.display());
    let quiet = "rustic --log-level error --no-progress";
    let before =
        if work == Work::Full { format!("{quiet} init >/dev/null") } else { String::new() };
    let line = match work {
        Work::Full | Work::Again | Work::Changed => format!("{quiet} backup '{source}'"),
        Work::Reread => format!("{quiet} backup --force '{source}'"),
        Work::Restore | Work::Ready => format!("{quiet} restore latest '{target}'"),
        Work::Verify => format!("{quiet} check --read-data"),
    };
    Some(Lines { before, line })
}
