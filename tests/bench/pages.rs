//! The pages of the console of a server with a thousand instances and a hundred thousand backups: from a request on a new
//! connection to the end of the answer.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::Connection;

use super::Outcome;
use super::options::{Options, Program};
use super::server::{Server, at, configure};
use super::table::Results;

const LARGE: &str = include_str!("../data/large_catalog.sql");

/// Requests of each page in a round.
const REQUESTS: u32 = 10;

/// Each screen, and the path below `/console/` of the largest page of it.
const SCREENS: [(&str, &str); 12] = [
    ("overview", ""),
    ("overview, last page", "?page=11"),
    ("overview, a search", "?search=number"),
    ("instance", "instances/00000001-0000-4000-8000-000000000000"),
    ("instance, in 30 days", "instances/00000001-0000-4000-8000-000000000000?days=30"),
    ("backup", "backups/00000001-00c8-7000-8000-000000000000"),
    ("delete", "backups/00000002-0001-7000-8000-000000000000/delete"),
    ("restore", "backups/00000002-0001-7000-8000-000000000000/restore"),
    ("alerts", "alerts"),
    ("events", "events"),
    ("quotas", "quotas"),
    ("the API", "api"),
];

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let mut prepared: Vec<(&Program, PathBuf)> = Vec::new();
    for program in &options.programs {
        prepared.push((program, prepare(folder, program)?));
    }
    for round in 0..options.rounds {
        for program in options.programs_in(round) {
            let found = prepared.iter().find(|(known, _)| known.name == program.name);
            let (_, config) = found.ok_or("it was not prepared")?;
            eprintln!("pages: round {round}, {}", program.name);
            measure(program, config, results)?;
        }
    }
    Ok(())
}

/// A server that has all of it in its configuration and its catalog.
fn prepare(folder: &Path, program: &Program) -> Outcome<PathBuf> {
    let shop = folder.join("shop.db");
    Connection::open(&shop)?.execute_batch("CREATE TABLE IF NOT EXISTS orders (id INTEGER)")?;
    let config = configure(folder, program.name, "", &[])?;
    let mut text = fs::read_to_string(&config)?;
    for number in 1..=1000 {
        write!(
            text,
            "[[instances]]\nid = \"{number:08x}-0000-4000-8000-000000000000\"\nname = \"shop number {number}\"\n\
             project_id = \"project-a\"\nengine = \"sqlite\"\nsource = {}\n",
            at(&shop)
        )?;
    }
    #[expect(clippy::disallowed_methods, reason = "a file of the bench's own")]
    fs::write(&config, text)?;
    Server::start(program, &config)?.stop()?;
    let data = config.with_extension("");
    let db = Connection::open(data.join("catalog.db"))?;
    db.execute_batch(LARGE)?;
    // Where every archive is missing, the pages would say so first.
    let newest = "SELECT location FROM backups ORDER BY created DESC LIMIT 1";
    let location: String = db.query_row(newest, [], |row| row.get(0))?;
    let archive = data.join("archives").join(location);
    fs::create_dir_all(archive.parent().ok_or("a folder")?)?;
    #[expect(clippy::disallowed_methods, reason = "data of the bench's own")]
    fs::write(archive, "")?;
    Ok(config)
}

fn measure(program: &Program, config: &Path, results: &mut Results) -> Outcome<()> {
    let server = Server::start(program, config)?;
    let cookie = sign_in(&server)?;
    for (screen, path) in SCREENS {
        let head = format!(
            "GET /console/{path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nAccept-Encoding: gzip\r\n\
             Sec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n",
            server.address()
        );
        // The first page of a server that has just started has everything to read.
        let requests = if screen == "overview" { REQUESTS + 1 } else { REQUESTS };
        for request in 0..requests {
            let started = Instant::now();
            let answer = exchange(&server, &head)?;
            let took = started.elapsed().as_secs_f64() * 1000.0;
            if !answer.starts_with("HTTP/1.1 200 ") {
                return Err(format!("{path}: {answer:.300}").into());
            }
            let is_first = screen == "overview" && request == 0;
            let what = if is_first { ", the first after a start" } else { "" };
            results.figure(&format!("console: {screen}{what}"), program.name, "ms", took);
        }
    }
    server.stop()
}

fn sign_in(server: &Server) -> Outcome<String> {
    let token = fs::read_to_string(server.data_dir().join("admin.token"))?;
    let body = format!("token={}", token.trim());
    let answer = exchange(
        server,
        &format!(
            "POST /console/sign-in HTTP/1.1\r\nHost: {}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n{body}",
            server.address(),
            body.len()
        ),
    )?;
    let (_, cookie) = answer.split_once("coffer_session=").ok_or("nobody is signed in")?;
    let id = cookie.split(';').next().unwrap_or_default();
    Ok(format!("coffer_session={id}"))
}

/// One request on a connection of its own, and the whole answer.
fn exchange(server: &Server, request: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(server.address())?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
