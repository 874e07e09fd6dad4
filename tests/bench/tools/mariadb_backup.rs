//! `mariadb-backup --stream | zstd -3 -T2` and its increments: raw copies, prepared when they are restored.

use super::{Kind, Lines, Place, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "mariadb-backup, zstd -3 -T2",
    program: "mariadb-backup",
    version: "(mariadb-backup --version 2>&1)",
    notes: "no fsync, plain, not prepared, not read back",
    reads: &[Kind::MariaDb],
    lines,
};

/// The program, on its way to the server of this folder.
pub(super) fn backup(place: &Place) -> String {
    let source = place.source.display();
    format!("mariadb-backup --no-defaults --backup --user=root --socket='{source}/s'")
}

fn lines(place: &Place, work: Work) -> Option<Lines> {
    let (store, target) = (place.store.display(), place.target.display());
    let full = format!("'{store}/full.mbs.zst'");
    let stream = format!(
        "{} --stream=mbstream --target-dir='{target}' --extra-lsndir='{store}/lsn'",
        backup(place)
    );
    let packed = "zstd -3 -T2 -q -f -o";
    let unpacked = format!("zstd -d -q -c {full} | mbstream -x -C '{target}'");
    let mut before = String::new();
    let line = match work {
        Work::Full => format!("{stream} | {packed} {full}"),
        Work::Again | Work::Changed => {
            before = format!("rm -rf '{store}/base'; mv '{store}/lsn' '{store}/base'");
            let increment = format!("'{store}'/increment-$(date +%s%N).mbs.zst");
            format!("{stream} --incremental-basedir='{store}/base' | {packed} {increment}")
        }
        Work::Restore => unpacked,
        Work::Ready => {
            format!("{unpacked}; mariadb-backup --no-defaults --prepare --target-dir='{target}'")
        }
        Work::Verify => format!("zstd -t -q {full}"),
        Work::Reread => return None,
    };
    Some(Lines { before, line })
}
