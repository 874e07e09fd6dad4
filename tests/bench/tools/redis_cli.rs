//! `redis-cli --rdb - | zstd -3 -T2`: the snapshot, packed.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "redis-cli --rdb, zstd -3 -T2",
    program: "redis-cli",
    version: "redis-cli --version",
    notes: "no fsync, plain, neither checked nor read back",
    reads: &[Kind::Redis],
    lines,
};

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (source, target) = (paths.source.display(), paths.target.display());
    let packed = paths.store.join("dump.rdb.zst");
    let packed = packed.display();
    let line = match work {
        Work::Full => {
            format!("redis-cli -s '{source}/s' --rdb - | zstd -3 -T2 -q -f -o '{packed}'")
        }
        Work::Restore => format!("zstd -d -q -f '{packed}' -o '{target}/dump.rdb'"),
        Work::Verify => format!("zstd -t -q '{packed}'"),
        _ => return None,
    };
    Some(Lines { before: String::new(), line })
}
