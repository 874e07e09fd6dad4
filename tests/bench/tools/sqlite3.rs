//! `sqlite3 .backup`: what SQLite itself does for a live database: a copy, neither packed nor checked.

use super::{Kind, Lines, Place, Tool, Work};

pub(super) const TOOL: Tool = Tool {
    name: "sqlite3 .backup",
    program: "sqlite3",
    version: "sqlite3 --version",
    notes: "fsync, plain",
    reads: &[Kind::File],
    lines,
};

fn lines(place: &Place, work: Work) -> Option<Lines> {
    let copy = place.store.join("copy.db");
    let line = match work {
        Work::Full | Work::Reread => {
            format!("sqlite3 '{}' \".backup '{}'\"", place.source.display(), copy.display())
        }
        _ => return None,
    };
    Some(Lines { before: String::new(), line })
}
