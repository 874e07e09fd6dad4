//! `mariadb-backup --stream | zstd -3 -T2` and its increments: raw copies, prepared when they are restored.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "mariadb-backup, zstd -3 -T2",
    program: "mariadb-backup",
    version: "(mariadb-backup --version 2>&1)",
    notes: "no fsync, plain, not prepared, not read back",
    reads: &[Kind::MariaDb],
    lines,
};

/// The command that backs up the server of this folder.
pub(super) fn backup(paths: &Paths) -> String {
    let source = paths.source.display();
    format!("mariadb-backup --no-defaults --backup --user=root --socket='{source}/s'")
}

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (store, target) = (paths.store.display(), paths.target.display());
    let full = format!("'{store}/full.mbs.zst'");
    let stream = format!(
        "{} --stream=mbstream --target-dir='{target}' --extra-lsndir='{store}/lsn'",
        backup(paths)
    );
    let packed = "zstd -3 -T2 -q -f -o";
    let unpacked = format!("zstd -d -q -c {full} | mbstream -x -C '{target}'");
    let mut before = String::new();
    let line = match work {
        Work::Full => format!("{stream} | {packed} {full}"),
        Work::Unchanged | Work::Changed => {
            before = format!("rm -rf '{store}/base'; mv '{store}/lsn' '{store}/base'");
            let increment = format!("'{store}'/increment-$(date +%s%N).mbs.zst");
            format!("{stream} --incremental-basedir='{store}/base' | {packed} {increment}")
        }
        Work::Restore => unpacked,
        Work::RestoreReady => {
            format!("{unpacked}; mariadb-backup --no-defaults --prepare --target-dir='{target}'")
        }
        Work::Verify => format!("zstd -t -q {full}"),
        Work::Reread => return None,
    };
    Some(Lines { before, line })
}
