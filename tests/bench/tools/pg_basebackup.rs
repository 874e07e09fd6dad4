//! PostgreSQL's own tool, which packs on the client. Version 15 knows no incremental backup.

use super::super::postgres::bin;
use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "pg_basebackup client-zstd:3",
    program: "pg_basebackup",
    version: "pg_basebackup --version",
    notes: "fsync, plain, not read back",
    reads: &[Kind::PostgreSql],
    lines,
};

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (source, target) = (paths.source.display(), paths.target.display());
    let (program, copy) = (bin().join("pg_basebackup"), paths.store.join("copy"));
    let (program, copy) = (program.display(), copy.display());
    let line = match work {
        Work::Full => format!(
            "{program} -h '{source}' -U postgres -D '{copy}' -Ft -X fetch --checkpoint=fast \
             --compress=client-zstd:3"
        ),
        Work::Restore => {
            format!("zstd -d -q -c '{copy}/base.tar.zst' | tar -C '{target}' -xf -")
        }
        Work::Verify => format!("zstd -t -q '{copy}/base.tar.zst'"),
        _ => return None,
    };
    Some(Lines { before: String::new(), line })
}
