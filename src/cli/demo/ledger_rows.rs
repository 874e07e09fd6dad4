//! The rows of the demo's database: what each transaction writes, and nothing that depends on time or
//! chance.

use rusqlite::{Connection, params};

use super::dice::Dice;
use super::ledger::Plan;

pub(super) const SCHEMA: &str = "
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
    CREATE TABLE transfers (
        id INTEGER PRIMARY KEY, debit INTEGER NOT NULL REFERENCES accounts,
        credit INTEGER NOT NULL REFERENCES accounts, amount INTEGER NOT NULL, note TEXT NOT NULL);
    CREATE INDEX transfers_by_account ON transfers (debit, credit);
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, title TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE progress (
        id INTEGER PRIMARY KEY CHECK (id = 1), transactions INTEGER NOT NULL);
    INSERT INTO progress VALUES (1, 0);";

/// What every account holds at first.
pub(super) const OPENING_BALANCE: i64 = 1_000;

/// Every so many transactions a document is rewritten…
const REWRITE_EVERY: i64 = 4;
/// … and every so many the oldest one goes and a new one comes.
const REPLACE_EVERY: i64 = 64;

/// About how long a document is, in bytes; with its row and page overhead it fills about 4 KiB.
const DOCUMENT_BYTES: usize = 3_400;

const ACCOUNTS: u64 = 1;
const DOCUMENTS: u64 = 2;
const TRANSFERS: u64 = 3;

const WORDS: &[&str] = &[
    "ledger", "harbour", "copper", "invoice", "window", "garden", "seventh", "paper", "north",
    "signal", "marble", "quiet", "orchard", "bridge", "letter", "winter", "canvas", "silver",
    "lantern", "river", "measure", "station", "velvet", "anchor", "market", "pencil", "summit",
    "thread", "village", "amber", "current", "meadow", "of", "the", "and", "with", "under", "for",
];

/// Writes the accounts.
pub(super) fn open_accounts(database: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    let mut insert = database.prepare("INSERT INTO accounts VALUES (?1, ?2, ?3)")?;
    for id in 1..=plan.accounts {
        let mut dice = Dice::of(ACCOUNTS, id);
        let owner = format!("{} {} {id}", dice.pick(WORDS), dice.pick(WORDS));
        insert.execute(params![id, owner, OPENING_BALANCE])?;
    }
    Ok(())
}

/// Writes the document with this id as it was when transaction `revision` wrote it.
pub(super) fn write_document(
    database: &Connection,
    id: i64,
    revision: i64,
) -> rusqlite::Result<()> {
    let mut dice = Dice::of(DOCUMENTS ^ dice_salt(revision), id);
    let title = format!("{} {}", dice.pick(WORDS), dice.pick(WORDS));
    let mut body = String::with_capacity(DOCUMENT_BYTES + 64);
    while body.len() < DOCUMENT_BYTES {
        // As compressible as letters and tables are: words, and a number now and then.
        if dice.below(9) == 0 {
            body.push_str(&dice.below(1_000_000).to_string());
        } else {
            body.push_str(dice.pick(WORDS));
        }
        body.push(' ');
    }
    database
        .prepare_cached("INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, title, revision, body])?;
    Ok(())
}

/// A document's text depends on the transaction that wrote it, too.
fn dice_salt(revision: i64) -> u64 {
    Dice::of(DOCUMENTS, revision).roll()
}

/// Writes what transaction `number` writes. The caller begins and commits.
pub(super) fn apply(database: &Connection, plan: &Plan, number: i64) -> rusqlite::Result<()> {
    let mut dice = Dice::of(TRANSFERS, number);
    let debit = 1 + dice.below(plan.accounts);
    let credit = 1 + (debit + dice.below(plan.accounts - 1)) % plan.accounts;
    let amount = 1 + dice.below(50);
    let note = format!("{} {}", dice.pick(WORDS), dice.pick(WORDS));
    let mut change =
        database.prepare_cached("UPDATE accounts SET balance = balance + ?2 WHERE id = ?1")?;
    change.execute(params![debit, -amount])?;
    change.execute(params![credit, amount])?;
    database
        .prepare_cached("INSERT INTO transfers VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![number, debit, credit, amount, note])?;

    let replaced = number / REPLACE_EVERY;
    if number % REPLACE_EVERY == 0 {
        database.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([replaced])?;
        write_document(database, plan.documents + replaced, number)?;
    } else if number % REWRITE_EVERY == 0 {
        // Documents `replaced + 1 ..= documents + replaced` are there.
        write_document(database, 1 + replaced + dice.below(plan.documents), number)?;
    }
    database.prepare_cached("UPDATE progress SET transactions = ?1")?.execute([number])?;
    Ok(())
}
