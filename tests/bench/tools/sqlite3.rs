//! `sqlite3 .backup`, SQLite's own way to copy a live database, neither compressed nor checked.

use super::{Kind, Lines, Paths, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "sqlite3 .backup",
    program: "sqlite3",
    version: "sqlite3 --version",
    notes: "fsync, plain",
    reads: &[Kind::File],
    lines,
};

fn lines(paths: &Paths, work: Work) -> Option<Lines> {
    let copy = paths.store.join("copy.db");
    let line = match work {
        Work::Full | Work::Reread => {
            format!("sqlite3 '{}' \".backup '{}'\"", paths.source.display(), copy.display())
        }
        _ => return None,
    };
    Some(Lines { before: String::new(), line })
}
