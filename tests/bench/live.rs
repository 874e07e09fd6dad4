//! What a backup costs a writer: its longest wait with one running, and without.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Outcome;
use super::data::Numbers;
use super::measure::{Rows, seconds};
use super::server::Server;

/// How a writer fared.
#[derive(Debug, Default)]
struct Fared {
    longest: Duration,
    commits: u32,
    refused: u32,
}

fn write_until(path: &Path, stop: &AtomicBool) -> rusqlite::Result<Fared> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "synchronous", "normal")?;
    let (mut fared, mut numbers) = (Fared::default(), Numbers::new(7));
    while !stop.load(Ordering::Relaxed) {
        let (from, to) = (numbers.next() % 100, numbers.next() % 100);
        let sql = format!(
            "BEGIN IMMEDIATE;
             UPDATE account SET balance = balance - 1 WHERE id = {from};
             UPDATE account SET balance = balance + 1 WHERE id = {to};
             COMMIT"
        );
        let started = Instant::now();
        if connection.execute_batch(&sql).is_ok() {
            fared.commits += 1;
        } else {
            fared.refused += 1;
            connection.execute_batch("ROLLBACK").ok();
        }
        fared.longest = fared.longest.max(started.elapsed());
    }
    Ok(fared)
}

fn start(path: &Path, stop: &Arc<AtomicBool>) -> JoinHandle<rusqlite::Result<Fared>> {
    let (path, stop) = (path.to_owned(), Arc::clone(stop));
    std::thread::spawn(move || write_until(&path, &stop))
}

/// Measures a writer alone for as long as a full backup takes, then during one.
pub(crate) fn writer_waits(path: &Path, server: &mut Server, rows: &mut Rows) -> Outcome<()> {
    for (label, with_backup) in [("without", false), ("with", true)] {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = start(path, &stop);
        if with_backup {
            server.backup(false)?;
        } else {
            // A pause that ends early is no matter here.
            std::thread::park_timeout(Duration::from_secs(3));
        }
        stop.store(true, Ordering::Relaxed);
        let fared = writer.join().map_err(|_panic| "the writer panicked")??;
        rows.put(
            &format!("writer: longest wait {label} a backup (ms)"),
            seconds(fared.longest) * 1000.0,
        );
        rows.put(&format!("writer: commits {label} a backup"), f64::from(fared.commits));
        rows.put(&format!("writer: SQLITE_BUSY {label} a backup"), f64::from(fared.refused));
    }
    Ok(())
}
