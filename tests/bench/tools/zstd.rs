//! `zstd -3 -T2`: a full backup that only compresses.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "zstd -3 -T2",
    program: "zstd",
    version: "zstd --version",
    notes: "no fsync, plain",
    reads: &[Kind::File],
    lines,
};

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let Paths { source, store, target } = paths;
    let (source, packed) = (source.display(), store.join("packed.zst"));
    let packed = packed.display();
    let line = match work {
        Work::Full => format!("zstd -3 -T2 -q -f '{source}' -o '{packed}'"),
        Work::Restore => format!("zstd -d -q -f '{packed}' -o '{}/restored'", target.display()),
        Work::Verify => format!("zstd -t -q '{packed}'"),
        _ => return None,
    };
    Some(Lines { before: String::new(), line })
}
