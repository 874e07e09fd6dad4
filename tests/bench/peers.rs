//! Coffer beside `zstd -3 -T2` and `sqlite3 .backup`, interleaved in one run on data made here.
//!
//! `cargo bench` runs it on a 1 GiB database, three rounds. `COFFER_BENCH_MIB` and `COFFER_BENCH_ROUNDS`
//! make it smaller or longer. It needs `zstd` and `sqlite3` on the path, and prints one table: medians
//! and the ratios this project holds itself to. No figure of it makes it fail: machines differ. Coffer syncs
//! what it writes, backup and restore; zstd does not.

#![expect(clippy::print_stdout, reason = "a bench is for reading")]

mod bare;
mod data;
mod live;
mod measure;
mod server;

use std::error::Error;
use std::path::Path;

use measure::{Rows, peer, seconds, settle};
use server::Server;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> Outcome<()> {
    let said: Vec<String> = std::env::args().collect();
    if let [_, word, file, workers] = said.as_slice()
        && word == "bare"
    {
        return bare::serve(Path::new(file), workers.parse()?);
    }
    let (mib, rounds) = (number("COFFER_BENCH_MIB", 1024), number("COFFER_BENCH_ROUNDS", 3));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let database = folder.path().join("bench.db");
    println!("Making a database of {mib} MiB …");
    data::make(&database, mib)?;
    let bytes = std::fs::metadata(&database)?.len();
    println!("{} MiB, {rounds} interleaved rounds, 2 compression threads\n", bytes >> 20);

    let mut rows = Rows::default();
    let mut server = Server::start(folder.path(), &database)?;
    for round in 0..rounds {
        println!("round {} of {rounds}", round + 1);
        one_round(folder.path(), &database, &mut server, &mut rows, round)?;
    }
    rows.put("server: peak RSS (MiB)", server.peak_rss_mib()?);
    live::writer_waits(&database, &mut server, &mut rows)?;
    rows.put("server: peak RSS with a live writer (MiB)", server.peak_rss_mib()?);
    report(&rows, bytes);
    Ok(())
}

/// Every contender once, one after the other, on the same data.
fn one_round(
    folder: &Path,
    database: &Path,
    server: &mut Server,
    rows: &mut Rows,
    round: u64,
) -> Outcome<()> {
    let packed = folder.join("peer.zst");
    let copy = folder.join("peer.db");
    let db = database.to_str().ok_or("path")?;
    let (zst, plain) = (packed.to_str().ok_or("path")?, copy.to_str().ok_or("path")?);

    // What a row leaves to be written must not fall into the next one's time.
    settle()?;
    rows.put("zstd -3 -T2", peer("zstd", &["-3", "-T2", "-q", "-f", db, "-o", zst])?);
    rows.put("zstd -t", peer("zstd", &["-t", "-q", zst])?);
    rows.put("zstd -3 -T2: MiB stored", mib(std::fs::metadata(&packed)?.len()));
    settle()?;
    let full = server.backup(false)?;
    rows.put("coffer full: to the synced file", full.written_s);
    rows.put("coffer full: to COMPLETED", full.total_s);
    rows.put("coffer full: MiB stored", mib(full.stored));
    settle()?;
    rows.put("sqlite3 .backup", peer("sqlite3", &[db, &format!(".backup '{plain}'")])?);
    std::fs::remove_file(&copy).ok();
    settle()?;
    let same = server.backup(true)?;
    rows.put("coffer unchanged incremental: to COMPLETED", same.total_s);
    rows.put("coffer unchanged incremental: KiB stored", kib(same.stored));
    data::change_one_percent(database, round)?;
    settle()?;
    let changed = server.backup(true)?;
    rows.put("coffer 1 % incremental: to COMPLETED", changed.total_s);
    rows.put("coffer 1 % incremental: MiB stored", mib(changed.stored));

    // Both archives are read once before, so that neither comes from a cold disk.
    let target = folder.join("restored.db");
    peer("cat", &[zst])?;
    settle()?;
    rows.put("zstd -d", peer("zstd", &["-d", "-q", "-f", zst, "-o", plain])?);
    std::fs::remove_file(&copy)?;
    peer("cat", &[&full.archive])?;
    for (row, id) in
        [("coffer restore: full", &full.id), ("coffer restore: 1 % incremental", &changed.id)]
    {
        settle()?;
        let (taken, rss) = server.restore(id, &target)?;
        rows.put(row, seconds(taken));
        rows.put("coffer restore: peak RSS (MiB)", rss);
        std::fs::remove_file(&target)?;
    }
    settle()?;
    let checked = server.checked_backup()?;
    rows.put("coffer: quick_check of the source", checked.check_s);
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    kib(bytes) / 1024.0
}

fn kib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX))
}

fn report(rows: &Rows, bytes: u64) {
    println!("\n{rows}");
    let of_source = mib(bytes);
    let full = ["zstd -3 -T2"];
    let full_and_test = ["zstd -3 -T2", "zstd -t"];
    let lines = [
        (
            "full to the synced file / zstd -3 -T2",
            "1.2",
            rows.ratio("coffer full: to the synced file", &full),
        ),
        (
            "full to COMPLETED / (zstd -3 -T2 + zstd -t)",
            "1.0",
            rows.ratio("coffer full: to COMPLETED", &full_and_test),
        ),
        (
            "full stored / zstd's",
            "1.01",
            rows.ratio("coffer full: MiB stored", &["zstd -3 -T2: MiB stored"]),
        ),
        (
            "unchanged incremental / sqlite3 .backup",
            "0.33",
            rows.ratio("coffer unchanged incremental: to COMPLETED", &["sqlite3 .backup"]),
        ),
        (
            "unchanged incremental: KiB a GiB",
            "64",
            rows.median("coffer unchanged incremental: KiB stored") * 1024.0 / of_source,
        ),
        (
            "1 % incremental / database size",
            "0.02",
            rows.median("coffer 1 % incremental: MiB stored") / of_source,
        ),
        ("restore full / zstd -d", "1.0", rows.ratio("coffer restore: full", &["zstd -d"])),
        (
            "restore incremental / zstd -d",
            "1.0",
            rows.ratio("coffer restore: 1 % incremental", &["zstd -d"]),
        ),
        ("server peak RSS, MiB", "64", rows.median("server: peak RSS with a live writer (MiB)")),
    ];
    println!("{:<48} {:>8} {:>8}", "ratio, median of the rounds", "goal", "here");
    for (what, goal, here) in lines {
        println!("{what:<48} {goal:>8} {here:>8.3}");
    }
}
