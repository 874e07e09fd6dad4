//! `tar | zstd -3 -T2`: the same for folders.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "tar, zstd -3 -T2",
    program: "tar",
    version: "tar --version",
    notes: "no fsync, plain",
    reads: &[Kind::Folder],
    lines,
};

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let Paths { source, store, target } = paths;
    let packed = store.join("packed.tar.zst");
    let (source, packed) = (source.display(), packed.display());
    let line = match work {
        Work::Full => format!("tar -C '{source}' -cf - . | zstd -3 -T2 -q -f -o '{packed}'"),
        Work::Restore => format!("zstd -d -q -c '{packed}' | tar -C '{}' -xf -", target.display()),
        Work::Verify => format!("zstd -t -q '{packed}'"),
        _ => return None,
    };
    Some(Lines { before: String::new(), line })
}
