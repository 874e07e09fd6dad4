//! Clients: connections that stay open and each ask the next question as soon as they have an answer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Outcome;

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: u32,
    /// Answers with another status than 2xx.
    pub(crate) refused: u32,
    pub(crate) taken: Duration,
    latencies: Vec<Duration>,
}

impl Seen {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.answers) / self.taken.as_secs_f64()
    }

    /// The latency that this share (in thousandths) of the answers did not exceed, in milliseconds.
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
    asked: Instant,
    answer: Vec<u8>,
}

impl Client {
    fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, asked: Instant::now(), answer: Vec::with_capacity(64 << 10) })
    }

    fn ask(&mut self, question: &[u8]) -> Outcome<()> {
        self.answer.clear();
        self.asked = Instant::now();
        // A question fits into the buffer of a connection that waits for nothing.
        Ok(self.stream.write_all(question)?)
    }

    /// Reads what is there; the status when the answer is whole.
    fn listen(&mut self) -> Outcome<Option<u16>> {
        let mut piece = [0; 16 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(bytes) => self.answer.extend(piece.iter().take(bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = whole(&self.answer) {
                return Ok(Some(status));
            }
        }
    }
}

/// The status of an answer, if its head and as much body as that says are there.
fn whole(answer: &[u8]) -> Option<u16> {
    let head = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let text = str::from_utf8(answer.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let status = text.split(' ').nth(1)?.parse().ok()?;
    (answer.len() >= head + 4 + length.unwrap_or(0)).then_some(status)
}

/// As many connections as there are in `shares`, each with its own questions, asked in turn until the
/// time is over or a share is used up when `once` is set.
fn drive(address: &str, shares: &[Vec<Vec<u8>>], time: Duration, once: bool) -> Outcome<Seen> {
    let mut clients = Vec::new();
    let mut turns: Vec<_> = shares.iter().map(|share| share.iter().cycle()).collect();
    for _share in shares {
        clients.push(Client::open(address)?);
    }
    let (mut seen, started) = (Seen::default(), Instant::now());
    for (client, turn) in clients.iter_mut().zip(&mut turns) {
        client.ask(turn.next().ok_or("no questions")?)?;
    }
    let mut asked = vec![1; shares.len()];
    let used_up = |asked: &[usize]| asked.iter().zip(shares).any(|(asked, it)| *asked >= it.len());
    while started.elapsed() < time && !(once && used_up(&asked)) {
        let ready = readable(&clients)?;
        let each = clients.iter_mut().zip(&mut turns).zip(&mut asked).zip(ready);
        for (((client, turn), asked), _) in each.filter(|(_, ready)| *ready) {
            let Some(status) = client.listen()? else { continue };
            seen.answers += 1;
            seen.refused += u32::from(!(200..300).contains(&status));
            seen.latencies.push(client.asked.elapsed());
            client.ask(turn.next().ok_or("no questions")?)?;
            *asked += 1;
        }
    }
    seen.taken = started.elapsed();
    Ok(seen)
}

fn readable(clients: &[Client]) -> Outcome<Vec<bool>> {
    let mut waiting: Vec<_> = clients
        .iter()
        .map(|it| PollFd::from_borrowed_fd(it.stream.as_fd(), PollFlags::IN))
        .collect();
    poll(&mut waiting, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }))?;
    Ok(waiting.iter().map(|it| it.revents().intersects(PollFlags::IN)).collect())
}

/// 32 connections from two threads. `questions` are asked in turn; with `once`, each is asked once.
pub(crate) fn flood(
    address: &str,
    questions: &[Vec<u8>],
    time: Duration,
    once: bool,
) -> Outcome<Seen> {
    const CONNECTIONS: usize = 32;
    let mut shares = vec![Vec::new(); CONNECTIONS];
    for (at, question) in
        questions.iter().cycle().take(questions.len().max(CONNECTIONS)).enumerate()
    {
        shares.get_mut(at % CONNECTIONS).ok_or("a share is missing")?.push(question.clone());
    }
    let (left, right) = shares.split_at(CONNECTIONS / 2);
    let (address_, left) = (address.to_owned(), left.to_vec());
    let other: JoinHandle<Result<Seen, String>> = std::thread::spawn(move || {
        drive(&address_, &left, time, once).map_err(|error| error.to_string())
    });
    let mut seen = drive(address, right, time, once)?;
    seen.add(other.join().map_err(|_panic| "a client panicked")??);
    Ok(seen)
}

/// Four clients that together ask every 5 ms, whatever the answers take, while `busy` says so.
pub(crate) fn poll_gently(
    address: &str,
    questions: &[Vec<u8>],
    busy: &dyn Fn() -> bool,
) -> Outcome<Seen> {
    let mut clients = Vec::new();
    for _number in 0..4 {
        clients.push((Client::open(address)?, false));
    }
    let (mut seen, started) = (Seen::default(), Instant::now());
    let mut next = started;
    let mut turn = questions.iter().cycle();
    while busy() {
        for (client, waits) in &mut clients {
            if *waits && let Some(status) = client.listen()? {
                *waits = false;
                seen.answers += 1;
                seen.refused += u32::from(!(200..300).contains(&status));
                seen.latencies.push(client.asked.elapsed());
            }
        }
        if Instant::now() >= next
            && let Some((client, waits)) = clients.iter_mut().find(|(_client, waits)| !waits)
        {
            client.ask(turn.next().ok_or("no questions")?)?;
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
    seen.taken = started.elapsed();
    Ok(seen)
}

/// A request as it goes over the wire.
pub(crate) fn question(method: &str, path: &str, body: &str) -> Vec<u8> {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: secret-secret\r\n");
    if body.is_empty() {
        return format!("{head}\r\n").into_bytes();
    }
    let length = body.len();
    format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
