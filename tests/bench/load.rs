//! Clients: connections that stay open, and each send the next request as soon as they have an answer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Outcome;

/// The answers that the clients got.
#[derive(Debug, Default)]
pub(crate) struct LoadResult {
    pub(crate) answers: u32,
    /// Answers with another status than 2xx.
    pub(crate) refused: u32,
    pub(crate) taken: Duration,
    latencies: Vec<Duration>,
}

impl LoadResult {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.answers) / self.taken.as_secs_f64()
    }

    /// The latency in milliseconds that this share of the answers, in thousandths, did not exceed.
    pub(crate) fn latency_ms(&self, per_mille: usize) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = sorted.len() * per_mille / 1000;
        sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, Duration::as_secs_f64)
            * 1000.0
    }

    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.refused += other.refused;
        self.taken = self.taken.max(other.taken);
        self.latencies.extend(other.latencies);
    }
}

/// One connection.
struct Client {
    stream: TcpStream,
    sent: Instant,
    answer: Vec<u8>,
}

impl Client {
    fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, sent: Instant::now(), answer: Vec::with_capacity(64 << 10) })
    }

    fn send(&mut self, request: &[u8]) -> Outcome<()> {
        self.answer.clear();
        self.sent = Instant::now();
        // A request fits into the empty buffer of the socket.
        Ok(self.stream.write_all(request)?)
    }

    /// Reads without waiting. Returns the status once the answer is complete.
    fn receive(&mut self) -> Outcome<Option<u16>> {
        let mut piece = [0; 16 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(bytes) => self.answer.extend(piece.iter().take(bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = complete_status(&self.answer) {
                return Ok(Some(status));
            }
        }
    }
}

/// The status of an answer, once its head and its body are complete.
fn complete_status(answer: &[u8]) -> Option<u16> {
    let head = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let text = str::from_utf8(answer.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let status = text.split(' ').nth(1)?.parse().ok()?;
    (answer.len() >= head + 4 + length.unwrap_or(0)).then_some(status)
}

/// Opens a connection for each of `shares`, which sends the requests of its share in turn until the time is
/// over or, with `once`, until a share is used up.
fn drive(
    address: &str,
    shares: &[Vec<Vec<u8>>],
    time: Duration,
    once: bool,
) -> Outcome<LoadResult> {
    let mut clients = Vec::new();
    let mut turns: Vec<_> = shares.iter().map(|share| share.iter().cycle()).collect();
    for _share in shares {
        clients.push(Client::open(address)?);
    }
    let (mut result, started) = (LoadResult::default(), Instant::now());
    for (client, turn) in clients.iter_mut().zip(&mut turns) {
        client.send(turn.next().ok_or("no requests")?)?;
    }
    let mut sent = vec![1; shares.len()];
    let used_up = |sent: &[usize]| sent.iter().zip(shares).any(|(sent, it)| *sent >= it.len());
    while started.elapsed() < time && !(once && used_up(&sent)) {
        let ready = readable(&clients)?;
        let each = clients.iter_mut().zip(&mut turns).zip(&mut sent).zip(ready);
        for (((client, turn), sent), _) in each.filter(|(_, ready)| *ready) {
            let Some(status) = client.receive()? else { continue };
            result.answers += 1;
            result.refused += u32::from(!(200..300).contains(&status));
            result.latencies.push(client.sent.elapsed());
            client.send(turn.next().ok_or("no requests")?)?;
            *sent += 1;
        }
    }
    result.taken = started.elapsed();
    Ok(result)
}

fn readable(clients: &[Client]) -> Outcome<Vec<bool>> {
    let mut waiting: Vec<_> = clients
        .iter()
        .map(|it| PollFd::from_borrowed_fd(it.stream.as_fd(), PollFlags::IN))
        .collect();
    poll(&mut waiting, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }))?;
    Ok(waiting.iter().map(|it| it.revents().intersects(PollFlags::IN)).collect())
}

/// Sends `requests` in turn over 32 connections from two threads; with `once`, each at most once.
pub(crate) fn load(
    address: &str,
    requests: &[Vec<u8>],
    time: Duration,
    once: bool,
) -> Outcome<LoadResult> {
    const CONNECTIONS: usize = 32;
    let mut shares = vec![Vec::new(); CONNECTIONS];
    for (at, request) in requests.iter().cycle().take(requests.len().max(CONNECTIONS)).enumerate() {
        shares.get_mut(at % CONNECTIONS).ok_or("a share is missing")?.push(request.clone());
    }
    let (left, right) = shares.split_at(CONNECTIONS / 2);
    let (other_address, left) = (address.to_owned(), left.to_vec());
    let other: JoinHandle<Result<LoadResult, String>> = std::thread::spawn(move || {
        drive(&other_address, &left, time, once).map_err(|error| error.to_string())
    });
    let mut result = drive(address, right, time, once)?;
    result.add(other.join().map_err(|_panic| "a client panicked")??);
    Ok(result)
}

/// Four clients that together send a request every 5 ms, however long the answers take, while `busy` is true.
pub(crate) fn poll_steadily(
    address: &str,
    requests: &[Vec<u8>],
    busy: &dyn Fn() -> bool,
) -> Outcome<LoadResult> {
    let mut clients = Vec::new();
    for _number in 0..4 {
        clients.push((Client::open(address)?, false));
    }
    let (mut result, started) = (LoadResult::default(), Instant::now());
    let mut next = started;
    let mut turn = requests.iter().cycle();
    while busy() {
        for (client, waits) in &mut clients {
            if *waits && let Some(status) = client.receive()? {
                *waits = false;
                result.answers += 1;
                result.refused += u32::from(!(200..300).contains(&status));
                result.latencies.push(client.sent.elapsed());
            }
        }
        // In turn: the server closes a connection that is idle for too long.
        let idle = clients.iter_mut().filter(|(_client, waits)| !waits);
        if Instant::now() >= next
            && let Some((client, waits)) = idle.min_by_key(|(client, _waits)| client.sent)
        {
            client.send(turn.next().ok_or("no requests")?)?;
            *waits = true;
            next += Duration::from_millis(5);
        }
        let mut waiting: Vec<_> = clients
            .iter()
            .filter(|(_client, waits)| *waits)
            .map(|(it, _)| PollFd::from_borrowed_fd(it.stream.as_fd(), PollFlags::IN))
            .collect();
        poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }))?;
    }
    result.taken = started.elapsed();
    Ok(result)
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: secret-secret\r\n");
    if body.is_empty() {
        return format!("{head}\r\n").into_bytes();
    }
    let length = body.len();
    format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
