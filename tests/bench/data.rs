//! The data: a database with rows of mixed compressibility (about half of it packs well, as real ones
//! do), a tree of files of the same kind, and what changes in them.

use std::path::Path;

use rusqlite::{Connection, params};

use super::Outcome;

/// A small generator of numbers: the same data in every run.
#[derive(Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number (xorshift64*).
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn blob(&mut self, bytes: usize) -> Vec<u8> {
        let mut blob = Vec::with_capacity(bytes + 8);
        while blob.len() < bytes {
            blob.extend_from_slice(&self.next().to_le_bytes());
        }
        blob.truncate(bytes);
        blob
    }

    pub(crate) fn text(&mut self, words: usize) -> String {
        const WORDS: [&str; 16] = [
            "order",
            "shipped",
            "customer",
            "invoice",
            "paid",
            "open",
            "street",
            "city",
            "total",
            "note",
            "return",
            "stock",
            "price",
            "discount",
            "item",
            "warehouse",
        ];
        let mut text = String::new();
        for _word in 0..words {
            let pick = usize::try_from(self.next() % 16).unwrap_or(0);
            text.push_str(WORDS.get(pick).copied().unwrap_or("item"));
            text.push_str(if self.next().is_multiple_of(7) { ". " } else { " " });
        }
        text
    }
}

/// Makes a WAL-mode database of about `mib` MiB at `path`.
pub(crate) fn make(path: &Path, mib: u64) -> Outcome<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.execute_batch(
        "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
         CREATE TABLE document(id INTEGER PRIMARY KEY, title TEXT, body TEXT, data BLOB, n INTEGER);
         CREATE INDEX document_title ON document(title);",
    )?;
    let mut numbers = Numbers::new(42);
    let rows = mib * 1024 * 1024 / 4150;
    let mut done = 0;
    while done < rows {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO document(title, body, data, n) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for n in done..rows.min(done + 10_000) {
                let (title, body) = (numbers.text(4), numbers.text(180));
                insert.execute(params![title, body, numbers.blob(1500), i64::try_from(n)?])?;
            }
        }
        transaction.commit()?;
        done += 10_000;
    }
    for account in 0..100 {
        connection.execute("INSERT INTO account VALUES (?1, 1000)", [account])?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
    Ok(())
}

/// Changes one row in a hundred, all over the table.
pub(crate) fn scatter(path: &Path, round: u64) -> Outcome<()> {
    rewrite(path, "SELECT id FROM document WHERE id % 100 = ?1", round % 100, round)
}

/// Changes one row in a hundred, all in one place.
pub(crate) fn cluster(path: &Path, round: u64) -> Outcome<()> {
    let which = "SELECT id FROM document WHERE id > (SELECT max(id) FROM document) / 100 * ?1
                 AND id <= (SELECT max(id) FROM document) / 100 * (?1 + 1)";
    rewrite(path, which, (round * 7) % 99, 1_000_000 + round)
}

/// Gives rows a new text and a new number, as an application that edits them would.
fn rewrite(path: &Path, which: &str, offset: u64, seed: u64) -> Outcome<()> {
    let mut connection = Connection::open(path)?;
    let mut numbers = Numbers::new(seed.wrapping_mul(0x9e37_79b9) + 3);
    let transaction = connection.transaction()?;
    {
        let ids: Vec<i64> = transaction
            .prepare(which)?
            .query_map([i64::try_from(offset)?], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut change =
            transaction.prepare("UPDATE document SET body = ?2, n = n + 1000000 WHERE id = ?1")?;
        for id in ids {
            change.execute(params![id, numbers.text(180)])?;
        }
    }
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
    Ok(())
}

/// Makes a tree of `files` files with `mib` MiB in all: most are small, some are large.
pub(crate) fn make_tree(root: &Path, files: u64, mib: u64) -> Outcome<()> {
    let mut numbers = Numbers::new(77);
    let average = (mib << 20) / files.max(1);
    for number in 0..files {
        let folder = root.join(format!("{:02}/{:02}", number % 20, number / 20 % 40));
        std::fs::create_dir_all(&folder)?;
        // A quarter to seven quarters of the average, and every hundredth in a class of its own.
        let size = average / 4 + numbers.next() % (average * 3 / 2).max(1);
        let size = usize::try_from(if number % 100 == 0 { size * 10 } else { size * 9 / 10 })?;
        write(&folder.join(format!("{number}.dat")), &mixed(&mut numbers, size))?;
    }
    Ok(())
}

/// Half words, half noise.
pub(crate) fn mixed(numbers: &mut Numbers, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 2048);
    while bytes.len() < size {
        bytes.extend_from_slice(numbers.text(120).as_bytes());
        bytes.extend_from_slice(&numbers.blob(600));
    }
    bytes.truncate(size);
    bytes
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Outcome<()> {
    #[expect(clippy::disallowed_methods, reason = "a file of the bench's own")]
    Ok(std::fs::write(path, bytes)?)
}

/// Rewrites 1 % of the files, adds 0.1 %, and removes one.
pub(crate) fn change_tree(root: &Path, round: u64) -> Outcome<()> {
    let mut numbers = Numbers::new(1000 + round);
    let mut files = Vec::new();
    for outer in std::fs::read_dir(root)? {
        for inner in std::fs::read_dir(outer?.path())? {
            for file in std::fs::read_dir(inner?.path())? {
                files.push(file?.path());
            }
        }
    }
    files.sort();
    for file in files.iter().skip(usize::try_from(round % 100)?).step_by(100) {
        let size = usize::try_from(std::fs::metadata(file)?.len())?;
        write(file, &mixed(&mut numbers, size))?;
    }
    if let Some(first) = files.get(usize::try_from(50 + round)?) {
        std::fs::remove_file(first)?;
        for number in 0..files.len() / 1000 {
            let added = first.with_file_name(format!("added-{round}-{number}.dat"));
            write(&added, &mixed(&mut numbers, 20_000))?;
        }
    }
    Ok(())
}
