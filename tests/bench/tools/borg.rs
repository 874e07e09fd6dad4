//! borg, without encryption and with zstd, as fast as it goes.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "borg",
    program: "borg",
    version: "borg --version",
    notes: "fsync, plain",
    reads: &[Kind::File, Kind::Folder],
    lines,
};

#[expect(clippy::unnecessary_wraps, reason = "other tools do not do every work")]
fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let (source, target) = (paths.source.display(), paths.target.display());
    let before = if work == Work::Full { "borg init -e none" } else { "" };
    // Without the files cache, borg reads every byte.
    let create = "borg create --compression zstd,3";
    let line = match work {
        Work::Full | Work::Unchanged | Work::Changed => {
            format!("{create} --files-cache ctime,size,inode '::{{now:%s.%f}}' '{source}'")
        }
        Work::Reread => format!("{create} --files-cache disabled '::{{now:%s.%f}}' '{source}'"),
        Work::Restore | Work::RestoreReady => {
            format!("cd '{target}'; borg extract \"::$(borg list --short --last 1)\"")
        }
        Work::Verify => "borg check --verify-data".to_owned(),
    };
    Some(Lines { before: before.to_owned(), line })
}
