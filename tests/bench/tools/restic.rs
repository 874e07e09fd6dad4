//! restic. Each run derives its key again (scrypt, about 0.3 s), as for every user.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "restic",
    program: "restic",
    version: "restic version",
    notes: "fsync, encrypts",
    reads: &[Kind::File, Kind::Folder],
    lines,
};

#[expect(clippy::unnecessary_wraps, reason = "other tools do not do every work")]
fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (source, target) = (paths.source.display(), paths.target.display());
    let before = if work == Work::Full { "restic -q init >/dev/null" } else { "" };
    let line = match work {
        Work::Full | Work::Unchanged | Work::Changed => format!("restic -q backup '{source}'"),
        Work::Reread => format!("restic -q backup --force '{source}'"),
        Work::Restore | Work::RestoreReady => {
            format!("restic -q restore latest --target '{target}'")
        }
        Work::Verify => "restic -q check --read-data".to_owned(),
    };
    Some(Lines { before: before.to_owned(), line })
}
