//! What a backup costs a writer: its longest wait while a backup runs, and without one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Outcome;
use super::data::Numbers;
use super::measure::memory_of;
use super::options::Options;
use super::server::{Server, at, configure};
use super::table::Results;

/// What a writer met.
#[derive(Debug, Default)]
struct Waits {
    longest: Duration,
    commits: u32,
    busy: u32,
}

fn write_until(path: &Path, stop: &AtomicBool) -> rusqlite::Result<Waits> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "synchronous", "normal")?;
    let (mut waits, mut numbers) = (Waits::default(), Numbers::new(7));
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
            waits.commits += 1;
        } else {
            waits.busy += 1;
            connection.execute_batch("ROLLBACK").ok();
        }
        waits.longest = waits.longest.max(started.elapsed());
    }
    Ok(waits)
}

fn start(path: &Path, stop: &Arc<AtomicBool>) -> JoinHandle<rusqlite::Result<Waits>> {
    let (path, stop) = (path.to_owned(), Arc::clone(stop));
    std::thread::spawn(move || write_until(&path, &stop))
}

/// Measures a writer alone for about as long as a full backup takes, then during one.
pub(crate) fn writer_waits(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let source = folder.join("bench.db");
    let at = at(&source);
    let instances = [("live", "sqlite", "off", at.as_str())];
    let rounds = if options.compares() { options.rounds } else { 1 };
    for round in 0..rounds {
        for program in options.programs_in(round) {
            let name = format!("{}-live-{round}", program.name);
            let config = configure(folder, &name, "[auth]\nmode = \"none\"\n", &instances)?;
            let mut server = Server::start(program, &config)?;
            for (label, with_backup) in [("without", false), ("with", true)] {
                let stop = Arc::new(AtomicBool::new(false));
                let writer = start(&source, &stop);
                if with_backup {
                    server.backup("live", false)?;
                } else {
                    // It does not matter if this ends early.
                    std::thread::park_timeout(Duration::from_secs(3));
                }
                stop.store(true, Ordering::Relaxed);
                let waits = writer.join().map_err(|_panic| "the writer panicked")??;
                let mut add = |what: &str, unit, figure| {
                    results.figure(
                        &format!("live: {what} {label} a backup"),
                        program.name,
                        unit,
                        figure,
                    );
                };
                add("a writer's longest wait", "ms", waits.longest.as_secs_f64() * 1000.0);
                add("commits", "", f64::from(waits.commits));
                add("SQLITE_BUSY", "", f64::from(waits.busy));
            }
            let peak = memory_of(server.pid(), "VmHWM:")?;
            results.figure("live: peak RSS", program.name, "MiB", peak);
            server.stop()?;
        }
    }
    Ok(())
}
