//! What a backup costs a writer: its longest wait with one running, and without.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Outcome;
use super::data::Numbers;
use super::measure::memory_of;
use super::server::{Server, at, configure};
use super::table::Figures;

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

/// Measures a writer alone for as long as a full backup may take, then during one.
pub(crate) fn writer_waits(folder: &Path, figures: &mut Figures) -> Outcome<()> {
    let source = folder.join("bench.db");
    let settings = "[auth]\nmode = \"none\"\n";
    let at = at(&source);
    let instances = [("live", "sqlite", "off", at.as_str())];
    let mut server = Server::start(&configure(folder, "live", settings, &instances)?)?;
    for (label, with_backup) in [("without", false), ("with", true)] {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = start(&source, &stop);
        if with_backup {
            server.backup("live", false)?;
        } else {
            // A pause that ends early is no matter here.
            std::thread::park_timeout(Duration::from_secs(3));
        }
        stop.store(true, Ordering::Relaxed);
        let fared = writer.join().map_err(|_panic| "the writer panicked")??;
        let row = format!("live: a writer's longest wait {label} a backup");
        figures.put(&row, "ms", fared.longest.as_secs_f64() * 1000.0);
        figures.put(&format!("live: commits {label} a backup"), "", f64::from(fared.commits));
        figures.put(&format!("live: SQLITE_BUSY {label} a backup"), "", f64::from(fared.refused));
    }
    figures.put("live: peak RSS", "MiB", memory_of(server.pid(), "VmHWM:")?);
    Ok(())
}
