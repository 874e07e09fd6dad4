//! The API beside a bare actix-web handler that returns the same bytes: the same workers, the same
//! clients, 32 connections that stay open, one after the other in every round.

use std::cell::Cell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::bare::Bare;
use super::load::{Seen, flood, poll_gently, question};
use super::measure::{cpu_of, memory_of};
use super::server::{PROJECT, SECRET, Server, at, configure};
use super::table::{Figures, median};
use super::{Outcome, Size, data, seed};

/// Threads that answer, in the server and in the bare handler.
const WORKERS: usize = 2;

/// Rounds of every row.
const ROUNDS: usize = 5;

/// The lines of a configuration that asks for the one token.
fn settings(executor: &str) -> String {
    let digest = hex::encode(Sha256::digest(SECRET));
    format!(
        "http_workers = {WORKERS}\n[[auth.tokens]]\nname = \"bench\"\nproject_id = \"{PROJECT}\"\n\
         roles = [\"member\"]\nsha256 = \"{digest}\"\n[executor]\n{executor}"
    )
}

fn get(path: &str) -> Vec<u8> {
    question("GET", &format!("/v1.0/{PROJECT}/{path}"), "")
}

/// Everything about the API.
pub(crate) fn rows(folder: &Path, size: &Size, figures: &mut Figures) -> Outcome<()> {
    std::fs::create_dir_all(folder)?;
    let time = Duration::from_secs(size.flood_s);
    let (small, few) = (folder.join("small"), 1000);
    let (large, many) = (folder.join("large"), size.rows);
    for (place, rows) in [(&small, few), (&large, many)] {
        eprintln!("api: a catalog of {rows} rows");
        let name = place.file_name().and_then(|it| it.to_str()).ok_or("name")?;
        Server::start(&configure(folder, name, &settings(""), &[])?)?.stop()?;
        seed::backups(&place.join("catalog.db"), rows)?;
    }
    beside_bare(folder, &small, time, figures)?;
    many_rows(folder, [(&small, few), (&large, many)], time, figures)?;
    creates(folder, time, figures)?;
    under_backups(folder, size, figures)
}

/// The answer of a server to one question, its body only.
fn body_of(server: &Server, path: &str) -> Outcome<Vec<u8>> {
    let url = format!("http://{}/v1.0/{PROJECT}/{path}", server.address());
    Ok(ureq::get(&url).header("X-Auth-Token", SECRET).call()?.body_mut().read_to_vec()?)
}

fn beside_bare(folder: &Path, small: &Path, time: Duration, figures: &mut Figures) -> Outcome<()> {
    let server = Server::start(&folder.join("small.toml"))?;
    let ids = seed::some_ids(&small.join("catalog.db"), 500)?;
    let shows: Vec<_> = ids.iter().map(|id| get(&format!("backups/{id}"))).collect();
    let first = ids.first().ok_or("no ids")?;
    for (row, path, questions) in [
        ("GET backups/{id}", format!("backups/{first}"), shows),
        ("GET backups?limit=20", "backups?limit=20".to_owned(), vec![get("backups?limit=20")]),
    ] {
        let bare = Bare::start(folder, &body_of(&server, &path)?, WORKERS)?;
        for _round in 0..ROUNDS {
            let cpu = cpu_of(server.pid())?;
            let ours = flood(server.address(), &questions, time, false)?;
            let cpu = (cpu_of(server.pid())? - cpu) * 1e6 / f64::from(ours.answers);
            let theirs = flood(&bare.address, &questions, time, false)?;
            must_answer(&ours)?;
            figures.put(&format!("api: {row}: coffer"), "requests/s", ours.rate());
            figures.put(&format!("api: {row}: bare handler"), "requests/s", theirs.rate());
            figures.put(
                &format!("api: {row}: share of the bare handler's"),
                "%",
                100.0 * ours.rate() / theirs.rate(),
            );
            figures.put(&format!("api: {row}: coffer's CPU a request"), "µs", cpu);
            figures.put(&format!("api: {row}: coffer's p99"), "ms", ours.latency_ms(990));
        }
    }
    figures.put("api: peak RSS under load", "MiB", memory_of(server.pid(), "VmHWM:")?);
    server.stop()
}

fn must_answer(seen: &Seen) -> Outcome<()> {
    if seen.refused > 0 || seen.answers == 0 {
        return Err(format!("{} of {} requests were refused", seen.refused, seen.answers).into());
    }
    Ok(())
}

/// Questions about backups with these ids.
type Questions = fn(&[String]) -> Vec<Vec<u8>>;

/// The same questions to a small and a large catalog, in turns: CPU a request, which noise on the machine
/// does not reach as it does latencies.
fn many_rows(
    folder: &Path,
    catalogs: [(&PathBuf, u64); 2],
    time: Duration,
    figures: &mut Figures,
) -> Outcome<()> {
    let mut running = Vec::new();
    for (place, rows) in catalogs {
        let server = Server::start(&place.with_extension("toml"))?;
        let ids = seed::some_ids(&place.join("catalog.db"), 500)?;
        running.push((server, ids, rows));
    }
    debug_assert!(folder.exists());
    // A large catalog is checked beside the work at first, which is not what is measured here.
    std::thread::park_timeout(Duration::from_secs(10));
    let kinds: [(&str, Questions); 5] = [
        ("first page", |_ids| vec![get("backups?limit=20")]),
        ("deep pages", |ids| {
            let behind = ids.iter().skip(50);
            behind.map(|id| get(&format!("backups?limit=20&marker={id}"))).collect()
        }),
        ("filtered page, common", |_ids| vec![get("backups?limit=20&status=COMPLETED")]),
        ("filtered page, rare", |_ids| vec![get("backups?limit=20&status=FAILED")]),
        ("show", |ids| ids.iter().map(|id| get(&format!("backups/{id}"))).collect()),
    ];
    for (kind, ask) in kinds {
        for _round in 0..ROUNDS {
            let mut costs = Vec::new();
            for (server, ids, rows) in &running {
                let cpu = cpu_of(server.pid())?;
                let seen = flood(server.address(), &ask(ids), time, false)?;
                must_answer(&seen)?;
                let cpu = (cpu_of(server.pid())? - cpu) * 1e6 / f64::from(seen.answers);
                figures.put(&format!("api: {kind}, {rows} rows: CPU a request"), "µs", cpu);
                costs.push(cpu);
            }
            if let [few, many] = costs.as_slice() {
                figures.put(&format!("api: {kind}: many rows ÷ few"), "×", many / few);
            }
        }
    }
    running.into_iter().try_for_each(|(server, ..)| server.stop())
}

/// Durable creates, while the one worker is busy with a slow backup, beside what one fsync a request
/// would allow on this disk.
fn creates(folder: &Path, time: Duration, figures: &mut Figures) -> Outcome<()> {
    eprintln!("api: creates");
    let source = folder.join("slow.db");
    data::make(&source, 64)?;
    let at = at(&source);
    for round in 0..3 {
        let name = format!("creates-{round}");
        let slow = [("a slow one", "sqlite", "off", at.as_str())];
        let config =
            configure(folder, &name, &settings("workers = 1\nmax_read_mib_s = 1\n"), &slow)?;
        Server::start(&config)?.stop()?;
        let count = 40_000;
        seed::instances(&folder.join(&name).join("catalog.db"), count)?;
        let mut server = Server::start(&config)?;
        server.ask("a slow one", false)?;
        let asked: Vec<_> = (1..=count)
            .map(|number| {
                let body = format!(
                    "{{\"backup\":{{\"name\":\"posted {number}\",\"instance\":\"{number:08x}-0000-4000-9000-000000000000\"}}}}"
                );
                question("POST", &format!("/v1.0/{PROJECT}/backups"), &body)
            })
            .collect();
        let seen = flood(server.address(), &asked, time, true)?;
        must_answer(&seen)?;
        figures.put("api: POST backups, durable", "requests/s", seen.rate());
        figures.put("api: POST backups, p99", "ms", seen.latency_ms(990));
        let fsyncs = fsyncs_a_second(folder)?;
        figures.put("api: one fsync a request would allow", "requests/s", fsyncs);
        figures.put("api: POST backups ÷ one fsync a request", "×", seen.rate() / fsyncs);
    }
    Ok(())
}

/// 4 KiB appended and synced, again and again.
fn fsyncs_a_second(folder: &Path) -> Outcome<f64> {
    let mut file = tempfile::tempfile_in(folder)?;
    let (mut done, started) = (0_u32, Instant::now());
    while started.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 4096])?;
        file.sync_all()?;
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

/// What clients that poll wait for while two backups run as fast as they can, with the defaults otherwise.
fn under_backups(folder: &Path, size: &Size, figures: &mut Figures) -> Outcome<()> {
    eprintln!("api: reads while two backups run");
    let sources = [folder.join("one.db"), folder.join("two.db")];
    for source in &sources {
        data::make(source, size.mib)?;
    }
    let [one, two] = sources.map(|it| at(&it));
    let both = [("one", "sqlite", "off", one.as_str()), ("two", "sqlite", "off", two.as_str())];
    let config = configure(folder, "busy", &settings("workers = 2\n"), &both)?;
    Server::start(&config)?.stop()?;
    seed::backups(&folder.join("busy").join("catalog.db"), 1000)?;
    let ids = seed::some_ids(&folder.join("busy").join("catalog.db"), 200)?;
    let mut questions: Vec<_> = ids.iter().map(|id| get(&format!("backups/{id}"))).collect();
    questions.push(get("backups?limit=20"));
    let mut server = Server::start(&config)?;
    let mut worst = Vec::new();
    for _round in 0..3 {
        server.ask("one", false)?;
        server.ask("two", false)?;
        let left = Cell::new(2_usize);
        let busy = || {
            left.set(left.get().saturating_sub(server.completed_since()));
            left.get() > 0
        };
        let waiting = poll_gently(server.address(), &questions, &busy)?;
        must_answer(&waiting)?;
        figures.put("api: reads while two backups run: median", "ms", waiting.latency_ms(500));
        figures.put("api: reads while two backups run: p99", "ms", waiting.latency_ms(990));
        worst.push(waiting.latency_ms(1000));
    }
    figures.put("api: reads while two backups run: longest", "ms", median(&worst));
    figures.put("api: peak RSS with two backups", "MiB", memory_of(server.pid(), "VmHWM:")?);
    server.stop()
}
