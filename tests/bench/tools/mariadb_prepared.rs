//! `mariadb-backup` to a folder, prepared there, and `tar | zstd -3 -T2`: what an archive of Coffer holds.

use super::mariadb_backup::backup;
use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "mariadb-backup, prepared, tar, zstd -3 -T2",
    program: "mariadb-backup",
    version: "(mariadb-backup --version 2>&1)",
    notes: "no fsync, plain, not read back",
    reads: &[Kind::MariaDb],
    lines,
};

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (store, target) = (paths.store.display(), paths.target.display());
    let packed = format!("'{store}/packed.tar.zst'");
    let line = match work {
        // It prepares in the folder for restores, which is removed without being measured.
        Work::Full => format!(
            "{} --target-dir='{target}'; \
             mariadb-backup --no-defaults --prepare --target-dir='{target}'; \
             tar -C '{target}' -cf - . | zstd -3 -T2 -q -f -o {packed}",
            backup(paths)
        ),
        Work::Restore | Work::RestoreReady => {
            format!("zstd -d -q -c {packed} | tar -C '{target}' -xf -")
        }
        Work::Verify => format!("zstd -t -q {packed}"),
        Work::Unchanged | Work::Changed | Work::Reread => return None,
    };
    Some(Lines { before: String::new(), line })
}
