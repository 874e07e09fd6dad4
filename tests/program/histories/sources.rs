//! The sources of a history, a database and a tree: their changes and their content.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::support::write_file;

/// Everything a restore has to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// The bytes of the database file.
    Database(Vec<u8>),
    /// The entry at each path.
    Tree(BTreeMap<PathBuf, Thing>),
}

/// An entry of a tree: mode, time of the last change (not of links), and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    mode: u32,
    changed: (i64, i64),
    held: Held,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Folder,
    File(Vec<u8>),
    Link(PathBuf),
}

/// Fails the test, and says which path differs, not every byte of it.
#[track_caller]
pub(crate) fn assert_same(found: &Content, wanted: &Content) {
    if found == wanted {
        return;
    }
    if let (Content::Tree(found), Content::Tree(wanted)) = (found, wanted) {
        for path in found.keys().chain(wanted.keys()) {
            let (is, was) = (found.get(path), wanted.get(path));
            assert!(is == was, "{}: {} and not {}", path.display(), brief(is), brief(was));
        }
    }
    panic!("a restored database is not what the source was");
}

fn brief(thing: Option<&Thing>) -> String {
    let Some(Thing { mode, changed, held }) = thing else { return "nothing".to_owned() };
    let what = match held {
        Held::Folder => "a folder".to_owned(),
        Held::Link(to) => format!("a link to {}", to.display()),
        Held::File(bytes) => {
            let start = bytes.get(..8).unwrap_or(bytes);
            format!("a file of {} bytes that begins with {start:?}", bytes.len())
        }
    };
    format!("{what}, mode {mode:o}, changed at {changed:?}")
}

/// A source that changes.
pub(crate) struct Source {
    path: PathBuf,
    is_database: bool,
}

impl Source {
    /// A new database in WAL mode.
    pub(crate) fn database(path: &Path) -> Self {
        let source = Self { path: path.to_owned(), is_database: true };
        source
            .sql("PRAGMA journal_mode = wal; CREATE TABLE row(id INTEGER PRIMARY KEY, data BLOB)");
        source
    }

    /// A new tree with one small file.
    pub(crate) fn tree(path: &Path) -> Self {
        std::fs::create_dir(path).unwrap();
        write_file(&path.join("first"), "first");
        Self { path: path.to_owned(), is_database: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a change, in a tree some; the same number makes the same changes.
    pub(crate) fn change(&self, seed: u32) {
        if self.is_database {
            return self.change_database(seed);
        }
        for step in 1..=4_u32 {
            self.change_tree(seed.wrapping_mul(2_654_435_761).rotate_left(5 * step));
        }
    }

    pub(crate) fn content(&self) -> Content {
        self.content_at(&self.path)
    }

    /// The content at another path, read like this source.
    pub(crate) fn content_at(&self, path: &Path) -> Content {
        if self.is_database {
            return Content::Database(std::fs::read(path).unwrap());
        }
        let mut found = BTreeMap::new();
        read_tree(path, Path::new(""), &mut found);
        Content::Tree(found)
    }

    fn sql(&self, statements: &str) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute_batch(statements).unwrap();
        // Afterwards the file holds everything.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).unwrap();
    }

    fn change_database(&self, seed: u32) {
        let (number, share) = (seed / 16 % 400 + 1, seed / 7 % 9 + 2);
        let numbers = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
        );
        self.sql(&match seed % 8 {
            0 | 1 => format!("{numbers} INSERT INTO row(data) SELECT randomblob(4000) FROM n"),
            2 => format!("UPDATE row SET data = randomblob(4000) WHERE id % {share} = 0"),
            3 => format!("UPDATE row SET data = zeroblob(4000) WHERE id % {share} = 1"),
            4 => format!("DELETE FROM row WHERE id % {share} = 0"),
            5 => "VACUUM".to_owned(),
            6 => format!("DELETE FROM row WHERE id > {number}; VACUUM"),
            _ => format!(
                "CREATE INDEX IF NOT EXISTS by_data ON row(data); PRAGMA user_version = {number}"
            ),
        });
    }

    fn change_tree(&self, seed: u32) {
        let names = ["a", "b", "c", "d/e", "d/f", "d/g/h", "i"];
        let pick = |shift: u32| {
            let number = usize::try_from(seed >> shift).unwrap() % names.len();
            self.path.join(names[number])
        };
        let (one, other) = (pick(8), pick(16));
        match seed % 12 {
            0..=2 => self.make_file(&one, &noise(seed)),
            3..=5 => overwrite_some(&one, seed),
            6 => remove(&one),
            7 => self.rename(&one, &other),
            8 => {
                self.clear(&one);
                symlink(format!("to-{seed}"), &one).unwrap();
            }
            9 => {
                self.clear(&one);
                std::fs::create_dir(&one).unwrap();
            }
            10 => set_mode(
                &one,
                [0o600, 0o644, 0o755, 0o440][usize::try_from(seed / 64 % 4).unwrap()],
            ),
            _ => cut(&one, u64::from(seed / 32 % 70_000)),
        }
    }

    /// Makes the folders of `path`, and removes what is at `path`.
    fn clear(&self, path: &Path) {
        let parent = path.parent().unwrap();
        for folder in parent.ancestors().take_while(|folder| folder.starts_with(&self.path)) {
            if folder.symlink_metadata().is_ok_and(|it| !it.is_dir()) {
                std::fs::remove_file(folder).unwrap();
            }
        }
        std::fs::create_dir_all(parent).unwrap();
        remove(path);
    }

    fn make_file(&self, path: &Path, bytes: &[u8]) {
        self.clear(path);
        write_file(path, bytes);
    }

    fn rename(&self, from: &Path, to: &Path) {
        if from.symlink_metadata().is_ok() && !to.starts_with(from) && !from.starts_with(to) {
            self.clear(to);
            if from.symlink_metadata().is_ok() {
                let moved = rustix::fs::rename(from, to);
                moved.unwrap();
            }
        }
    }
}

/// Pseudo-random bytes, from none to two segments of them.
fn noise(seed: u32) -> Vec<u8> {
    let lengths = [0, 1, 511, 4096, 70_000, 1 << 20, (1 << 20) + 1, 2_200_000];
    let length = lengths[usize::try_from(seed / 128 % 8).unwrap()];
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 4);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_file())
}

/// Changes some bytes and not the length: only the times tell.
fn overwrite_some(path: &Path, seed: u32) {
    use std::os::unix::fs::FileExt as _;
    if !is_file(path) {
        return;
    }
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let bytes = seed.to_le_bytes();
    if let Some(room) = length.checked_sub(4) {
        file.write_all_at(&bytes, u64::from(seed) % (room + 1)).unwrap();
    }
}

fn cut(path: &Path, length: u64) {
    if is_file(path) {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        // Longer than it was: a hole.
        file.set_len(length).unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    if is_file(path) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(it) if it.is_dir() => std::fs::remove_dir_all(path).unwrap(),
        Ok(_other) => std::fs::remove_file(path).unwrap(),
        Err(_nothing_there) => {}
    }
}

fn read_tree(root: &Path, below: &Path, found: &mut BTreeMap<PathBuf, Thing>) {
    let path = root.join(below);
    let metadata = path.symlink_metadata().unwrap();
    let times = (metadata.mtime(), metadata.mtime_nsec());
    let (changed, held) = if metadata.is_symlink() {
        ((0, 0), Held::Link(std::fs::read_link(&path).unwrap()))
    } else if metadata.is_dir() {
        for entry in std::fs::read_dir(&path).unwrap() {
            read_tree(root, &below.join(entry.unwrap().file_name()), found);
        }
        (times, Held::Folder)
    } else {
        (times, Held::File(std::fs::read(&path).unwrap()))
    };
    found.insert(below.to_owned(), Thing { mode: metadata.mode(), changed, held });
}
