//! The database: rows of mixed compressibility, about half of it random bytes.

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

    fn blob(&mut self, bytes: usize) -> Vec<u8> {
        let mut blob = Vec::with_capacity(bytes + 8);
        while blob.len() < bytes {
            blob.extend_from_slice(&self.next().to_le_bytes());
        }
        blob.truncate(bytes);
        blob
    }

    fn text(&mut self, words: usize) -> String {
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
                insert.execute(params![title, body, numbers.blob(1200), i64::try_from(n)?])?;
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
pub(crate) fn change_one_percent(path: &Path, round: u64) -> Outcome<()> {
    let connection = Connection::open(path)?;
    let offset = i64::try_from(round % 100)?;
    connection.execute("UPDATE document SET n = n + 1000000 WHERE id % 100 = ?1", [offset])?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
    Ok(())
}
